use serde_json::json;

use super::*;
use crate::recorded::laws::{answer_to, back};
use crate::vertex::{GENERATE, GENERATE_TEXT};
use crate::{Asked, Secrets};

fn failure_of(body: &str) -> Failure {
    let reply = Reply { status: 200, header: &|_| None, body: body.as_bytes() };
    GENERATE.answer(&[reply], &back(false)).map(|answer| answer.body).unwrap_err()
}

#[test]
fn nothing_at_all_is_no_answer() {
    assert_eq!(failure_of("{}"), Broken::Lacks("candidates").into());
    assert_eq!(failure_of(r#"{"candidates":[],"promptFeedback":{}}"#), Broken::Lacks("candidates").into());
    assert_eq!(failure_of("[]"), Broken::NotJson.into());
}

#[test]
fn a_candidate_may_lack_content_parts_or_a_reason() {
    let theirs = json!({"candidates": [{"finishReason": "RECITATION"}, {"index": 1, "content": {"role": "model"}}]});
    let ours = answer_to(&GENERATE, &theirs, Asked::default()).unwrap();
    assert_eq!(ours["choices"][0]["finish_reason"], "content_filter");
    assert_eq!(ours["choices"][0]["message"][PROVIDER], json!({"finishReason": "RECITATION"}));
    assert_eq!(
        (&ours["choices"][1]["message"]["content"], &ours["choices"][1]["finish_reason"]),
        (&json!(""), &json!("stop"))
    );
}

#[test]
fn candidates_are_in_the_order_of_their_numbers() {
    let one =
        |index: u64, text: &str| json!({"index": index, "content": {"parts": [{"text": text}]}, "finishReason": 1});
    let theirs = json!({"candidates": [one(1, "b"), one(0, "a")]});
    let ours = answer_to(&GENERATE, &theirs, Asked::default()).unwrap();
    assert_eq!(
        (&ours["choices"][0]["message"]["content"], &ours["choices"][1]["message"]["content"]),
        (&json!("a"), &json!("b"))
    );
}

#[test]
fn completions_have_the_same_answers() {
    let theirs = json!({"candidates": [{"content": {"parts": [{"text": "a"}, {"text": "b"}]}, "finishReason": 2}]});
    let ours = answer_to(&GENERATE_TEXT, &theirs, Asked::default()).unwrap();
    assert_eq!(ours["choices"][0], json!({"index": 0, "text": "ab", "logprobs": null, "finish_reason": "length"}));
}

#[test]
fn errors_are_read_alone_and_in_an_array() {
    let error =
        json!({"error": {"code": 400, "message": "bad top-secret-key", "status": "INVALID_ARGUMENT", "details": []}});
    for body in [error.to_string(), json!([error]).to_string()] {
        let reply = Reply { status: 400, header: &|_| None, body: body.as_bytes() };
        let told = GENERATE.error(&reply, &Secrets::new(["top-secret-key"]));
        assert!(told.message.starts_with("bad ") && !told.message.contains("top-secret"), "{told:?}");
        assert_eq!((told.kind.as_deref(), told.code.as_deref()), (Some("INVALID_ARGUMENT"), Some("400")));
        let Failure::Provider(inside) = failure_of(&body) else { panic!("the provider's error") };
        assert_eq!(inside.implied_status(), 400);
    }
    let reply = Reply { status: 502, header: &|_| None, body: b"<html><b>Bad Gateway</b></html>" };
    assert_eq!(GENERATE.error(&reply, &Secrets::default()).message, "Bad Gateway");
}
