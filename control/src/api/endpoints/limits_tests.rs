use super::*;

fn table(enabled: bool, names: [Option<&str>; 3]) -> Option<InferenceTableSpec> {
    let [catalog_name, schema_name, table_name_prefix] = names.map(|name| name.map(str::to_owned));
    Some(InferenceTableSpec { enabled: Some(enabled), catalog_name, schema_name, table_name_prefix })
}

/// The names that may not change so.
fn refused(before: Option<InferenceTableSpec>, after: Option<InferenceTableSpec>) -> Vec<String> {
    let problems = renamed_tables("e", before, after);
    problems.iter().map(|problem| problem.at.as_str().rsplit('/').next().unwrap().to_owned()).collect()
}

#[test]
fn tables_are_renamed_only_while_disabled() {
    let on = || table(true, [Some("c"), Some("s"), None]);
    let off = || table(false, [Some("c"), Some("s"), None]);
    let renamed = || table(true, [Some("d"), Some("t"), Some("p")]);
    assert_eq!(refused(on(), renamed()), ["catalog_name", "schema_name", "table_name_prefix"]);
    assert!(refused(off(), renamed()).is_empty());
    assert!(refused(None, renamed()).is_empty());
    assert!(refused(on(), None).is_empty());
    assert!(refused(on(), table(false, [None; 3])).is_empty());
    assert_eq!(refused(on(), table(false, [Some("d"), None, None])), ["catalog_name"]);
    // The default written out is no change; leaving out a prefix is.
    assert!(refused(on(), table(true, [Some("c"), Some("s"), Some("e")])).is_empty());
    assert_eq!(refused(table(true, [Some("c"), Some("s"), Some("p")]), on()), ["table_name_prefix"]);
}
