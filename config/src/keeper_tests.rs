use std::{
    fs,
    os::unix::fs::{PermissionsExt, symlink},
    sync::mpsc,
    thread,
    time::{Duration, Instant},
};

use super::*;
use crate::{document::TagSpec, secret::NoSecrets, watch::Watcher};

/// What a caller's error type looks like.
#[derive(Debug)]
enum Refusal {
    Missing,
    Edit(EditError),
}

impl From<EditError> for Refusal {
    fn from(error: EditError) -> Self {
        Self::Edit(error)
    }
}

fn spec(name: &str, description: &str) -> EndpointSpec {
    serde_json::from_value(serde_json::json!({ "name": name, "description": description })).unwrap()
}

fn put(keeper: &Keeper, name: &str, description: &str) -> Result<Arc<Snapshot>, EditError> {
    keeper.edit(name, |_| Ok(Edit::Put(Box::new(spec(name, description)))))
}

struct Place {
    folder: tempfile::TempDir,
    state: tempfile::TempDir,
}

impl Place {
    fn new() -> Self {
        let (folder, state) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        Self { folder, state }
    }

    fn keeper(&self) -> Arc<Keeper> {
        Arc::new(self.open(None).unwrap())
    }

    fn open(&self, last_good: Option<BTreeMap<PathBuf, Arc<str>>>) -> Result<Keeper, Arc<Diagnostics>> {
        Keeper::open(self.folder.path(), &self.state.path().join("lock"), Arc::new(NoSecrets), last_good)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join("endpoints").join(name)
    }

    fn write(&self, name: &str, text: &str) {
        fs::create_dir_all(self.folder.path().join("endpoints")).unwrap();
        fs::write(self.path(name), text).unwrap();
    }

    fn text(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap()
    }

    fn names(&self) -> Vec<String> {
        let entries = fs::read_dir(self.folder.path().join("endpoints")).unwrap();
        let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }
}

/// `good N names` or `broken`, in the order told.
fn news(keeper: &Keeper) -> mpsc::Receiver<String> {
    let (sender, receiver) = mpsc::channel();
    keeper.listen(move |news| {
        let line = match news {
            News::Good(snapshot) => {
                let names: Vec<&str> = snapshot.endpoints.keys().map(|name| &**name).collect();
                format!("good {} {}", snapshot.generation, names.join(","))
            }
            News::Broken(_) => "broken".to_owned(),
        };
        sender.send(line).unwrap();
    });
    receiver
}

fn told(news: &mpsc::Receiver<String>) -> Vec<String> {
    news.try_iter().collect()
}

#[test]
fn an_edit_is_on_disk_served_and_told_once() {
    let place = Place::new();
    let keeper = place.keeper();
    let news = news(&keeper);
    assert_eq!(keeper.current().generation, 1);
    let snapshot = put(&keeper, "a", "first").unwrap();
    assert!(Arc::ptr_eq(&snapshot, &keeper.current()));
    assert_eq!(place.text("a.yaml"), "name: a\ndescription: first\n");
    assert_eq!(place.names(), ["a.yaml"]);
    // The watcher's look finds the own write and nothing to do.
    keeper.refresh();
    put(&keeper, "a", "second").unwrap();
    keeper.refresh();
    keeper.edit::<EditError>("a", |_| Ok(Edit::Delete)).unwrap();
    keeper.refresh();
    assert_eq!(told(&news), ["good 2 a", "good 3 a", "good 4 "]);
    assert!(place.names().is_empty());
    // What a fresh look at the disk makes of it is the same state.
    assert_eq!(place.keeper().current().digest, keeper.current().digest);
}

#[test]
fn what_is_there_already_is_not_written() {
    let place = Place::new();
    place.write("a.yaml", "# mine\nname: a\ndescription: first\n");
    let keeper = place.keeper();
    let news = news(&keeper);
    put(&keeper, "a", "first").unwrap();
    assert!(place.text("a.yaml").starts_with("# mine"));
    keeper.edit::<EditError>("b", |_| Ok(Edit::Delete)).unwrap();
    assert!(told(&news).is_empty());
}

