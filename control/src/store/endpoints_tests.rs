use super::*;

fn record(id: &str) -> Record {
    Record { id: id.into(), created_at: 7, ..Record::default() }
}

#[test]
fn rows_are_in_memory_and_on_disk_or_in_neither() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path()).unwrap();
    store.change_records(|rows| rows.put("a", record("1"))).unwrap();
    let failed: Result<(), _> = store.change_records(|rows| {
        rows.put("b", record("2"))?;
        rows.remove("a")?;
        assert!(rows.get("a")?.is_none() && rows.get("b")?.is_some());
        Err(ControlError::MasterKey("any error".into()))
    });
    assert!(failed.is_err());
    let names = |store: &Store| store.records().iter().map(|(name, _)| name.to_string()).collect::<Vec<_>>();
    assert_eq!(names(&store), ["a"]);
    assert_eq!(store.records().with_id("1").map(|(name, _)| &**name), Some("a"));
    let again = Store::open(folder.path()).unwrap();
    assert_eq!(again.record("a"), store.record("a"));
    // What another process writes is seen when it is asked for.
    again.change_records(|rows| rows.put("c", record("3"))).unwrap();
    assert_eq!(names(&store), ["a"]);
    assert!(store.changed_elsewhere().unwrap());
    store.reload_records().unwrap();
    assert_eq!(names(&store), ["a", "c"]);
    // An id belongs to one endpoint.
    assert!(store.change_records(|rows| rows.put("d", record("3"))).is_err());
    assert_eq!(names(&store), ["a", "c"]);
}

#[test]
fn rows_of_other_versions_are_read() {
    assert_eq!(parse("a", "{}").unwrap(), Record::default());
    let later = r#"{"id":"1","update":{"state":"UPDATE_CANCELED","why":"new"},"later":[1]}"#;
    assert_eq!(parse("a", later).unwrap().update, Update::UpdateCanceled);
    assert!(parse("a", "no JSON").is_err());
}

#[test]
fn an_edit_is_known_by_its_content() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path()).unwrap();
    let ada = Author { name: "ada".into(), kind: Some("User".into()) };
    store.announce_edit("a", "digest".into(), ada.clone());
    assert_eq!(store.author_of("a", "digest"), ada);
    assert_eq!(store.author_of("a", "another"), Author::file());
    assert_eq!(store.author_of("b", "digest"), Author::file());
}
