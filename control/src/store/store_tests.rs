use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::PermissionsExt;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;

use super::*;

type Documents = BTreeMap<PathBuf, Arc<str>>;

fn documents(text: &str) -> Documents {
    Documents::from([("weirgate.yaml".into(), text.into()), ("endpoints/a.yaml".into(), "name: a".into())])
}

#[test]
fn a_fresh_state_is_private_and_is_found_again() {
    let folder = tempfile::tempdir().unwrap();
    let state = folder.path().join("deep/state");
    let store = Store::open(&state).unwrap();
    let id = store.workspace_id().to_owned();
    assert!(id.parse::<u64>().unwrap() > 0);
    store.save_documents(&documents("threads: 1")).unwrap();
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&state), 0o700);
    for file in ["weirgate.db", "weirgate.db-wal", "weirgate.db-shm"] {
        assert_eq!(mode(&state.join(file)), 0o600, "{file}");
    }
    drop(store);
    let store = Store::open(&state).unwrap();
    assert_eq!(store.workspace_id(), id);
    assert_eq!(store.documents().unwrap(), documents("threads: 1"));
}

#[test]
fn a_newer_schema_is_refused_and_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    drop(Store::open(folder.path()).unwrap());
    let connection = Connection::open(folder.path().join("weirgate.db")).unwrap();
    for version in [99, -1] {
        connection.pragma_update(None, "user_version", version).unwrap();
        let Err(ControlError::Damaged { why, .. }) = Store::open(folder.path()) else { panic!("{version}") };
        assert!(why.contains(&version.to_string()), "{why}");
        let left: i64 = connection.pragma_query_value(None, "user_version", |row| row.get(0)).unwrap();
        assert_eq!(left, version);
    }
}

#[test]
fn what_is_no_database_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("weirgate.db"), "hello, I am a text that is longer than a header of SQLite").unwrap();
    assert!(matches!(Store::open(folder.path()), Err(ControlError::Database(_))));
}

#[test]
fn only_the_last_documents_are_kept() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path()).unwrap();
    assert_eq!(store.documents().unwrap(), Documents::new());
    for kept in [documents("threads: 1"), documents("threads: 2"), Documents::new(), documents("threads: 3")] {
        store.save_documents(&kept).unwrap();
        assert_eq!(store.documents().unwrap(), kept);
    }
}

#[test]
fn a_write_counts_as_elsewhere_only_for_the_others() {
    let folder = tempfile::tempdir().unwrap();
    let (one, two) = (Store::open(folder.path()).unwrap(), Store::open(folder.path()).unwrap());
    for text in ["threads: 1", "threads: 2"] {
        one.save_documents(&documents(text)).unwrap();
        assert!(!one.changed_elsewhere().unwrap());
        assert!(two.changed_elsewhere().unwrap());
        assert!(!two.changed_elsewhere().unwrap());
        assert_eq!(two.documents().unwrap(), documents(text));
        // Unchanged documents are not written.
        one.save_documents(&documents(text)).unwrap();
        assert!(!two.changed_elsewhere().unwrap());
    }
    // A write of one's own does not hide another's.
    one.ensure_service_principal("a", "").unwrap();
    two.ensure_service_principal("b", "").unwrap();
    assert!(one.changed_elsewhere().unwrap() && two.changed_elsewhere().unwrap());
}

#[test]
fn what_another_process_saved_is_replaced_too() {
    let folder = tempfile::tempdir().unwrap();
    let (one, two) = (Store::open(folder.path()).unwrap(), Store::open(folder.path()).unwrap());
    one.save_documents(&documents("threads: 1")).unwrap();
    two.save_documents(&documents("threads: 2")).unwrap();
    one.save_documents(&documents("threads: 1")).unwrap();
    assert_eq!(one.documents().unwrap(), documents("threads: 1"));
}

#[test]
fn a_refused_transaction_changes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path()).unwrap();
    store.save_documents(&documents("threads: 1")).unwrap();
    let refused = store.write(|transaction| {
        transaction.execute("DELETE FROM documents", [])?;
        Err::<(), _>(ControlError::MasterKey("no".into()))
    });
    assert!(refused.is_err());
    assert_eq!(store.documents().unwrap(), documents("threads: 1"));
}

/// Runs one of the ignored tests below in a process of its own.
fn process(test: &str, folder: &Path) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["--ignored", "--exact", "--nocapture", &format!("store::tests::{test}")])
        .env("WEIRGATE_TEST_STATE", folder)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap()
}

fn state_of_this_process() -> PathBuf {
    std::env::var_os("WEIRGATE_TEST_STATE").expect("started by another test").into()
}

#[test]
#[ignore = "a process that another test starts"]
fn hold_a_transaction() {
    let store = Store::open(&state_of_this_process()).unwrap();
    let _ = store.write(|transaction| {
        transaction.execute("UPDATE documents SET text = 'half'", [])?;
        // Big enough to have spilled from SQLite's cache into the log.
        transaction.execute("INSERT INTO documents VALUES ('big', hex(randomblob(8000000)))", [])?;
        println!("in the middle");
        std::thread::sleep(Duration::from_secs(60));
        Ok(())
    });
}

#[test]
#[ignore = "a process that another test starts"]
fn write_a_hundred() {
    let store = Store::open(&state_of_this_process()).unwrap();
    for n in 0..100 {
        store.ensure_service_principal(&format!("{}-{n}", std::process::id()), "").unwrap();
    }
}

#[test]
fn a_kill_within_a_transaction_leaves_the_old_state() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path()).unwrap();
    store.save_documents(&documents("threads: 1")).unwrap();
    let mut child = process("hold_a_transaction", folder.path());
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    assert!(lines.any(|line| line.unwrap().contains("in the middle")));
    // Reading does not wait for the writer.
    assert_eq!(store.documents().unwrap(), documents("threads: 1"));
    child.kill().unwrap();
    child.wait().unwrap();
    assert_eq!(Store::open(folder.path()).unwrap().documents().unwrap(), documents("threads: 1"));
    store.save_documents(&documents("threads: 2")).unwrap();
    assert_eq!(Store::open(folder.path()).unwrap().documents().unwrap(), documents("threads: 2"));
}

#[test]
fn processes_that_start_and_write_at_once_lose_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let children: Vec<_> = (0..3).map(|_| process("write_a_hundred", folder.path())).collect();
    for child in children {
        assert!(child.wait_with_output().unwrap().status.success());
    }
    let store = Store::open(folder.path()).unwrap();
    let count = "SELECT count(*) FROM service_principals";
    assert_eq!(store.read(|c| Ok(c.query_row(count, [], |row| row.get::<_, i64>(0))?)).unwrap(), 300);
}
