use proptest::prelude::*;

use super::*;
use crate::recorded;
use serde_json::json;

fn read(body: &str) -> ProviderError {
    ProviderError::read(body.as_bytes(), &Secrets::default())
}

fn error(message: &str, kind: Option<&str>, param: Option<&str>, code: Option<&str>) -> ProviderError {
    let own = |text: Option<&str>| text.map(str::to_owned);
    ProviderError { message: message.into(), kind: own(kind), param: own(param), code: own(code) }
}

#[test]
fn reads_the_shapes_of_providers() {
    for (body, expected) in [
        (r#"{"error":{"message":"m","type":"t","param":"p","code":"c"}}"#, error("m", Some("t"), Some("p"), Some("c"))),
        (r#"{"error":{"message":"m","type":null,"code":429}}"#, error("m", None, None, Some("429"))),
        (r#"{"error":"m"}"#, error("m", None, None, None)),
        (r#"{"error_code":"BAD_REQUEST","message":"m"}"#, error("m", None, None, Some("BAD_REQUEST"))),
        (
            r#"{"object":"error","message":"m","type":"BadRequestError","param":null,"code":400}"#,
            error("m", Some("BadRequestError"), None, Some("400")),
        ),
        (r#"{"detail":"Not Found"}"#, error("Not Found", None, None, None)),
        (r#"{"detail":[{"msg":"x"}]}"#, error(r#"[{"msg":"x"}]"#, None, None, None)),
        (r#"{"other":1}"#, error(r#"{"other":1}"#, None, None, None)),
        ("upstream  connect\nerror", error("upstream connect error", None, None, None)),
        ("<html><body><h1>502 Bad Gateway</h1>\n</body></html>", error("502 Bad Gateway", None, None, None)),
        ("", error("", None, None, None)),
        ("null", error("", None, None, None)),
    ] {
        assert_eq!(read(body), expected, "{body}");
    }
}

#[test]
fn recorded_errors_keep_their_message() {
    for provider in ["openai", "databricks-model-serving"] {
        let errors: Vec<_> = recorded::all(provider).into_iter().filter(|recorded| recorded.status >= 400).collect();
        assert!(!errors.is_empty());
        for recorded in errors {
            let json = &recorded.response["body"];
            let error = ProviderError::read(&recorded.body().unwrap(), &Secrets::default());
            let message = json["error"]["message"].as_str().or(json["message"].as_str()).unwrap();
            assert_eq!(error.message, message, "{}", recorded.name);
            let code = json["error"]["code"].as_str().or(json["error_code"].as_str());
            assert_eq!(error.code.as_deref(), code, "{}", recorded.name);
        }
    }
}

#[test]
fn is_bounded_and_clean() {
    let long = read(&format!(r#"{{"error":{{"message":"{}","code":"{}"}}}}"#, "é".repeat(9000), "c".repeat(9000)));
    assert_eq!(long.message.chars().count(), MAX_MESSAGE + 1);
    assert_eq!(long.code.unwrap().chars().count(), MAX_NAME + 1);
    assert_eq!(read(&"x".repeat(1 << 20)).message.chars().count(), MAX_MESSAGE + 1);

    let secrets = Secrets::new(["top/secret"]);
    let body = br#"{"error":{"message":"Unexpected error with top\/secret","type":"top/secret"}}"#;
    let expected = error("Unexpected error with [masked]", Some("[masked]"), None, None);
    assert_eq!(ProviderError::read(body, &secrets), expected);
    assert_eq!(
        masked(body, &secrets),
        json!({"error": {"message": "Unexpected error with [masked]", "type": "[masked]"}})
    );
    assert_eq!(masked(b"<p>no top/secret</p>", &secrets), json!("no [masked]"));
}

#[test]
fn codes_inside_a_stream_imply_a_status() {
    for (body, status) in [
        (r#"{"error":{"message":"","code":429}}"#, 429),
        (r#"{"error":{"message":"","code":"rate_limit_exceeded","type":"tokens"}}"#, 429),
        (r#"{"object":"error","message":"","code":400}"#, 400),
        (r#"{"error":{"message":"","type":"server_error"}}"#, 502),
        (r#"{"error":{"message":"","code":"invalid_api_key"}}"#, 403),
        (r#"{"error":{"message":"","code":7}}"#, 502),
    ] {
        assert_eq!(read(body).implied_status(), status, "{body}");
    }
}

proptest! {
    #[test]
    fn any_bytes_are_survived(body in prop::collection::vec(any::<u8>(), 0..256)) {
        let error = ProviderError::read(&body, &Secrets::new(["secret"]));
        prop_assert!(error.message.chars().count() <= MAX_MESSAGE + 1);
        masked(&body, &Secrets::default());
    }
}
