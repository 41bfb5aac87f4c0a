use serde_json::{Value, json};

use super::*;
use crate::recorded::laws::fill;
use crate::{Task, write};

fn chunks(task: Task, include_usage: bool, write: impl FnOnce(&mut Chunks)) -> Vec<Value> {
    let mut chunks = Chunks::new(task, include_usage, fill());
    write(&mut chunks);
    chunks.end();
    let sent = String::from_utf8(chunks.take().to_vec()).unwrap();
    let events = sent.strip_suffix("data: [DONE]\n\n").unwrap();
    let event = |event: &str| serde_json::from_str(event.strip_prefix("data: ").unwrap()).unwrap();
    events.split_terminator("\n\n").map(event).collect()
}

fn deltas(chunks: &[Value]) -> Vec<Value> {
    chunks.iter().map(|chunk| chunk["choices"][0]["delta"].clone()).collect()
}

const USAGE: Usage = Usage { fresh_input: 1, cache_read: 2, cache_write: 4, reasoning: 8, output: 16 };

#[test]
fn usage_reads_as_it_was_written() {
    let json = serde_json::to_string(&USAGE).unwrap();
    assert_eq!(Usage::from_openai(&json), Some(USAGE));
    let expected = json!({
        "prompt_tokens": 7, "completion_tokens": 24, "total_tokens": 31,
        "prompt_tokens_details": {"cached_tokens": 2, "cache_write_tokens": 4},
        "completion_tokens_details": {"reasoning_tokens": 8},
    });
    assert_eq!(serde_json::from_str::<Value>(&json).unwrap(), expected);
}

#[test]
fn the_role_comes_first_and_once() {
    let sent = chunks(Task::Chat, false, |out| {
        out.reasoning(0, "r");
        out.text(0, "");
        out.text(0, "t");
        out.finish(0, Finish::Length);
        out.finish(0, Finish::Stop);
    });
    assert_eq!(
        deltas(&sent),
        [json!({"role": "assistant", "content": null, "reasoning_content": "r"}), json!({"content": "t"}), json!({}),]
    );
    let reasons: Vec<_> = sent.iter().map(|chunk| chunk["choices"][0]["finish_reason"].clone()).collect();
    assert_eq!(reasons, [json!(null), json!(null), json!("length")]);
    let empty = chunks(Task::Chat, false, |_| {});
    assert_eq!(deltas(&empty), [json!({"role": "assistant", "content": ""})]);
    assert_eq!(empty[0]["choices"][0]["finish_reason"], "stop");
}

#[test]
fn calls_are_numbered_and_never_without_arguments() {
    let sent = chunks(Task::Chat, false, |out| {
        let mut first = out.call(0, Some("a"), "f");
        let second = out.call(0, None, "g");
        out.arguments(&mut first, "");
        out.arguments(&mut first, "{\"x\":");
        out.arguments(&mut first, "1}");
        out.call_end(second);
        out.call_end(first);
        assert!(out.has_calls(0) && !out.has_calls(1));
        out.finish(0, Finish::ToolCalls);
    });
    let call = |json: Value| json!({"tool_calls": [json]});
    assert_eq!(
        deltas(&sent),
        [
            json!({"role": "assistant", "content": null, "tool_calls":
            [{"index": 0, "id": "a", "type": "function", "function": {"name": "f", "arguments": ""}}]}),
            call(
                json!({"index": 1, "id": "call_filled_1", "type": "function", "function": {"name": "g", "arguments": ""}})
            ),
            call(json!({"index": 0, "function": {"arguments": "{\"x\":"}})),
            call(json!({"index": 0, "function": {"arguments": "1}"}})),
            call(json!({"index": 1, "function": {"arguments": "{}"}})),
            json!({}),
        ]
    );
}

