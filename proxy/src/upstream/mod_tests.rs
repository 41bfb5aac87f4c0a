use super::*;

fn url(text: &str) -> Url {
    text.parse().unwrap()
}

#[test]
fn paths_are_appended_whatever_the_base_ends_in() {
    for base in ["http://h/v1", "http://h/v1/"] {
        assert_eq!(join(&url(base), "chat/completions").as_str(), "http://h/v1/chat/completions");
    }
    assert_eq!(join(&url("http://h"), "v1/models").as_str(), "http://h/v1/models");
    assert_eq!(join(&url("http://h/a?k=v"), "b").as_str(), "http://h/a/b?k=v");
}

#[test]
fn a_custom_url_is_taken_as_given_when_it_names_a_task() {
    for whole in ["http://h/x/chat/completions", "http://h/embeddings/", "http://h/completions?v=1"] {
        assert_eq!(custom_url(&url(whole), Task::Embeddings).as_str(), whole);
    }
    assert_eq!(custom_url(&url("http://h/v1"), Task::Chat).as_str(), "http://h/v1/chat/completions");
    assert_eq!(custom_url(&url("http://h"), Task::Completions).as_str(), "http://h/completions");
}

#[test]
fn the_head_holds_what_was_prepared_and_what_is_passed_on() {
    let prepared =
        head(&url("http://example.test:81/v1/chat/completions?v=1"), &[("authorization", "Bearer k".into())]);
    let upstream = Upstream {
        provider: "openai",
        address: Arc::new(Address::of_url(&url("http://example.test:81"), true, Timeouts::default()).unwrap()),
        timeouts: Timeouts::default(),
        head: prepared,
        model: ModelName::Fixed("m".into()),
        secrets: Secrets::default(),
        engine: None,
    };
    let text = String::from_utf8(upstream.request_head(12, &[("x-request-id", b"r1")])).unwrap();
    assert!(
        text.starts_with(
            "POST /v1/chat/completions?v=1 HTTP/1.1\r\nhost: example.test:81\r\nauthorization: Bearer k\r\n"
        )
    );
    assert!(text.ends_with("x-request-id: r1\r\ncontent-length: 12\r\n\r\n"), "{text}");
}

#[test]
fn a_secret_that_would_break_a_header_is_refused_without_being_told() {
    let value = Secret::Value(weirgate_config::SecretText::new("line\r\nx-evil: 1"));
    let refusal = secret_value(&value).unwrap_err();
    assert_eq!(refusal.reason, Reason::SecretMissing);
    assert!(!refusal.message.contains("evil"));
    // A last line break is what files and `kubectl create secret` leave.
    let value = Secret::Value(weirgate_config::SecretText::new("key\n"));
    assert_eq!(secret_value(&value).unwrap(), "key");
}

#[test]
fn path_segments_are_escaped() {
    assert_eq!(encode("databricks-meta-llama-3.3_70b"), "databricks-meta-llama-3.3_70b");
    assert_eq!(encode("a/b c?d"), "a%2Fb%20c%3Fd");
}
