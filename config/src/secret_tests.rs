use super::*;

#[test]
fn references_are_whole_strings_of_three_forms() {
    assert_eq!(
        Reference::parse("{{secrets/prod/openai.key}}"),
        Some(Reference::Store { scope: "prod", key: "openai.key" })
    );
    assert_eq!(Reference::parse("{{env/OPENAI_API_KEY}}"), Some(Reference::Env("OPENAI_API_KEY")));
    assert_eq!(Reference::parse("{{file/keys/a.txt}}"), Some(Reference::File("keys/a.txt")));
    for wrong in [
        "",
        "sk-123",
        "{{secrets/prod}}",
        "{{secrets/a/b/c}}",
        " {{env/A}}",
        "{{env/}}",
        "{{vault/a/b}}",
        "{{env/A B}}",
        "{{file/}}",
        "{{{{env/A}}}}",
    ] {
        assert_eq!(Reference::parse(wrong), None, "{wrong}");
    }
}

#[test]
fn a_file_secret_loses_only_its_last_line_breaks() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("key"), "line 1\nline 2\r\n\n").unwrap();
    let resolver = Resolver { folder: folder.path(), store: &NoSecrets };
    assert_eq!(resolver.resolve("{{file/key}}").value(), Some("line 1\nline 2"));
}

#[test]
fn what_is_missing_says_why_and_never_panics() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("empty"), "\n").unwrap();
    let resolver = Resolver { folder: folder.path(), store: &NoSecrets };
    for (reference, part) in [
        ("{{env/WEIRGATE_TEST_SURELY_UNSET}}", "not set"),
        ("{{file/absent}}", "cannot be read"),
        ("{{file/empty}}", "empty"),
        ("{{secrets/prod/openai}}", "no key `openai` in scope `prod`"),
    ] {
        match resolver.resolve(reference) {
            Secret::Missing { why, .. } => assert!(why.contains(part), "{why}"),
            Secret::Value(_) => panic!("{reference} has a value"),
        }
    }
}

#[test]
fn no_debug_output_shows_a_value() {
    let secret = Secret::Value(SecretText::new("sk-very-secret"));
    assert_eq!(format!("{secret:?}"), "Value(<redacted>)");
}
