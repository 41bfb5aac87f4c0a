use std::collections::BTreeSet;
use std::os::unix::fs::PermissionsExt;

use serde_json::Value;

use super::*;

fn entry(target: &str) -> Entry<'_> {
    Entry {
        actor: "ada",
        actor_kind: "User",
        address: Some("127.0.0.1:5".into()),
        request_id: None,
        action: "secret.put",
        target,
        old_version: None,
        new_version: Some(3),
        outcome: "ok",
    }
}

fn lines(path: &Path) -> Vec<Value> {
    fs::read_to_string(path).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn a_line_says_who_did_what_when() {
    let state = tempfile::tempdir().unwrap();
    let before = Timestamp::from_millisecond(now_ms() as i64).unwrap();
    Audit::open(state.path()).unwrap().write(&entry("prod/a\n\"b"));
    Audit::open(state.path()).unwrap().write(&entry("prod/c"));
    let path = state.path().join("audit/audit.jsonl");
    assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o600);
    let lines = lines(&path);
    assert_eq!(lines.len(), 2);
    let time: Timestamp = lines[0]["time"].as_str().unwrap().parse().unwrap();
    assert!(before <= time && time <= Timestamp::now());
    let expected = serde_json::json!({
        "time": lines[0]["time"], "actor": "ada", "actor_kind": "User", "address": "127.0.0.1:5", "action": "secret.put",
        "target": "prod/a\n\"b", "new_version": 3, "outcome": "ok",
    });
    assert_eq!(lines[0], expected);
}

#[test]
fn full_files_are_put_aside_and_the_oldest_go() {
    let state = tempfile::tempdir().unwrap();
    // Room for two lines.
    let audit = Audit::with_size(state.path(), 400).unwrap();
    for n in 0..40 {
        audit.write(&entry(&n.to_string()));
    }
    let folder = state.path().join("audit");
    assert_eq!(fs::read_dir(&folder).unwrap().count(), 11);
    let first = |name: &str| lines(&folder.join(name))[0]["target"].as_str().unwrap().parse::<u32>().unwrap();
    assert_eq!((first("audit.jsonl"), first("audit.jsonl.1"), first("audit.jsonl.10")), (38, 36, 18));
    // A line longer than a file may be is written all the same.
    audit.write(&entry(&"x".repeat(1000)));
    audit.write(&entry("40"));
    assert_eq!(first("audit.jsonl"), 40);
}

#[test]
fn several_writers_lose_no_line_while_files_are_put_aside() {
    let state = tempfile::tempdir().unwrap();
    std::thread::scope(|scope| {
        for writer in 0..4 {
            let state = state.path();
            scope.spawn(move || {
                let audit = Audit::with_size(state, 10_000).unwrap();
                for n in 0..60 {
                    audit.write(&entry(&format!("{writer}-{n}")));
                }
            });
        }
    });
    let files = fs::read_dir(state.path().join("audit")).unwrap();
    let all: Vec<Value> = files.flat_map(|file| lines(&file.unwrap().path())).collect();
    let targets: BTreeSet<String> = all.iter().map(|line| line["target"].to_string()).collect();
    assert_eq!((all.len(), targets.len()), (240, 240));
}

#[test]
fn a_file_that_was_taken_away_is_made_anew() {
    let state = tempfile::tempdir().unwrap();
    let audit = Audit::open(state.path()).unwrap();
    audit.write(&entry("1"));
    let path = state.path().join("audit/audit.jsonl");
    fs::remove_file(&path).unwrap();
    audit.write(&entry("2"));
    assert_eq!(lines(&path)[0]["target"], "2");
}
