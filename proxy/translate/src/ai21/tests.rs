use serde_json::{Value, json};

use super::*;
use crate::recorded::fold::{chunks, fold};
use crate::recorded::laws::{answer_to, back, back_for, run};
use crate::{Ask, Asked, Cx, Outgoing, PeekError};

fn ask(pair: &Pair, body: &Value) -> Result<Outgoing, PeekError> {
    let body = body.to_string();
    let ask = Ask::peek(body.as_bytes(), pair.task()).unwrap();
    pair.request(&ask, &Cx { model: "j2-grande/my model", default_max_tokens: None })
}

fn sent(pair: &Pair, body: Value) -> Value {
    serde_json::from_slice(&ask(pair, &body).unwrap().bodies[0]).unwrap()
}

fn refused(pair: &Pair, body: Value) -> String {
    match ask(pair, &body).unwrap_err() {
        PeekError::Field { param, .. } => param.into_owned(),
        other => panic!("{other:?}"),
    }
}

/// A stream of these events, each of them JSON.
fn sse(events: &[Value]) -> Vec<u8> {
    let events: String = events.iter().map(|event| format!("data: {event}\n\n")).collect();
    (events + "data: [DONE]\n\n").into_bytes()
}

#[test]
fn j2_has_its_own_names() {
    let outgoing = ask(
        &COMPLETE,
        &json!({
            "prompt": ["Hi"], "n": 2, "max_tokens": 5, "temperature": 0.5, "top_p": 1, "stop": "a", "seed": 1,
            "presence_penalty": 1, "frequency_penalty": 0.25, "user": "u", "topKReturn": 3, "maxTokens": 9,
        }),
    )
    .unwrap();
    assert_eq!((&*outgoing.path, &*outgoing.dropped), ("/j2-grande%2Fmy%20model/complete", &["seed", "user"][..]));
    assert_eq!(
        serde_json::from_slice::<Value>(&outgoing.bodies[0]).unwrap(),
        json!({
            "prompt": "Hi", "numResults": 2, "maxTokens": 5, "temperature": 0.5, "topP": 1, "stopSequences": ["a"],
            "presencePenalty": {"scale": 1}, "countPenalty": {"scale": 0.25}, "topKReturn": 3,
        })
    );
}

#[test]
fn j2_does_not_stream_and_takes_one_prompt() {
    assert_eq!(refused(&COMPLETE, json!({"prompt": "Hi", "stream": true})), "stream");
    assert_eq!(refused(&COMPLETE, json!({"prompt": ["a", "b"]})), "prompt");
    assert_eq!(refused(&COMPLETE, json!({"prompt": "Hi", "echo": true})), "echo");
    assert_eq!(refused(&COMPLETE, json!({"prompt": "Hi", "logprobs": 2})), "logprobs");
}

#[test]
fn j2_answers_with_a_numeric_id_and_no_tokens_are_read() {
    let theirs = json!({"id": 1234, "prompt": {"text": "Hi"}, "completions": [
        {"data": {"text": "a"}, "finishReason": {"reason": "endoftext"}}, {"data": {"text": "b"}, "finishReason": null},
    ]});
    let ours = answer_to(&COMPLETE, &theirs, Asked::default()).unwrap();
    assert_eq!((&ours["id"], &ours["object"]), (&json!("1234"), &json!("text_completion")));
    assert_eq!((&ours["choices"][1]["text"], &ours["choices"][1]["finish_reason"]), (&json!("b"), &json!("stop")));
    assert_eq!(ours.get("usage"), None);
}

