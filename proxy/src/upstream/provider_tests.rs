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
fn a_secret_that_would_break_a_header_is_refused_without_being_told() {
    let value = Secret::Value(weirgate_config::SecretText::new("line\r\nx-evil: 1"));
    let refusal = secret_value(&value).unwrap_err();
    assert_eq!(refusal.reason, Reason::SecretMissing);
    assert!(!refusal.message.contains("evil"));
    // A last line break is what files and `kubectl create secret` leave.
    let value = Secret::Value(weirgate_config::SecretText::new("key\n"));
    assert_eq!(secret_value(&value).unwrap(), "key");
}