#[test]
fn a_refusal_changes_nothing() {
    let place = Place::new();
    let keeper = place.keeper();
    let news = news(&keeper);
    assert!(matches!(keeper.edit("a", |_| Err::<Edit, _>(Refusal::Missing)), Err(Refusal::Missing)));
    let mut wrong = spec("a", "");
    wrong.tags = vec![TagSpec { key: "k".into(), value: None }, TagSpec { key: "k".into(), value: None }];
    let error = keeper.edit::<Refusal>("a", |_| Ok(Edit::Put(Box::new(wrong)))).unwrap_err();
    assert!(matches!(&error, Refusal::Edit(EditError::Invalid(problems)) if problems.len() == 1), "{error:?}");
    let error = keeper.edit::<EditError>("a", |_| Ok(Edit::Put(Box::new(spec("b", ""))))).unwrap_err();
    assert!(error.to_string().contains("cannot change"), "{error}");
    for name in ["", "..", "../a", "a/b", "a.b", "ä"] {
        let error = put(&keeper, name, "").unwrap_err();
        assert!(matches!(&error, EditError::Invalid(_)), "{name}: {error}");
    }
    assert!(told(&news).is_empty() && !place.folder.path().join("endpoints").exists());
}

#[test]
fn a_hand_edit_is_never_lost() {
    let place = Place::new();
    place.write("a.yaml", "name: a\ndescription: first\n");
    let keeper = place.keeper();
    let is_stale = |name: &str| matches!(put(&keeper, name, "mine"), Err(EditError::Stale { .. }));

    place.write("a.yaml", "name: a\ndescription: by hand\n");
    assert!(is_stale("a"));
    assert_eq!(place.text("a.yaml"), "name: a\ndescription: by hand\n");
    // The refused edit has brought the change in, so the next one is on top of it.
    assert_eq!(keeper.current().endpoints["a"].document.description, "by hand");
    put(&keeper, "a", "mine").unwrap();

    place.write("b.yml", "name: b\ndescription: appeared\n");
    assert!(is_stale("b"));
    put(&keeper, "b", "mine").unwrap();
    assert_eq!(place.text("b.yml"), "name: b\ndescription: mine\n");
    assert_eq!(place.names(), ["a.yaml", "b.yml"]);

    fs::remove_file(place.path("a.yaml")).unwrap();
    assert!(is_stale("a"));
    assert!(!keeper.current().endpoints.contains_key("a"));
    // A change elsewhere is nobody's conflict.
    place.write("c.yaml", "name: c\n");
    put(&keeper, "a", "again").unwrap();
    keeper.refresh();
    assert_eq!(keeper.current().endpoints.len(), 3);
}

#[test]
fn a_broken_neighbour_blocks_nobody_and_is_told_once() {
    let place = Place::new();
    place.write("a.yaml", "name: a\n");
    place.write("b.yaml", "name: b\n");
    let keeper = place.keeper();
    let news = news(&keeper);
    place.write("b.yaml", "nmae: b\n");
    keeper.refresh();
    put(&keeper, "a", "changed").unwrap();
    keeper.refresh();
    put(&keeper, "c", "new").unwrap();
    keeper.refresh();
    assert!(keeper.broken().is_some());
    assert_eq!(told(&news), ["broken", "good 2 a,b", "good 3 a,b,c"]);
    assert!(matches!(put(&keeper, "b", "x"), Err(EditError::Stale { .. })));
    place.write("b.yaml", "name: b\ndescription: mended\n");
    keeper.refresh();
    assert_eq!(told(&news), ["good 4 a,b,c"]);
    assert!(keeper.broken().is_none());
    let current = keeper.current();
    let descriptions = ["a", "b", "c"].map(|name| current.endpoints[name].document.description.as_str());
    assert_eq!(descriptions, ["changed", "mended", "new"]);
    // Broken again and put back as it was: the listeners learn that the same state is fine again.
    place.write("b.yaml", "x: [");
    keeper.refresh();
    place.write("b.yaml", "name: b\ndescription: mended\n");
    keeper.refresh();
    assert_eq!(told(&news), ["broken", "good 4 a,b,c"]);
}

#[test]
fn a_start_with_broken_files_serves_the_last_good_ones() {
    let place = Place::new();
    place.write("a.yaml", "name: a\n");
    let documents = place.keeper().current().documents.clone();
    place.write("a.yaml", "nmae: a\n");
    assert!(place.open(None).is_err());
    let keeper = place.open(Some(documents)).unwrap();
    assert!(keeper.broken().is_some());
    assert_eq!((keeper.current().generation, keeper.current().endpoints.len()), (1, 1));
    put(&keeper, "b", "new").unwrap();
    assert_eq!(keeper.current().endpoints.len(), 2);
    let nonsense = BTreeMap::from([(PathBuf::from("endpoints/a.yaml"), "x: [".into())]);
    assert!(place.open(Some(nonsense)).is_err());
}

