use serde_json::{Value, json};

use super::*;
use crate::vertex::pair;
use crate::{Ask, Task};

fn outgoing(stream: bool) -> (Value, String) {
    let body = json!({"messages": [{"role": "user", "content": "Hi"}], "stream": stream}).to_string();
    let ask = Ask::peek(body.as_bytes(), Task::Chat).unwrap();
    let model = "claude-sonnet-4-5@20250929";
    let outgoing = pair(Task::Chat, model).unwrap().request(&ask, &Cx { model, default_max_tokens: Some(7) }).unwrap();
    (serde_json::from_slice(&outgoing.bodies[0]).unwrap(), outgoing.path)
}

#[test]
fn the_model_is_in_the_path_and_the_version_in_the_body() {
    let messages = json!([{"role": "user", "content": "Hi"}]);
    let (body, path) = outgoing(false);
    assert_eq!(path, "/publishers/anthropic/models/claude-sonnet-4-5%4020250929:rawPredict");
    assert_eq!(body, json!({"anthropic_version": "vertex-2023-10-16", "max_tokens": 7, "messages": messages}));
    let (body, path) = outgoing(true);
    assert_eq!(path, "/publishers/anthropic/models/claude-sonnet-4-5%4020250929:streamRawPredict");
    assert_eq!((&body["stream"], &body["messages"]), (&json!(true), &messages));
}

#[test]
fn what_this_cloud_has_no_word_for_is_named_as_dropped() {
    let body = json!({"messages": [{"role": "user", "content": "Hi"}], "service_tier": "default"}).to_string();
    let ask = Ask::peek(body.as_bytes(), Task::Chat).unwrap();
    let cx = Cx { model: "claude-sonnet-4-5@20250929", default_max_tokens: None };
    let outgoing = CLAUDE.request(&ask, &cx).unwrap();
    let sent: Value = serde_json::from_slice(&outgoing.bodies[0]).unwrap();
    assert_eq!((outgoing.dropped, sent.get("service_tier")), (vec!["service_tier"], None));
}

#[test]
fn errors_are_of_either() {
    let read = |body: Value| {
        let body = body.to_string();
        let reply = Reply { status: 429, header: &|_| None, body: body.as_bytes() };
        CLAUDE.error(&reply, &Secrets::default()).kind
    };
    let google = json!({"error": {"code": 429, "message": "m", "status": "RESOURCE_EXHAUSTED"}});
    assert_eq!(read(google).as_deref(), Some("RESOURCE_EXHAUSTED"));
    let anthropic = json!({"type": "error", "error": {"type": "rate_limit_error", "message": "m"}});
    assert_eq!(read(anthropic).as_deref(), Some("rate_limit_error"));
}
