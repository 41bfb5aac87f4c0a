use std::{
    fs,
    os::unix::fs::symlink,
    sync::{Mutex, mpsc},
};

use super::*;
use crate::{
    diagnostic::Diagnostics,
    keeper::News,
    secret::{NoSecrets, SecretSource},
    snapshot::Snapshot,
};

const DEBOUNCE: Duration = Duration::from_millis(40);
/// Longer than two slow polls, so that silence also holds for them.
const QUIET: Duration = Duration::from_millis(2500);
const SOON: Duration = Duration::from_secs(5);
/// A change is in effect within a second; a machine that is busy with other tests gets three.
const PROMISED: Duration = Duration::from_secs(3);

type Change = Result<Arc<Snapshot>, Arc<Diagnostics>>;

struct Watched {
    changes: mpsc::Receiver<Change>,
    watcher: Watcher,
}

fn watch(folder: &Path, secrets: Arc<dyn SecretSource + Send + Sync>) -> Watched {
    let (sender, changes) = mpsc::channel();
    let lock = folder.with_extension("lock");
    let keeper = Keeper::open(folder, &lock, secrets, None).unwrap();
    sender.send(Ok(keeper.current())).unwrap();
    keeper.listen(move |news| {
        let change = match news {
            News::Good(snapshot) => Ok(Arc::clone(snapshot)),
            News::Broken(diagnostics) => Err(Arc::clone(diagnostics)),
        };
        sender.send(change).unwrap();
    });
    let watcher = Watcher::start(Arc::new(keeper), DEBOUNCE).unwrap();
    Watched { changes, watcher }
}

impl Watched {
    fn good(&self) -> Arc<Snapshot> {
        self.changes.recv_timeout(SOON).expect("a change").expect("a valid state")
    }

    fn broken(&self) -> Arc<Diagnostics> {
        self.changes.recv_timeout(SOON).expect("a change").expect_err("a broken state")
    }

    fn silent(&self) {
        assert!(self.changes.recv_timeout(QUIET).is_err(), "nothing should be reported");
    }
}

fn folder_with(name: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("endpoints")).unwrap();
    endpoint(folder.path(), name, "first");
    folder
}

fn endpoint(folder: &Path, name: &str, description: &str) {
    let text = format!("name: {name}\ndescription: {description}\n");
    // As editors do: a new file takes the old one's place.
    let temporary = folder.join("endpoints").join(format!(".{name}.tmp"));
    fs::write(&temporary, text).unwrap();
    fs::rename(temporary, folder.join("endpoints").join(format!("{name}.yaml"))).unwrap();
}

fn description<'s>(snapshot: &'s Snapshot, name: &str) -> &'s str {
    &snapshot.endpoints[name].document.description
}

#[test]
fn a_replaced_file_is_seen_quickly_and_counted() {
    let folder = folder_with("a");
    let watched = watch(folder.path(), Arc::new(NoSecrets));
    assert_eq!(watched.good().generation, 1);
    let started = Instant::now();
    endpoint(folder.path(), "a", "second");
    let snapshot = watched.good();
    assert!(started.elapsed() < PROMISED, "took {:?}", started.elapsed());
    assert_eq!((snapshot.generation, description(&snapshot, "a")), (2, "second"));
    fs::remove_file(folder.path().join("endpoints/a.yaml")).unwrap();
    assert!(watched.good().endpoints.is_empty());
}

#[test]
fn a_broken_state_is_reported_once_and_the_mended_one_again() {
    let folder = folder_with("a");
    let watched = watch(folder.path(), Arc::new(NoSecrets));
    let first = watched.good();
    fs::write(folder.path().join("endpoints/b.yaml"), "nmae: b\n").unwrap();
    assert_eq!(watched.broken().errors(), 2);
    // Touched, but with the same content.
    fs::write(folder.path().join("endpoints/b.yaml"), "nmae: b\n").unwrap();
    watched.silent();
    fs::remove_file(folder.path().join("endpoints/b.yaml")).unwrap();
    assert!(Arc::ptr_eq(&first, &watched.good()));
    endpoint(folder.path(), "b", "mended");
    assert_eq!(watched.good().generation, 2);
}

#[test]
fn other_files_cause_no_reload() {
    let folder = folder_with("a");
    fs::create_dir(folder.path().join("state")).unwrap();
    let watched = watch(folder.path(), Arc::new(NoSecrets));
    watched.good();
    for name in [
        "notes.txt",
        "other.yaml",
        "state/store.db",
        "state/x.yaml",
        "endpoints/.a.yaml.swp",
        "endpoints/.#a.yaml",
        "endpoints/README.md",
    ] {
        fs::write(folder.path().join(name), "x: [").unwrap();
    }
    watched.silent();
}

#[test]
fn a_config_map_swap_is_one_change() {
    let mount = tempfile::tempdir().unwrap();
    let version = |number: u32| {
        let data = mount.path().join(format!("..v{number}"));
        fs::create_dir_all(data.join("endpoints")).unwrap();
        endpoint(&data, "a", &format!("v{number}"));
        symlink(format!("..v{number}"), mount.path().join("..data_tmp")).unwrap();
        fs::rename(mount.path().join("..data_tmp"), mount.path().join("..data")).unwrap();
    };
    version(1);
    symlink("..data/endpoints", mount.path().join("endpoints")).unwrap();
    let watched = watch(mount.path(), Arc::new(NoSecrets));
    assert_eq!(description(&watched.good(), "a"), "v1");
    for number in 2..5 {
        let started = Instant::now();
        version(number);
        fs::remove_dir_all(mount.path().join(format!("..v{}", number - 1))).unwrap();
        assert_eq!(description(&watched.good(), "a"), format!("v{number}"));
        assert!(started.elapsed() < PROMISED, "took {:?}", started.elapsed());
    }
}