#[test]
fn usage_comes_last_and_only_if_asked() {
    let write = |out: &mut Chunks| {
        out.usage(Usage::default());
        out.text(0, "x");
        out.usage(USAGE);
    };
    let sent = chunks(Task::Chat, true, write);
    assert_eq!((sent.len(), &sent[2]["choices"], &sent[2]["usage"]["total_tokens"]), (3, &json!([]), &json!(31)));
    assert!(sent[..2].iter().all(|chunk| chunk.get("usage").is_none()));
    assert_eq!(chunks(Task::Chat, false, write).len(), 2);
    assert_eq!(chunks(Task::Chat, true, |out| out.text(0, "x")).len(), 2, "no usage where the provider gives none");
}

#[test]
fn ids_do_not_change_once_sent() {
    let sent = chunks(Task::Completions, true, |out| {
        out.name(Some(""), None);
        out.name(Some("first"), Some("model"));
        out.text(1, "x");
        out.name(Some("second"), Some("other"));
        out.text(900, "y");
    });
    for chunk in &sent {
        assert_eq!((&chunk["id"], &chunk["model"], &chunk["created"]), (&json!("first"), &json!("model"), &json!(77)));
        assert_eq!(chunk["object"], "text_completion");
    }
    assert_eq!(sent[0]["choices"][0], json!({"index": 1, "text": "x", "logprobs": null, "finish_reason": null}));
    assert_eq!(sent[1]["choices"][0]["index"], 15);
    assert_eq!(sent.len(), 2 + 16, "every choice ends");
}

#[test]
fn whole_answers_are_filled_like_streams() {
    let mut answer = Completed { usage: Some(USAGE), ..Completed::default() };
    answer.choices.push(Choice::default());
    answer.choices.push(Choice {
        calls: vec![
            Call { id: None, name: "f".into(), arguments: " ".into() },
            Call { id: Some("b".into()), name: "g".into(), arguments: "{\"x\":1}".into() },
        ],
        finish: Finish::ToolCalls,
        own: Some(("provider", json!({"x": 1}))),
        ..Choice::default()
    });
    let written: Value = serde_json::from_slice(&answer.write(Task::Chat, &fill())).unwrap();
    assert_eq!(written["id"], "chatcmpl-filled");
    assert_eq!(
        written["choices"][0],
        json!({
            "index": 0, "message": {"role": "assistant", "content": ""}, "logprobs": null, "finish_reason": "stop",
        })
    );
    assert_eq!(
        written["choices"][1]["message"],
        json!({
            "role": "assistant", "content": null, "provider": {"x": 1}, "tool_calls": [
                {"id": "call_filled_1_0", "type": "function", "function": {"name": "f", "arguments": "{}"}},
                {"id": "b", "type": "function", "function": {"name": "g", "arguments": "{\"x\":1}"}},
            ],
        })
    );
    assert_eq!(answer.answer_chars(), 1 + 1 + 1 + 7);
}

#[test]
fn vectors_come_as_asked_and_in_order() {
    let raw = |json: &'static str| serde_json::from_str(json).unwrap();
    let batch = |vectors, tokens| Vectors {
        model: None,
        vectors,
        usage: Some(Usage { fresh_input: tokens, ..Usage::default() }),
    };
    let batches = [batch(vec![raw("[0.25,-1]"), raw("[1e-3]")], 3), batch(vec![raw("[2]")], 4)];
    let write =
        |base64| -> Value { serde_json::from_slice(&write::vectors(&batches, base64, &fill()).unwrap()).unwrap() };
    assert_eq!(
        write(false),
        json!({
            "object": "list", "model": "filled-model", "usage": {"prompt_tokens": 7, "total_tokens": 7}, "data": [
                {"object": "embedding", "index": 0, "embedding": [0.25, -1]},
                {"object": "embedding", "index": 1, "embedding": [0.001]},
                {"object": "embedding", "index": 2, "embedding": [2]},
            ],
        })
    );
    assert_eq!(write(true)["data"][0]["embedding"], "AACAPgAAgL8=");
    let bad = [Vectors { vectors: vec![raw("[\"x\"]")], ..Vectors::default() }];
    assert!(write::vectors(&bad, true, &fill()).is_err());
    let bad = [Vectors { vectors: vec![raw("5")], ..Vectors::default() }];
    assert!(write::vectors(&bad, false, &fill()).is_err());
}