#[test]
fn concurrent_edits_lose_nothing() {
    let place = Place::new();
    let keeper = place.keeper();
    put(&keeper, "shared", "").unwrap();
    let news = news(&keeper);
    thread::scope(|scope| {
        for worker in 0..8 {
            let keeper = &keeper;
            scope.spawn(move || {
                for round in 0..5 {
                    put(keeper, &format!("own-{worker}-{round}"), "x").unwrap();
                    let add = |snapshot: &Snapshot| {
                        let mut document = (*snapshot.endpoints["shared"].document).clone();
                        document.description.push('x');
                        Ok::<_, EditError>(Edit::Put(Box::new(document)))
                    };
                    keeper.edit("shared", add).unwrap();
                }
            });
        }
    });
    assert_eq!(keeper.current().endpoints.len(), 41);
    assert_eq!(keeper.current().endpoints["shared"].document.description.len(), 40);
    let generations: Vec<u64> =
        told(&news).iter().map(|line| line.split(' ').nth(1).unwrap().parse().unwrap()).collect();
    assert_eq!(generations, (3..83).collect::<Vec<u64>>());
    assert_eq!(place.keeper().current().digest, keeper.current().digest);
}

#[test]
fn two_gateways_on_one_folder_lose_nothing() {
    let place = Place::new();
    place.keeper().edit::<EditError>("shared", |_| Ok(Edit::Put(Box::new(spec("shared", ""))))).unwrap();
    let keepers = [place.keeper(), place.keeper()];
    thread::scope(|scope| {
        for keeper in &keepers {
            scope.spawn(move || {
                for _ in 0..25 {
                    let add = |snapshot: &Snapshot| {
                        let mut document = (*snapshot.endpoints["shared"].document).clone();
                        document.description.push('x');
                        Ok::<_, EditError>(Edit::Put(Box::new(document)))
                    };
                    // The other one was faster: read again and repeat.
                    while keeper.edit("shared", add).is_err() {}
                }
            });
        }
    });
    assert_eq!(place.keeper().current().endpoints["shared"].document.description.len(), 50);
}

#[test]
fn edits_and_hand_edits_at_once_end_in_what_is_on_disk() {
    let place = Place::new();
    let keeper = place.keeper();
    put(&keeper, "a", "").unwrap();
    let watcher = Watcher::start(Arc::clone(&keeper), Duration::from_millis(5)).unwrap();
    thread::scope(|scope| {
        scope.spawn(|| {
            for round in 0..50 {
                let temporary = place.path(".hand.tmp");
                fs::write(&temporary, format!("name: a\ndescription: hand {round}\n")).unwrap();
                // A rename between the keeper's check and its write cannot be told from one just before the check.
                let _lock = write::lock(&place.state.path().join("lock")).unwrap();
                fs::rename(&temporary, place.path("a.yaml")).unwrap();
                thread::sleep(Duration::from_millis(1));
            }
        });
        for round in 0..100 {
            let based_on = |snapshot: &Snapshot| {
                let served = &snapshot.endpoints["a"].document.description;
                assert!(place.text("a.yaml").contains(served), "an edit on top of something else than the file");
                Ok::<_, EditError>(Edit::Put(Box::new(spec("a", &format!("api {round}")))))
            };
            match keeper.edit("a", based_on) {
                Ok(_) | Err(EditError::Stale { .. }) => {}
                Err(error) => panic!("{error}"),
            }
        }
    });
    drop(watcher);
    keeper.refresh();
    let description = keeper.current().endpoints["a"].document.description.clone();
    assert!(place.text("a.yaml").contains(&description), "{description}");
}

#[test]
fn the_watcher_brings_in_what_others_write_and_not_what_the_keeper_wrote() {
    let place = Place::new();
    let keeper = place.keeper();
    let news = news(&keeper);
    let _watcher = Watcher::start(Arc::clone(&keeper), Duration::from_millis(40)).unwrap();
    put(&keeper, "a", "api").unwrap();
    assert_eq!(news.recv_timeout(Duration::ZERO).unwrap(), "good 2 a");
    assert!(news.recv_timeout(Duration::from_millis(2500)).is_err(), "told twice");
    let started = Instant::now();
    place.write("b.yaml", "name: b\n");
    assert_eq!(news.recv_timeout(Duration::from_secs(5)).unwrap(), "good 3 a,b");
    assert!(started.elapsed() < Duration::from_secs(1), "took {:?}", started.elapsed());
}

