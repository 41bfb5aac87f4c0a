//! How long a large folder takes: `cargo test -p weirgate-config --release --test speed -- --ignored --nocapture`.

#![allow(clippy::unwrap_used, clippy::panic, reason = "clippy knows helpers of integration tests not as tests")]

use std::{
    fs,
    sync::Arc,
    time::{Duration, Instant},
};

use weirgate_config::{Edit, EditError, Keeper, NoSecrets};

const ENDPOINTS: usize = 1000;
/// The best of some runs: the machine is shared.
const RUNS: usize = 5;

fn best(what: &str, mut run: impl FnMut(usize)) -> Duration {
    let mut best = Duration::MAX;
    for number in 0..RUNS {
        let start = Instant::now();
        run(number);
        best = best.min(start.elapsed());
    }
    println!("{what}: {best:?}");
    best
}

#[test]
#[ignore = "a measurement; run it in a release build on a quiet machine"]
fn a_thousand_endpoints() {
    let (folder, state) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    fs::create_dir(folder.path().join("endpoints")).unwrap();
    fs::create_dir(folder.path().join("keys")).unwrap();
    for number in 0..ENDPOINTS {
        fs::write(folder.path().join(format!("keys/{number}")), "sk-a-key-of-some-length\n").unwrap();
        let text = format!(
            "name: e{number}
config:
  served_entities:
    - name: a
      external_model:
        {{ name: gpt-4o-mini, provider: openai, task: llm/v1/chat, openai_config: {{ openai_api_key: \"{{{{file/keys/{number}}}}}\" }} }}
    - name: b
      external_model:
        {{ name: gpt-4o, provider: openai, task: llm/v1/chat, openai_config: {{ openai_api_key: \"{{{{env/PATH}}}}\" }} }}
  traffic_config:
    routes:
      - {{ served_model_name: a, traffic_percentage: 80 }}
      - {{ served_model_name: b, traffic_percentage: 20 }}
tags: [{{ key: team, value: research }}]
permissions: [{{ group_name: users, permission_level: CAN_QUERY }}]
"
        );
        fs::write(folder.path().join(format!("endpoints/e{number}.yaml")), text).unwrap();
    }
    let lock = state.path().join("lock");
    let open = || Keeper::open(folder.path(), &lock, Arc::new(NoSecrets), None).unwrap();
    let load = best("load", |_| assert_eq!(open().current().endpoints.len(), ENDPOINTS));
    let keeper = open();
    best("look at an unchanged folder", |_| keeper.refresh());
    assert_eq!(keeper.current().generation, 1);
    let edit = best("edit", |number| {
        let change = |snapshot: &weirgate_config::Snapshot| {
            let mut document = (*snapshot.endpoints["e500"].document).clone();
            document.description = format!("number {number}");
            Ok::<_, EditError>(Edit::Put(Box::new(document)))
        };
        keeper.edit("e500", change).unwrap();
    });
    assert!(load < Duration::from_millis(500) && edit < Duration::from_millis(50), "load {load:?}, edit {edit:?}");
}