#[test]
fn chat_is_openais_form_of_text_and_tools() {
    let tool = json!({"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}});
    let call = json!({"id": "c", "type": "function", "function": {"name": "f", "arguments": ""}});
    let body = json!({
        "messages": [
            {"role": "developer", "content": "d"},
            {"role": "user", "name": "me", "content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]},
            {"role": "assistant", "content": null, "tool_calls": [call], "reasoning_content": "thought"},
            {"role": "tool", "tool_call_id": "c", "content": "r"},
        ],
        "tools": [tool, {"type": "function", "function": {"name": "g"}}],
        "tool_choice": {"type": "allowed_tools", "allowed_tools": {"mode": "required", "tools": [
            {"type": "function", "function": {"name": "f"}}]}},
        "response_format": {"type": "json_object"}, "max_completion_tokens": 7, "seed": 3, "documents": [],
        "frequency_penalty": 1, "stop": ["x"],
    });
    assert_eq!(ask(&CHAT, &body).unwrap().dropped, ["frequency_penalty"]);
    assert_eq!(
        sent(&CHAT, body),
        json!({
            "model": "j2-grande/my model", "max_tokens": 7, "seed": 3, "stop": ["x"], "documents": [],
            "messages": [
                {"role": "system", "content": "d"}, {"role": "user", "content": "ab"},
                {"role": "assistant", "content": null, "tool_calls": [
                    {"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}]},
                {"role": "tool", "tool_call_id": "c", "content": "r"},
            ],
            "tools": [tool], "tool_choice": "required", "response_format": {"type": "json_object"},
        })
    );
}

#[test]
fn chat_refuses_what_it_cannot_ask() {
    let with = |member: &str, value: Value| json!({"messages": [{"role": "user", "content": "u"}], member: value});
    let image = json!([{"type": "text", "text": "t"}, {"type": "image_url", "image_url": {"url": "https://x/y.png"}}]);
    assert_eq!(refused(&CHAT, with("messages", json!([{"role": "user", "content": image}]))), "messages[0].content[1]");
    assert_eq!(refused(&CHAT, with("messages", json!([{"role": "tool", "content": "r"}]))), "messages[0].tool_call_id");
    assert_eq!(refused(&CHAT, with("tools", json!([{"type": "custom", "custom": {"name": "c"}}]))), "tools[0]");
    for param in ["logprobs", "logit_bias"] {
        assert_eq!(refused(&CHAT, with(param, if param == "logprobs" { true.into() } else { json!({"5": 1}) })), param);
    }
}

#[test]
fn a_schema_is_a_forced_tool_and_its_call_the_answer() {
    let format = json!({"type": "json_schema", "json_schema": {"name": "x", "schema": {"type": "object"}}});
    let body = json!({"messages": [{"role": "user", "content": "u"}], "response_format": format});
    let outgoing = ask(&CHAT, &body).unwrap();
    assert!(outgoing.asked.json_tool);
    let body = sent(&CHAT, body);
    assert_eq!(body["tool_choice"], json!({"type": "function", "function": {"name": "json_answer"}}));
    assert_eq!(body["tools"][0]["function"]["parameters"], json!({"type": "object"}));

    let call = json!({"index": 0, "id": "c", "type": "function", "function": {"name": "json_answer", "arguments": "{\"a\":1}"}});
    let theirs = json!({"id": "i", "choices": [
        {"index": 0, "message": {"role": "assistant", "content": null, "tool_calls": [call]}, "finish_reason": "tool_calls"}]});
    let asked = Asked { json_tool: true, ..Asked::default() };
    let whole = answer_to(&CHAT, &theirs, asked).unwrap();
    assert_eq!(whole["choices"][0]["message"], json!({"role": "assistant", "content": "{\"a\":1}"}));
    assert_eq!(whole["choices"][0]["finish_reason"], "stop");

    let events = [
        json!({"id": "i", "choices": [{"index": 0, "delta": {"role": "assistant", "tool_calls": [call]}, "finish_reason": null}]}),
        json!({"id": "i", "choices": [{"index": 0, "delta": {}, "finish_reason": "tool_calls"}]}),
    ];
    let (sent, _) = run(&CHAT, back_for(asked), &sse(&events), &[usize::MAX]);
    assert_eq!(fold(&chunks(&sent), Task::Chat), whole);
}

#[test]
fn interleaved_choices_and_calls_are_told_apart() {
    let delta = |choice: u64, delta: Value| json!({"id": "i", "choices": [{"index": choice, "delta": delta, "finish_reason": null}]});
    let call = |index: u64, id: Value, name: Value, arguments: &str| json!({"tool_calls": [{"index": index, "id": id, "function": {"name": name, "arguments": arguments}}]});
    let end = |choice: u64, reason: &str| json!({"id": "i", "choices": [{"index": choice, "delta": {}, "finish_reason": reason}]});
    let events = [
        delta(0, json!({"role": "assistant"})),
        delta(1, json!({"role": "assistant", "content": "b"})),
        delta(0, json!({"content": "a"})),
        delta(0, call(0, "x".into(), "f".into(), "")),
        delta(1, json!({"content": "B"})),
        delta(1, call(0, "z".into(), "h".into(), "{}")),
        delta(0, call(1, "y".into(), "g".into(), "{\"n\"")),
        delta(0, call(1, Value::Null, Value::Null, ":1}")),
        end(1, "length"),
        end(0, "tool_calls"),
    ];
    let (sent, stream) = run(&CHAT, back(true), &sse(&events), &[1]);
    assert_eq!(stream.outcome(), Some(Ok(())));
    let whole = fold(&chunks(&sent), Task::Chat);
    let message = &whole["choices"][0]["message"];
    assert_eq!(message["content"], "a");
    assert_eq!(message["tool_calls"][0]["function"]["arguments"], "{}");
    assert_eq!(message["tool_calls"][1]["function"]["arguments"], "{\"n\":1}");
    let other = &whole["choices"][1]["message"];
    assert_eq!((&other["content"], &other["tool_calls"][0]["function"]["name"]), (&json!("bB"), &json!("h")));
    assert_eq!(other["tool_calls"][0]["id"], "z");
    assert_eq!(whole["choices"][1]["finish_reason"], "length");
}

#[test]
fn errors_under_a_good_status_are_errors() {
    let detail = json!({"detail": "Too much top-secret-key."});
    let Err(Failure::Provider(error)) = answer_to(&CHAT, &detail, Asked::default()) else { panic!("an error") };
    assert!(error.message.starts_with("Too much ") && !error.message.contains("top-secret"), "{error:?}");
    assert_eq!(answer_to(&COMPLETE, &json!({}), Asked::default()), Err(Broken::Lacks("completions").into()));
    let (sent, stream) = run(&CHAT, back(true), format!("data: {detail}\n\n").as_bytes(), &[usize::MAX]);
    assert!(sent.is_empty());
    assert!(matches!(stream.outcome(), Some(Err(Failure::Provider(_)))));
    let cut = sse(&[json!({"id": "i", "choices": [{"index": 0, "delta": {"content": "a"}, "finish_reason": "stop"}]})]);
    let (_, stream) = run(&CHAT, back(true), cut.strip_suffix(b"data: [DONE]\n\n").unwrap(), &[usize::MAX]);
    assert_eq!(stream.outcome(), Some(Err(&Broken::Truncated.into())));
}

#[test]
fn what_is_wrong_where_is_told_in_words() {
    let body = json!({"detail": [
        {"loc": ["body", "n"], "msg": "n is too large", "type": "value_error"}, {"loc": ["body", 0], "msg": "no"},
    ]});
    let body = body.to_string();
    let header = |name: &str| (name == "x-request-id").then_some("r");
    let error = CHAT.error(&Reply { status: 422, header: &header, body: body.as_bytes() }, &Secrets::default());
    assert_eq!((&*error.message, error.param.as_deref()), ("n is too large; no", Some("n")));
    assert_eq!(error.request_id.as_deref(), Some("r"));
}