#[test]
fn a_burst_is_few_changes_and_ends_in_the_last_state() {
    let folder = folder_with("a");
    let watched = watch(folder.path(), Arc::new(NoSecrets));
    watched.good();
    let started = Instant::now();
    for number in 0..300 {
        endpoint(folder.path(), "a", &format!("n{number}"));
        thread::sleep(Duration::from_millis(3));
    }
    let mut changes = 1;
    let mut last = watched.good();
    // Bounded delay: the storm of 0.9 s does not put the effect off until its end.
    let first_effect = started.elapsed();
    while description(&last, "a") != "n299" {
        last = watched.good();
        changes += 1;
    }
    assert!(changes < 30, "{changes} changes, first after {first_effect:?}");
    assert_eq!(last.generation, 1 + changes);
}

#[test]
fn a_storm_delays_the_effect_by_a_bounded_time_only() {
    let folder = folder_with("a");
    let watched = watch(folder.path(), Arc::new(NoSecrets));
    watched.good();
    let stop = Arc::new(AtomicBool::new(false));
    let storm = {
        let (stop, path) = (Arc::clone(&stop), folder.path().join("noise.yaml"));
        thread::spawn(move || {
            while !stop.load(Ordering::Acquire) {
                fs::write(&path, "x").unwrap();
                thread::sleep(Duration::from_millis(5));
            }
        })
    };
    thread::sleep(Duration::from_millis(200));
    let started = Instant::now();
    endpoint(folder.path(), "a", "amid the storm");
    assert_eq!(description(&watched.good(), "a"), "amid the storm");
    let elapsed = started.elapsed();
    stop.store(true, Ordering::Release);
    storm.join().unwrap();
    assert!(elapsed < PROMISED, "took {elapsed:?}");
}

#[test]
fn a_folder_that_goes_and_comes_back_is_followed() {
    let parent = tempfile::tempdir().unwrap();
    let folder = parent.path().join("config");
    fs::create_dir_all(folder.join("endpoints")).unwrap();
    endpoint(&folder, "a", "first");
    let watched = watch(&folder, Arc::new(NoSecrets));
    watched.good();
    fs::remove_dir_all(&folder).unwrap();
    let gone = loop {
        // The deletion may be seen half-way, as a valid state without endpoints.
        if let Err(diagnostics) = watched.changes.recv_timeout(SOON).expect("a change") {
            break diagnostics;
        }
    };
    assert!(gone.to_string().contains("does not exist"), "{gone}");
    fs::create_dir_all(folder.join("endpoints")).unwrap();
    endpoint(&folder, "a", "second");
    while description(&watched.good(), "a") != "second" {}
    // The new folder is watched by events again.
    thread::sleep(POLL_BLIND * 2);
    let started = Instant::now();
    endpoint(&folder, "a", "third");
    assert_eq!(description(&watched.good(), "a"), "third");
    assert!(started.elapsed() < PROMISED, "took {:?}", started.elapsed());
}

struct OneSecret(Mutex<Option<String>>);

impl SecretSource for OneSecret {
    fn get(&self, scope: &str, key: &str) -> Option<String> {
        if (scope, key) == ("prod", "openai") { self.0.lock().unwrap().clone() } else { None }
    }
}

#[test]
fn changed_secrets_are_changes() {
    let folder = folder_with("plain");
    let with_reference = |name: &str, reference: &str| {
        let text = format!(
            "name: {name}\nconfig: {{served_entities: [{{external_model: {{name: m, provider: openai, task: llm/v1/chat, \
             openai_config: {{openai_api_key: \"{reference}\"}}}}}}]}}\n"
        );
        fs::write(folder.path().join(format!("endpoints/{name}.yaml")), text).unwrap();
    };
    with_reference("stored", "{{secrets/prod/openai}}");
    with_reference("filed", "{{file/key.txt}}");
    let store = Arc::new(OneSecret(Mutex::new(None)));
    let watched = watch(folder.path(), Arc::clone(&store) as Arc<dyn SecretSource + Send + Sync>);
    assert_eq!(watched.good().warnings.len(), 2);
    *store.0.lock().unwrap() = Some("sk-1".to_owned());
    watched.watcher.poke();
    assert_eq!(watched.good().warnings.len(), 1);
    fs::write(folder.path().join("key.txt"), "sk-2\n").unwrap();
    assert_eq!(watched.good().warnings.len(), 0);
    watched.silent();
}

#[test]
fn dropping_stops_the_thread() {
    let folder = folder_with("a");
    let watched = watch(folder.path(), Arc::new(NoSecrets));
    watched.good();
    let Watched { changes, watcher } = watched;
    drop(watcher);
    // The thread owned the only sender.
    assert_eq!(changes.recv_timeout(SOON).unwrap_err(), mpsc::RecvTimeoutError::Disconnected);
}
