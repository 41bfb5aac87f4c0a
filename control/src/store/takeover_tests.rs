use super::super::Store;
use super::*;

const OLD_TOKENS: &str = r#"{"version":1,"tokens":[
    {"sha256":"aa00000000000000000000000000000000000000000000000000000000000000","user":"ada","groups":["research"],"admin":true,"created_at":100,"expires_at":null},
    {"sha256":"bb00000000000000000000000000000000000000000000000000000000000000","user":"bob","created_at":100,"expires_at":99999999999}]}"#;

fn exists(folder: &Path, name: &str) -> bool {
    folder.join(name).exists()
}

#[test]
fn older_files_are_taken_over_once() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    fs::write(path.join(TOKENS), OLD_TOKENS).unwrap();
    fs::write(path.join(DOCUMENTS), r#"{"weirgate.yaml":"threads: 1"}"#).unwrap();
    let store = Store::open(path).unwrap();
    let mut tokens = store.tokens().unwrap();
    tokens.sort_by(|a, b| a.name.cmp(&b.name));
    assert_eq!(tokens.len(), 2);
    assert_eq!((tokens[0].hash[0], &*tokens[0].name, tokens[0].admin, tokens[0].expires_at), (0xaa, "ada", true, None));
    assert_eq!((tokens[1].created_at, tokens[1].expires_at), (100_000, Some(99_999_999_999_000)));
    let documents = store.documents().unwrap();
    assert_eq!(documents, BTreeMap::from([("weirgate.yaml".into(), "threads: 1".into())]));
    assert!(!exists(path, TOKENS) && exists(path, "tokens.json.migrated"));
    assert!(!exists(path, DOCUMENTS) && exists(path, "last-good.json.migrated"));

    // As after a crash between commit and rename, with newer content in the database.
    store.save_documents(&BTreeMap::from([("weirgate.yaml".into(), "threads: 2".into())])).unwrap();
    drop(store);
    fs::rename(path.join("tokens.json.migrated"), path.join(TOKENS)).unwrap();
    fs::rename(path.join("last-good.json.migrated"), path.join(DOCUMENTS)).unwrap();
    let store = Store::open(path).unwrap();
    assert_eq!(store.tokens().unwrap().len(), 2);
    assert_eq!(&*store.documents().unwrap()[Path::new("weirgate.yaml")], "threads: 2");
    assert!(!exists(path, TOKENS) && !exists(path, DOCUMENTS));
}

#[test]
fn a_damaged_file_is_refused_and_nothing_is_taken_over() {
    for bad in ["", "{", "[]", r#"{"version":2,"tokens":[]}"#, &OLD_TOKENS.replace("bb00", "xx00")] {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join(TOKENS), bad).unwrap();
        fs::write(folder.path().join(DOCUMENTS), "{}").unwrap();
        assert!(matches!(Store::open(folder.path()), Err(ControlError::Damaged { .. })), "{bad}");
        assert_eq!(fs::read_to_string(folder.path().join(TOKENS)).unwrap(), bad);
        assert!(exists(folder.path(), DOCUMENTS));
        fs::remove_file(folder.path().join(TOKENS)).unwrap();
        assert_eq!(Store::open(folder.path()).unwrap().tokens().unwrap(), vec![]);
    }
}
