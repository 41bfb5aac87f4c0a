use serde_json::Value;

use super::*;
use crate::bedrock::{CONVERSE, INVOKE_TITAN};
use crate::recorded::laws::{answer_to, back, run};
use crate::split::tests::frame;
use crate::{Asked, Pair};

fn read(status: u16, kind: Option<&str>, body: &str) -> ProviderError {
    let header = |name: &str| match name {
        "x-amzn-errortype" => kind,
        "x-amzn-requestid" => Some("req-1"),
        _ => None,
    };
    error(&Reply { status, header: &header, body: body.as_bytes() }, &Secrets::new(["top-secret-key"]))
}

#[test]
fn the_type_is_in_a_header_or_in_the_body_or_nowhere() {
    let error = read(429, Some("ThrottlingException:http://internal.amazon.com/coral/"), r#"{"message":"slow"}"#);
    assert_eq!((error.kind.as_deref(), &*error.message), (Some("ThrottlingException"), "slow"));
    assert_eq!(error.request_id.as_deref(), Some("req-1"));
    let error = read(404, None, r#"{"__type":"com.amazon.coral.service#UnknownOperationException"}"#);
    assert_eq!(error.kind.as_deref(), Some("UnknownOperationException"));
    assert_eq!(error.message, "the provider reports UnknownOperationException");
    let error = read(403, None, r#"{"Message":"User is not authorized; key top-secret-key"}"#);
    assert_eq!(error.kind, None);
    assert!(error.message.starts_with("User is not authorized") && !error.message.contains("top-secret"));
    let error = read(503, None, "<html><body>Service Unavailable</body></html>");
    assert_eq!(error.message, "Service Unavailable");
    assert_eq!(read(400, None, "").message, "");
}

#[test]
fn a_models_failure_is_not_the_clients() {
    let of = |kind, body| read(424, Some(kind), body).implied_status();
    assert_eq!(of("ModelErrorException", r#"{"message":"m","originalStatusCode":400}"#), 502);
    assert_eq!(of("ModelErrorException", r#"{"message":"m","originalStatusCode":429}"#), 429);
    assert_eq!(of("ServiceQuotaExceededException", r#"{"message":"m"}"#), 429);
    assert_eq!(of("ModelTimeoutException", r#"{"message":"m"}"#), 504);
}

/// What a stream ends with after one piece of text.
fn broken_by(pair: &'static Pair, text: (&str, &str), name: &str, payload: &str) -> (String, ProviderError) {
    let bytes = [
        frame(&[(":event-type", text.0), (":message-type", "event")], text.1.as_bytes()),
        frame(&[(":exception-type", name), (":message-type", "exception")], payload.as_bytes()),
    ]
    .concat();
    let (sent, stream) = run(pair, back(true), &bytes, &[3]);
    let Some(Err(Failure::Provider(error))) = stream.outcome() else { panic!("{:?}", stream.outcome()) };
    (String::from_utf8(sent).unwrap(), error.clone())
}

#[test]
fn an_exception_frame_ends_a_stream_with_its_error() {
    let text = ("contentBlockDelta", r#"{"contentBlockIndex":0,"delta":{"text":"Hi"}}"#);
    let titan = ("chunk", r#"{"bytes":"eyJvdXRwdXRUZXh0IjoiSGkifQ=="}"#);
    for (name, payload, status) in [
        ("throttlingException", r#"{"message":"slow down"}"#, 429),
        ("modelStreamErrorException", r#"{"message":"m","originalStatusCode":500,"originalMessage":"o"}"#, 502),
        ("internalServerException", r#"{"message":"m"}"#, 500),
        ("serviceUnavailableException", r#"{"message":"m"}"#, 503),
        ("validationException", r#"{"message":"m"}"#, 400),
        ("modelTimeoutException", r#"{"message":"m"}"#, 504),
        ("somethingNewException", r#"{"message":"m"}"#, 502),
        ("throttlingException", "", 429),
    ] {
        for (pair, text) in [(&CONVERSE, text), (&INVOKE_TITAN, titan)] {
            let (sent, error) = broken_by(pair, text, name, payload);
            assert!(sent.contains("Hi") && !sent.contains("[DONE]"), "{sent}");
            assert_eq!((error.kind.as_deref(), error.implied_status()), (Some(name), status), "{payload}");
            assert!(!error.message.is_empty());
        }
    }
}

#[test]
fn an_error_in_place_of_an_answer_is_told() {
    for pair in crate::bedrock::PAIRS {
        if pair.task() != crate::Task::Chat && pair.api == "invoke (anthropic)" {
            continue;
        }
        let answer = |body: &str| {
            let json: Value = serde_json::from_str(body).unwrap();
            answer_to(pair, &json, Asked::default()).unwrap_err()
        };
        if pair.api != "invoke (anthropic messages)" {
            let Failure::Provider(error) = answer(r#"{"message":"no"}"#) else { panic!("{}", pair.api) };
            assert_eq!(error.message, "no");
        }
        assert!(matches!(answer(r#"{"x":1}"#), Failure::Broken(Broken::Lacks(_))), "{}", pair.api);
    }
}
