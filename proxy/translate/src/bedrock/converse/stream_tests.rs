use proptest::prelude::*;

use super::*;
use crate::bedrock::CONVERSE;
use crate::recorded::fold::{chunks, fold, normal};
use crate::recorded::laws::{answer_to, back, back_for, run};
use crate::split::tests::frame;
use crate::{Asked, Task};

fn framed(events: &[(&str, Value)]) -> Vec<u8> {
    let frames = events
        .iter()
        .map(|(name, data)| frame(&[(":event-type", name), (":message-type", "event")], data.to_string().as_bytes()));
    frames.collect::<Vec<_>>().concat()
}

fn start(index: u64, start: Value) -> (&'static str, Value) {
    ("contentBlockStart", json!({"contentBlockIndex": index, "start": start}))
}

fn delta(index: u64, delta: Value) -> (&'static str, Value) {
    ("contentBlockDelta", json!({"contentBlockIndex": index, "delta": delta}))
}

fn stop(index: u64) -> (&'static str, Value) {
    ("contentBlockStop", json!({ "contentBlockIndex": index }))
}

fn end(reason: &str) -> [(&'static str, Value); 2] {
    [
        ("messageStop", json!({ "stopReason": reason })),
        (
            "metadata",
            json!({"usage": {"inputTokens": 3, "outputTokens": 5, "cacheReadInputTokens": 7,
            "cacheReadInputTokenCount": 7, "cacheWriteInputTokens": 11}}),
        ),
    ]
}

fn call(index: u64, name: &str) -> (&'static str, Value) {
    start(index, json!({"toolUse": {"toolUseId": format!("t{index}"), "name": name}}))
}

/// The folded stream of these events and an end.
fn streamed(events: &[(&str, Value)], reason: &str, asked: Asked) -> Value {
    let events = [events, &end(reason)].concat();
    let (sent, stream) = run(&CONVERSE, back_for(asked), &framed(&events), &[11]);
    assert_eq!(stream.outcome(), Some(Ok(())));
    normal(fold(&chunks(&sent), Task::Chat))
}

fn whole(blocks: Value, reason: &str, asked: Asked) -> Value {
    let theirs =
        json!({"output": {"message": {"content": blocks}}, "stopReason": reason, "usage": end("")[1].1["usage"]});
    normal(answer_to(&CONVERSE, &theirs, asked).unwrap())
}

const WITH_USAGE: Asked = Asked { include_usage: true, json_tool: false, base64: false };

#[test]
fn usage_comes_after_the_end_and_has_classes() {
    let folded = streamed(&[delta(0, json!({"text": "Hi"}))], "end_turn", WITH_USAGE);
    assert_eq!(folded["choices"][0]["message"]["content"], "Hi");
    let usage = &folded["usage"];
    assert_eq!((&usage["prompt_tokens"], &usage["completion_tokens"]), (&json!(21), &json!(5)));
    assert_eq!(usage["prompt_tokens_details"], json!({"cached_tokens": 7, "cache_write_tokens": 11}));
}

#[test]
fn a_stream_without_its_last_event_is_cut_off() {
    let events = [delta(0, json!({"text": "Hi"})), stop(0), end("end_turn")[0].clone()];
    let (sent, stream) = run(&CONVERSE, back(true), &framed(&events), &[usize::MAX]);
    assert_eq!(stream.outcome(), Some(Err(&Broken::Truncated.into())));
    assert!(!String::from_utf8(sent).unwrap().contains("finish_reason\":\"stop"));
    // Nor is it whole without the event that ends the message.
    let (_, stream) = run(&CONVERSE, back(true), &framed(&[end("end_turn")[1].clone()]), &[usize::MAX]);
    assert_eq!(stream.outcome(), Some(Err(&Broken::Truncated.into())));
}

#[test]
fn empty_arguments_are_an_object_and_calls_are_numbered_here() {
    let events = [
        delta(0, json!({"text": "a"})),
        stop(0),
        call(1, "f"),
        delta(1, json!({"toolUse": {"input": ""}})),
        stop(1),
        call(5, "g"),
        delta(5, json!({"toolUse": {"input": "{\"x\":"}})),
        delta(5, json!({"toolUse": {"input": "1}"}})),
    ];
    let blocks = json!([{"text": "a"}, {"toolUse": {"toolUseId": "t1", "name": "f", "input": {}}},
        {"toolUse": {"toolUseId": "t5", "name": "g", "input": {"x": 1}}}]);
    let folded = streamed(&events, "tool_use", WITH_USAGE);
    assert_eq!(folded, whole(blocks, "tool_use", WITH_USAGE));
    assert_eq!(folded["choices"][0]["finish_reason"], "tool_calls");
}

#[test]
fn reasoning_comes_as_text_and_as_it_goes_back() {
    let thought = |piece: Value| json!({ "reasoningContent": piece });
    let events = [
        delta(0, thought(json!({"text": "th"}))),
        delta(0, thought(json!({"text": "ink"}))),
        delta(0, thought(json!({"signature": "sig"}))),
        stop(0),
        delta(1, thought(json!({"redactedContent": "AA=="}))),
        stop(1),
        delta(2, thought(json!({"text": ""}))),
        stop(2),
        delta(3, json!({"text": "Hi"})),
        stop(3),
    ];
    let blocks = json!([
        {"reasoningContent": {"reasoningText": {"text": "think", "signature": "sig"}}},
        {"reasoningContent": {"redactedContent": "AA=="}}, {"reasoningContent": {"reasoningText": {"text": ""}}},
        {"text": "Hi"},
    ]);
    let folded = streamed(&events, "end_turn", WITH_USAGE);
    assert_eq!(folded, whole(blocks, "end_turn", WITH_USAGE));
    let message = &folded["choices"][0]["message"];
    assert_eq!((&message["reasoning_content"], &message["content"]), (&json!("think"), &json!("Hi")));
    assert_eq!(
        message["reasoning_details"],
        json!([
            {"index": 0, "type": "reasoning.text", "format": FORMAT, "text": "think", "signature": "sig"},
            {"index": 1, "type": "reasoning.encrypted", "format": FORMAT, "data": "AA=="},
        ])
    );
}

#[test]
fn an_answer_by_a_forced_tool_is_text() {
    let asked = Asked { json_tool: true, ..WITH_USAGE };
    for (input, pieces) in [(json!({"a": 1}), &["{\"a\"", ":1}"][..]), (json!({}), &[""][..])] {
        let mut events = vec![call(0, JSON_TOOL)];
        events.extend(pieces.iter().map(|piece| delta(0, json!({"toolUse": {"input": piece}}))));
        events.push(stop(0));
        let folded = streamed(&events, "tool_use", asked);
        let block = json!([{"toolUse": {"toolUseId": "t0", "name": JSON_TOOL, "input": input}}]);
        assert_eq!(folded, whole(block, "tool_use", asked));
        assert_eq!(folded["choices"][0]["finish_reason"], "stop");
        assert_eq!(folded["choices"][0]["message"]["content"], input.to_string());
    }
}

#[test]
fn stop_reasons_are_told_in_openais_words() {
    for (reason, expected) in [
        ("end_turn", "stop"),
        ("stop_sequence", "stop"),
        ("tool_use", "stop"),
        ("max_tokens", "length"),
        ("model_context_window_exceeded", "length"),
        ("guardrail_intervened", "content_filter"),
        ("content_filtered", "content_filter"),
        ("malformed_tool_use", "stop"),
        ("something_new", "stop"),
    ] {
        let folded = streamed(&[delta(0, json!({"text": "Hi"}))], reason, WITH_USAGE);
        assert_eq!(folded, whole(json!([{"text": "Hi"}]), reason, WITH_USAGE));
        assert_eq!(folded["choices"][0]["finish_reason"], expected, "{reason}");
        let is_openais = matches!(reason, "end_turn" | "stop_sequence" | "tool_use" | "max_tokens");
        let kept = &folded["choices"][0]["message"][PROVIDER]["stop_reason"];
        assert_eq!(kept, &if is_openais { Value::Null } else { reason.into() });
    }
    // Some models end with `end_turn` though they call tools.
    assert_eq!(finish(Some("end_turn"), true), crate::write::Finish::ToolCalls);
    assert_eq!(finish(Some("max_tokens"), true), crate::write::Finish::Length);
}

#[test]
fn what_openai_has_no_member_for_is_kept() {
    let citation = json!({"title": "t", "location": {"documentChar": {"start": 1}}});
    let result = json!({"toolUseId": "s1", "type": "nova_code_interpreter_result", "status": "success"});
    let mut done = result.clone();
    done["content"] = json!([{"json": 1}, {"json": 2}]);
    let events = [
        start(0, json!({"toolUse": {"toolUseId": "s1", "name": "x", "type": "server_tool_use"}})),
        delta(0, json!({"toolUse": {"input": "{\"a\":1}"}})),
        stop(0),
        start(1, json!({ "toolResult": result })),
        delta(1, json!({"toolResult": [{"json": 1}]})),
        delta(1, json!({"toolResult": [{"json": 2}]})),
        stop(1),
        delta(2, json!({"text": "é "})),
        stop(2),
        delta(3, json!({"text": "so"})),
        delta(3, json!({ "citation": citation })),
        stop(3),
    ];
    let blocks = json!([
        {"toolUse": {"toolUseId": "s1", "name": "x", "type": "server_tool_use", "input": {"a": 1}}},
        { "toolResult": done }, {"text": "é "}, {"citationsContent": {"content": [{"text": "so"}], "citations": [citation]}},
    ]);
    let folded = streamed(&events, "end_turn", WITH_USAGE);
    assert_eq!(folded, whole(blocks.clone(), "end_turn", WITH_USAGE));
    let own = &folded["choices"][0]["message"][PROVIDER];
    assert_eq!(own["content"], json!([{"index": 0, "block": blocks[0]}, {"index": 1, "block": blocks[1]}]));
    assert_eq!(own["citations"], json!([{"index": 0, "start": 2, "end": 4, "citation": citation}]));
}

#[test]
fn what_is_held_back_has_bounds() {
    let most: Vec<_> = (0..=MOST_OPEN as u64).map(|index| call(index, "f")).collect();
    let (_, stream) = run(&CONVERSE, back(true), &framed(&most), &[usize::MAX]);
    assert_eq!(stream.outcome(), Some(Err(&Broken::TooLong.into())));
    let long = "x".repeat(MAX_EVENT / 2);
    let mut own = vec![start(0, json!({"toolUse": {"toolUseId": "s", "name": "x", "type": "server_tool_use"}}))];
    own.extend((0..3).map(|_| delta(0, json!({"toolUse": { "input": long }}))));
    let (_, stream) = run(&CONVERSE, back(true), &framed(&own), &[usize::MAX]);
    assert_eq!(stream.outcome(), Some(Err(&Broken::TooLong.into())));
}

/// A generated block: as it comes whole, and as it comes in a stream in pieces.
fn block() -> impl Strategy<Value = (Value, Vec<Value>)> {
    let texts = || prop::collection::vec("[a-zé\"\\\\ ]{1,6}", 1..4);
    let delta =
        |key: &'static str, pieces: &[String]| pieces.iter().map(|text| json!({ key: text })).collect::<Vec<_>>();
    prop_oneof![
        texts().prop_map(move |texts| (json!({"text": texts.concat()}), delta("text", &texts))),
        (texts(), any::<bool>()).prop_map(|(texts, signed)| {
            let mut pieces: Vec<_> = texts.iter().map(|text| json!({"reasoningContent": {"text": text}})).collect();
            let mut said = json!({"text": texts.concat()});
            if signed {
                pieces.push(json!({"reasoningContent": {"signature": "s"}}));
                said["signature"] = "s".into();
            }
            (json!({"reasoningContent": {"reasoningText": said}}), pieces)
        }),
        ("[a-z]{1,4}", texts(), 1..9_usize).prop_map(|(name, texts, cut)| {
            let input = json!({"a": texts});
            let text: Vec<char> = input.to_string().chars().collect();
            let pieces = text.chunks(cut).map(|piece| json!({"toolUse": {"input": piece.iter().collect::<String>()}}));
            (json!({"toolUse": {"toolUseId": "t", "name": name, "input": input}}), pieces.collect())
        }),
    ]
}

proptest! {
    #[test]
    fn any_blocks_fold_to_the_whole(blocks in prop::collection::vec(block(), 0..6)) {
        let mut events = Vec::new();
        for (index, (whole, pieces)) in blocks.iter().enumerate() {
            if let Some(call) = whole.get("toolUse") {
                let call = json!({"toolUseId": call["toolUseId"], "name": call["name"]});
                events.push(start(index as u64, json!({ "toolUse": call })));
            }
            events.extend(pieces.iter().map(|piece| delta(index as u64, piece.clone())));
            events.push(stop(index as u64));
        }
        let all: Vec<Value> = blocks.into_iter().map(|(whole, _)| whole).collect();
        prop_assert_eq!(streamed(&events, "end_turn", WITH_USAGE), whole(all.into(), "end_turn", WITH_USAGE));
    }
}