#[test]
fn mode_and_links_of_a_file_are_kept() {
    let place = Place::new();
    place.write("a.yaml", "name: a\n");
    fs::set_permissions(place.path("a.yaml"), fs::Permissions::from_mode(0o640)).unwrap();
    let elsewhere = tempfile::tempdir().unwrap();
    fs::write(elsewhere.path().join("target.yaml"), "name: b\n").unwrap();
    symlink(elsewhere.path().join("target.yaml"), place.path("b.yaml")).unwrap();
    // Left behind by a crash.
    place.write(".a.yaml.tmp", "half");
    let keeper = place.keeper();
    put(&keeper, "a", "x").unwrap();
    put(&keeper, "b", "x").unwrap();
    assert_eq!(fs::metadata(place.path("a.yaml")).unwrap().permissions().mode() & 0o777, 0o640);
    assert!(fs::symlink_metadata(place.path("b.yaml")).unwrap().is_symlink());
    assert_eq!(fs::read_to_string(elsewhere.path().join("target.yaml")).unwrap(), "name: b\ndescription: x\n");
    assert_eq!(place.names(), ["a.yaml", "b.yaml"]);
}

#[test]
fn a_disk_that_refuses_changes_nothing() {
    let place = Place::new();
    // Root may write anywhere, so a file stands where the folder should be.
    fs::write(place.folder.path().join("other"), "").unwrap();
    let keeper = place.keeper();
    let news = news(&keeper);
    symlink("/proc/self", place.folder.path().join("endpoints")).unwrap();
    keeper.refresh();
    let error = put(&keeper, "a", "x").unwrap_err();
    assert!(matches!(&error, EditError::Io { file, .. } if file == Path::new("endpoints/a.yaml")), "{error}");
    assert!(error.to_string().contains("cannot write endpoints/a.yaml: "), "{error}");
    assert!(keeper.current().endpoints.is_empty() && told(&news).is_empty());
}

/// A store with one value, which tests change.
struct OneSecret(Mutex<Option<String>>);

impl SecretSource for OneSecret {
    fn get(&self, _: &str, _: &str) -> Option<String> {
        self.0.lock().unwrap().clone()
    }
}

#[test]
fn a_secret_is_followed_while_a_neighbour_is_broken() {
    let place = Place::new();
    place.write(
        "a.yaml",
        r#"{"name": "a", "config": {"served_entities": [{"external_model": {"name": "m", "provider": "openai",
            "task": "llm/v1/chat", "openai_config": {"openai_api_key": "{{secrets/s/k}}"}}}]}}"#,
    );
    let secret = Arc::new(OneSecret(Mutex::new(Some("first".into()))));
    let keeper = Keeper::open(place.folder.path(), &place.state.path().join("lock"), secret.clone(), None).unwrap();
    let key = || format!("{:?}", secret_of(&keeper.current()));
    assert_eq!(key(), r#"Some("first")"#);
    place.write("b.yaml", "{");
    keeper.refresh();
    assert!(keeper.broken().is_some());
    *secret.0.lock().unwrap() = Some("second".into());
    keeper.refresh();
    assert!(keeper.broken().is_some());
    assert_eq!(key(), r#"Some("second")"#);
    // Nor is it lost when the endpoint's own file breaks and someone writes another endpoint.
    place.write("a.yaml", "{");
    *secret.0.lock().unwrap() = Some("third".into());
    put(&keeper, "c", "new").unwrap();
    keeper.refresh();
    assert_eq!(key(), r#"Some("third")"#);
    assert!(keeper.current().endpoints.contains_key("c"));
}

fn secret_of(snapshot: &Snapshot) -> Option<String> {
    use crate::snapshot::{ProviderConfig, Target};
    match &snapshot.endpoints["a"].entities[0].target {
        Target::External(model) => match &model.provider {
            ProviderConfig::OpenAi { key, .. } => key.value().map(str::to_owned),
            _ => None,
        },
        Target::Local(_) => None,
    }
}
