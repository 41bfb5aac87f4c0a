use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::recorded;

const CHAT: &str = r#""messages":[{"role":"user","content":"Hi"}]"#;

fn chat(rest: &str) -> String {
    format!("{{{CHAT}{rest}}}")
}

/// The field at fault in a chat request with these members added.
fn fault(rest: &str) -> (Option<String>, String) {
    let body = chat(rest);
    let error = Ask::peek(body.as_bytes(), Task::Chat).unwrap_err();
    (error.param().map(str::to_owned), error.to_string())
}

fn outgoing(body: &str, model: Model<'_>) -> String {
    let ask = Ask::peek(body.as_bytes(), Task::Chat).unwrap();
    String::from_utf8(ask.outgoing(model).to_vec()).unwrap()
}

#[test]
fn finds_what_the_gateway_needs() {
    let body = chat(
        r#", "model": "a\u0062c", "stream":true, "stream_options":{"include_usage":true,"x":1}, "max_tokens":9,
        "max_completion_tokens": 7, "n":2, "client_request_id":"r1", "usage_context":{"team":"x"}"#,
    );
    let ask = Ask::peek(body.as_bytes(), Task::Chat).unwrap();
    assert_eq!(ask.model.as_deref(), Some("abc"));
    assert!(ask.stream && ask.include_usage);
    assert_eq!((ask.max_tokens, ask.n, ask.messages, ask.prompt_chars), (Some(7), 2, 1, 2));
    assert_eq!((ask.client_request_id.as_deref(), ask.usage_context), (Some("r1"), Some(r#"{"team":"x"}"#)));
    assert_eq!(ask.task(), Task::Chat);
}

#[test]
fn null_is_absent() {
    let nulls = r#","model":null,"stream":null,"stream_options":null,"max_tokens":null,"n":null,"temperature":null,
        "stop":null,"inputs":null,"client_request_id":null,"usage_context":null,"extra_params":null"#;
    let body = chat(nulls);
    let ask = Ask::peek(body.as_bytes(), Task::Chat).unwrap();
    assert!(ask.model.is_none() && ask.client_request_id.is_none() && ask.usage_context.is_none());
    assert_eq!((ask.stream, ask.include_usage, ask.max_tokens, ask.n), (false, false, None, 1));
    let sent: Value = serde_json::from_str(&outgoing(&body, Model::Name("m"))).unwrap();
    assert_eq!(sent["model"], "m");
    assert!(sent.get("extra_params").is_none() && sent.get("client_request_id").is_none());
}

#[test]
fn wrong_fields_are_named() {
    for (rest, param) in [
        (r#","model":5"#, "model"),
        (r#","model":"\ud800""#, "model"),
        (r#","model":"a","mod\u0065l":"b""#, "model"),
        (r#","messages":[]"#, "messages"),
        (r#","stream":"true""#, "stream"),
        (r#","stream":1"#, "stream"),
        (r#","stream":true,"stream":false"#, "stream"),
        (r#","stream_options":[true]"#, "stream_options"),
        (r#","stream_options":{"include_usage":1}"#, "stream_options"),
        (r#","max_tokens":0"#, "max_tokens"),
        (r#","max_tokens":-1"#, "max_tokens"),
        (r#","max_tokens":1.5"#, "max_tokens"),
        (r#","max_tokens":99999999999999999999"#, "max_tokens"),
        (r#","max_completion_tokens":"5""#, "max_completion_tokens"),
        (r#","n":0"#, "n"),
        (r#","n":6"#, "n"),
        (r#","temperature":2.01"#, "temperature"),
        (r#","temperature":-0.1"#, "temperature"),
        (r#","temperature":1e999"#, "temperature"),
        (r#","top_p":1.1"#, "top_p"),
        (r#","presence_penalty":-3"#, "presence_penalty"),
        (r#","frequency_penalty":3"#, "frequency_penalty"),
        (r#","stop":5"#, "stop"),
        (r#","stop":["a",5]"#, "stop"),
        (r#","client_request_id":5"#, "client_request_id"),
        (r#","usage_context":"x""#, "usage_context"),
        (r#","usage_context":{"a":1}"#, "usage_context"),
        (r#","extra_params":[]"#, "extra_params"),
        (r#","extra_params":{"top_k":5}"#, "extra_params"),
        (r#","extra_params":{"temperature":"3"}"#, "temperature"),
        (r#","extra_params":{"inputs":"x"}"#, "inputs"),
        (r#","dataframe_split":{}"#, "dataframe_split"),
        (r#","dataframe_records":[]"#, "dataframe_records"),
        (r#","instances":[]"#, "instances"),
    ] {
        let (found, message) = fault(rest);
        assert_eq!(found.as_deref(), Some(param), "{rest}: {message}");
        assert!(message.starts_with(&format!("`{param}` ")), "{message}");
    }
}

#[test]
fn each_task_needs_its_input() {
    for (task, body, param) in [
        (Task::Chat, "{}", "messages"),
        (Task::Chat, r#"{"messages":null}"#, "messages"),
        (Task::Chat, r#"{"messages":"Hi"}"#, "messages"),
        (Task::Chat, r#"{"messages":[[]]}"#, "messages"),
        (Task::Chat, r#"{"messages":{"a":{}}}"#, "messages"),
        (Task::Completions, r#"{"messages":[{}]}"#, "prompt"),
        (Task::Completions, r#"{"prompt":[ ]}"#, "prompt"),
        (Task::Completions, r#"{"prompt":5}"#, "prompt"),
        (Task::Embeddings, r#"{"prompt":"a"}"#, "input"),
        (Task::Embeddings, r#"{"input":{}}"#, "input"),
        (Task::Embeddings, r#"{"input":"a","stream":true}"#, "stream"),
    ] {
        let error = Ask::peek(body.as_bytes(), task).unwrap_err();
        assert_eq!(error.param(), Some(param), "{body}");
    }
    for (task, body, chars) in [
        (Task::Completions, r#"{"prompt":""}"#, 0),
        (Task::Completions, r#"{"prompt":["ab","c"],"n":5}"#, 3),
        (Task::Embeddings, r#"{"input":[[1,2],[3]],"stream":false}"#, 12),
    ] {
        assert_eq!(Ask::peek(body.as_bytes(), task).unwrap().prompt_chars, chars, "{body}");
    }
}

#[test]
fn what_is_no_json_object_is_refused() {
    let peek = |body: &[u8]| Ask::peek(body, Task::Chat).unwrap_err();
    for body in [&b"[]"[..], b"5", b"\"a\"", b"null", b"[{}]"] {
        assert_eq!(peek(body), PeekError::NotAnObject);
    }
    assert_eq!(peek(b"{\"a\":\"\xFF\"}"), PeekError::Utf8 { at: 6 });
    for body in
        ["", " ", "{", "{}{}", "{\"a\":1,}", "{'a':1}", "{\"a\":01}", "{\"a\":[1}", "{\"a\":\"\n\"}", "\u{feff}{}"]
    {
        assert!(matches!(peek(body.as_bytes()), PeekError::Json { .. }), "{body:?}");
    }
    let body = chat(",\n\"x\":tru");
    assert_eq!(peek(body.as_bytes()), PeekError::Json { line: 2, column: 8 });
}

#[test]
fn deep_nesting_is_no_danger() {
    let deep = "[".repeat(1_000_000);
    assert!(Ask::peek(deep.as_bytes(), Task::Chat).is_err());
    let closed = format!("{deep}{}", "]".repeat(1_000_000));
    assert!(Ask::peek(chat(&format!(",\"x\":{deep}")).as_bytes(), Task::Chat).is_err());
    for field in ["x", "stop", "stream_options", "extra_params"] {
        let _ = Ask::peek(chat(&format!(",\"{field}\":{closed}")).as_bytes(), Task::Chat);
    }
    let extra = chat(&format!(",\"extra_params\":{{\"x\":\"{closed}\"}}"));
    assert!(Ask::peek(extra.as_bytes(), Task::Chat).is_ok());
}

#[test]
fn the_model_is_spliced_and_all_else_kept() {
    let body = "\n{ \"model\" : \"end point\" ,\"messages\":[{\"role\":\"user\",\"content\":\"\\u00e9\\/\"}],\r\n \"x\":1.0e0 }\n";
    assert_eq!(outgoing(body, Model::Name("gpt\"4")), body.replace("\"end point\"", "\"gpt\\\"4\""));
    assert_eq!(outgoing(body, Model::Remove), body.replace(" \"model\" : \"end point\" ,", " "));
    assert_eq!(outgoing(&chat(""), Model::Name("m")), chat("").replacen('{', "{\"model\":\"m\",", 1));
    assert_eq!(outgoing(&chat(""), Model::Remove), chat(""));
}

#[test]
fn private_fields_are_not_sent() {
    let body = chat(r#","client_request_id":"r","model":"e","usage_context":{"a":"b"}"#);
    assert_eq!(outgoing(&body, Model::Name("m")), chat(r#","model":"m""#));
    assert_eq!(outgoing(&body, Model::Remove), chat(""));
}

#[test]
fn extra_params_are_merged() {
    let body = chat(
        r#","temperature":0.5,"extra_params":{"temperature":"9","model":"x","usage_context":"y","top_k":"5","b":"true",
        "l":" [1, 2] ","o":"{\"a\":null}","s":"text","q":"\"q\"","z":"null","bad":"[1","max_tokens":"12"}"#,
    );
    let sent: Value = serde_json::from_str(&outgoing(&body, Model::Name("m"))).unwrap();
    let expected = json!({
        "model": "m", "messages": [{"role": "user", "content": "Hi"}], "temperature": 0.5, "top_k": 5, "b": true,
        "l": [1, 2], "o": {"a": null}, "s": "text", "q": "\"q\"", "z": "null", "bad": "[1", "max_tokens": 12,
    });
    assert_eq!(sent, expected);
    let ask = Ask::peek(body.as_bytes(), Task::Chat).unwrap();
    assert_eq!(ask.max_tokens, Some(12));

    let streamed = chat(r#","extra_params":{"stream":"true"}"#);
    assert!(Ask::peek(streamed.as_bytes(), Task::Chat).unwrap().stream, "gateway and provider must agree");
}

#[test]
fn the_outgoing_body_is_one_exact_allocation() {
    let body = chat(r#","client_request_id":"r","extra_params":{"top_k":"5"}"#);
    let ask = Ask::peek(body.as_bytes(), Task::Chat).unwrap();
    let sent = ask.outgoing(Model::Name("m")).try_into_mut().unwrap();
    assert_eq!(sent.capacity(), sent.len());
}

#[test]
fn recorded_requests_leave_with_only_the_model_changed() {
    for recorded in recorded::all("openai").iter().chain(&recorded::all("databricks-model-serving")) {
        let mut request = recorded.request["body"].clone();
        let body = request.to_string();
        let ask =
            Ask::peek(body.as_bytes(), recorded.task()).unwrap_or_else(|error| panic!("{}: {error}", recorded.name));
        assert_eq!(ask.stream, request["stream"] == true, "{}", recorded.name);
        assert_eq!(ask.include_usage, recorded.asked_for_usage(), "{}", recorded.name);
        assert_eq!(ask.model.as_deref(), request["model"].as_str(), "{}", recorded.name);
        let sent: Value = serde_json::from_slice(&ask.outgoing(Model::Name("x"))).unwrap();
        request["model"] = json!("x");
        assert_eq!(sent, request, "{}", recorded.name);
    }
}

/// Pieces that make nearly valid requests.
const PARTS: &[&str] = &[
    "{",
    "}",
    "[",
    "]",
    ",",
    ":",
    "\"",
    "\"model\":\"m\"",
    "\"messages\":[{\"content\":\"x\"}]",
    "\"stream\":true",
    "null",
    "\"extra_params\":{\"a\":\"1\"}",
    "\"usage_context\":{}",
    "\"n\":",
    "1",
    "\\u0065",
    " ",
    "é",
    "\"client_request_id\":\"\"",
];

proptest! {
    #[test]
    fn any_bytes_are_survived(body in prop::collection::vec(any::<u8>(), 0..128)) {
        let _ = Ask::peek(&body, Task::Chat);
    }

    #[test]
    fn what_is_accepted_leaves_as_an_object_with_the_model(parts in prop::collection::vec(prop::sample::select(PARTS), 0..16)) {
        let inside: Vec<_> = parts.iter().filter(|part| part.len() > 2).copied().collect();
        for body in [parts.concat(), format!("{{{}}}", inside.join(","))] {
            if let Ok(ask) = Ask::peek(body.as_bytes(), Task::Chat) {
                let sent: Value = serde_json::from_slice(&ask.outgoing(Model::Name("new"))).unwrap();
                prop_assert_eq!(&sent["model"], "new");
                let private = ["extra_params", "usage_context", "client_request_id"];
                prop_assert!(private.iter().all(|key| sent.get(key).is_none()));
                let sent: Value = serde_json::from_slice(&ask.outgoing(Model::Remove)).unwrap();
                prop_assert!(sent.get("model").is_none());
            }
        }
    }
}
