use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::anthropic::{COMPLETE, MESSAGES};
use crate::recorded::fold::{chunks, events_of, fold, normal};
use crate::recorded::laws::{answer_to, back, back_for, run};
use crate::{Asked, ProviderError, Stream};

/// The events of a message with these between its start and its end.
fn message(events: &[Value], stop: Value) -> String {
    let start = json!({"type": "message_start", "message": {"id": "msg_1", "model": "claude", "role": "assistant",
        "content": [], "usage": {"input_tokens": 5, "cache_read_input_tokens": 2, "output_tokens": 1}}});
    let mut delta = json!({"stop_reason": "end_turn", "stop_sequence": null});
    delta.as_object_mut().unwrap().extend(stop.as_object().unwrap().clone());
    let end = [
        json!({"type": "message_delta", "delta": delta, "usage": {"output_tokens": 9}}),
        json!({"type": "message_stop"}),
    ];
    sse([start].iter().chain(events).chain(&end))
}

fn sse<'e>(events: impl IntoIterator<Item = &'e Value>) -> String {
    let event = |event: &Value| format!("event: {}\ndata: {event}\n\n", event["type"].as_str().unwrap());
    events.into_iter().map(event).collect()
}

fn block(index: u64, start: Value, deltas: &[Value]) -> Vec<Value> {
    let mut events = vec![json!({"type": "content_block_start", "index": index, "content_block": start})];
    events.extend(deltas.iter().map(|delta| json!({"type": "content_block_delta", "index": index, "delta": delta})));
    events.push(json!({"type": "content_block_stop", "index": index}));
    events
}

fn json_piece(text: &str) -> Value {
    json!({"type": "input_json_delta", "partial_json": text})
}

fn text(index: u64, pieces: &[&str]) -> Vec<Value> {
    let deltas: Vec<_> = pieces.iter().map(|text| json!({"type": "text_delta", "text": text})).collect();
    block(index, json!({"type": "text", "text": ""}), &deltas)
}

/// The answer that the client puts together.
fn folded(upstream: &str, asked: Asked) -> Value {
    let (sent, stream) = run(&MESSAGES, back_for(asked), upstream.as_bytes(), &[usize::MAX]);
    assert_eq!(stream.outcome(), Some(Ok(())));
    normal(fold(&chunks(&sent), MESSAGES.task()))
}

fn folded_message(events: &[Value], stop: Value) -> Value {
    folded(&message(events, stop), Asked::default())["choices"][0].clone()
}

fn failed(upstream: &str) -> (Vec<Value>, Stream) {
    let (sent, stream) = run(&MESSAGES, back(true), upstream.as_bytes(), &[usize::MAX]);
    assert!(matches!(stream.outcome(), Some(Err(_))), "{upstream}");
    (events_of(std::str::from_utf8(&sent).unwrap()), stream)
}

#[test]
fn blocks_are_not_calls() {
    let call = |id: &str| json!({"type": "tool_use", "id": id, "name": "f", "input": {}});
    let events = [
        text(0, &["a", "", "b"]),
        block(1, call("x"), &[json_piece(""), json_piece("{\"a\":"), json_piece("1}")]),
        text(2, &["c"]),
        block(3, call("y"), &[json_piece("")]),
        block(4, call("z"), &[]),
    ];
    let choice = folded_message(&events.concat(), json!({"stop_reason": "tool_use"}));
    let written = |id: &str, arguments: Value| json!({"id": id, "type": "function", "function": {"name": "f", "arguments": arguments}});
    assert_eq!(
        choice,
        json!({
            "index": 0, "finish_reason": "tool_calls", "logprobs": null, "message": {
                "role": "assistant", "content": "abc",
                "tool_calls": [written("x", json!({"a": 1})), written("y", json!({})), written("z", json!({}))],
            },
        })
    );
}

#[test]
fn blocks_may_be_open_at_the_same_time() {
    let call = json!({"type": "tool_use", "id": "x", "name": "f", "input": {}});
    let first = block(0, call.clone(), &[json_piece("{\"a\":"), json_piece("1}")]);
    let second = block(1, call, &[json_piece("{\"b\":"), json_piece("2}")]);
    let interleaved: Vec<Value> = first.into_iter().zip(second).flat_map(|(a, b)| [a, b]).collect();
    let choice = folded_message(&interleaved, json!({"stop_reason": "tool_use"}));
    let arguments = |at: usize| choice["message"]["tool_calls"][at]["function"]["arguments"].clone();
    assert_eq!((arguments(0), arguments(1)), (json!({"a": 1}), json!({"b": 2})));
}

#[test]
fn blocks_that_come_whole_lose_nothing() {
    let events = [
        block(0, json!({"type": "thinking", "thinking": "t", "signature": "s"}), &[]),
        block(1, json!({"type": "redacted_thinking", "data": "d"}), &[]),
        block(2, json!({"type": "text", "text": "a"}), &[]),
        block(3, json!({"type": "tool_use", "id": "x", "name": "f", "input": {"a": 1}}), &[]),
    ];
    let choice = folded_message(&events.concat(), json!({"stop_reason": "tool_use"}));
    assert_eq!(choice["message"]["reasoning_content"], "t");
    assert_eq!(
        choice["message"]["reasoning_details"],
        json!([
            {"index": 0, "type": "reasoning.text", "format": "anthropic-claude-v1", "text": "t", "signature": "s"},
            {"index": 1, "type": "reasoning.encrypted", "format": "anthropic-claude-v1", "data": "d"},
        ])
    );
    assert_eq!(choice["message"]["content"], "a");
    assert_eq!(choice["message"]["tool_calls"][0]["function"]["arguments"], json!({"a": 1}));
}

#[test]
fn what_is_left_open_is_closed() {
    let call = json!({"type": "tool_use", "id": "x", "name": "f", "input": {}});
    let start = [json!({"type": "content_block_start", "index": 0, "content_block": call})];
    let choice = folded_message(&start, json!({"stop_reason": "tool_use"}));
    assert_eq!(choice["message"]["tool_calls"][0]["function"]["arguments"], json!({}));
    let no_reason = folded(&sse(start.iter().chain(&[json!({"type": "message_stop"})])), Asked::default());
    assert_eq!(no_reason["choices"][0]["finish_reason"], "tool_calls");
    assert_eq!(no_reason["choices"][0]["message"], choice["message"]);
}

#[test]
fn usage_is_cumulative() {
    let (sent, stream) = run(&MESSAGES, back(true), message(&text(0, &["a"]), json!({})).as_bytes(), &[10]);
    let usage = stream.usage().unwrap();
    assert_eq!((usage.fresh_input, usage.cache_read, usage.output), (5, 2, 9));
    assert_eq!(chunks(&sent).last().unwrap()["usage"]["prompt_tokens"], 7);
    let odd = message(&text(0, &["a"]), json!({})).replace("\"output_tokens\":9", "\"output_tokens\":9.0,\"x\":-1");
    let (_, stream) = run(&MESSAGES, back(true), odd.as_bytes(), &[10]);
    assert_eq!(stream.usage(), Some(usage));
    let early = sse([&json!({"type": "message_start", "message": {"usage": {"input_tokens": 5, "output_tokens": 1}}})]);
    let (_, stream) = failed(&early);
    assert_eq!(stream.usage().map(|usage| usage.total()), Some(6), "a stream that breaks off has used tokens too");
}

#[test]
fn pings_and_what_is_new_are_passed_over() {
    let mut events = text(0, &["a"]);
    events.insert(1, json!({"type": "ping"}));
    events.insert(2, json!({"type": "brand_new", "index": 0}));
    events.insert(3, json!({"type": "content_block_delta", "index": 0, "delta": {"type": "newer_delta", "x": 1}}));
    events
        .insert(4, json!({"type": "content_block_delta", "index": 7, "delta": {"type": "text_delta", "text": "lost"}}));
    assert_eq!(folded_message(&events, json!({}))["message"]["content"], "a");
}

#[test]
fn every_stop_reason_has_its_word() {
    for (stop, finish, own) in [
        (json!({"stop_reason": "end_turn"}), "stop", Value::Null),
        (json!({"stop_reason": "stop_sequence", "stop_sequence": "x"}), "stop", json!({"stop_sequence": "x"})),
        (json!({"stop_reason": "max_tokens"}), "length", Value::Null),
        (
            json!({"stop_reason": "model_context_window_exceeded"}),
            "length",
            json!({"stop_reason": "model_context_window_exceeded"}),
        ),
        (json!({"stop_reason": "pause_turn"}), "stop", json!({"stop_reason": "pause_turn"})),
        (
            json!({"stop_reason": "refusal", "stop_details": {"type": "x"}}),
            "content_filter",
            json!({"stop_reason": "refusal", "stop_details": {"type": "x"}}),
        ),
        (json!({"stop_reason": "tool_use"}), "stop", Value::Null),
        (json!({"stop_reason": "brand_new"}), "stop", Value::Null),
    ] {
        let choice = folded_message(&text(0, &["a"]), stop.clone());
        assert_eq!((&choice["finish_reason"], &choice["message"]["anthropic"]), (&json!(finish), &own), "{stop}");
        let mut whole = json!({"id": "msg_1", "model": "claude", "content": [{"type": "text", "text": "a"}]});
        whole.as_object_mut().unwrap().extend(stop.as_object().unwrap().clone());
        let whole = answer_to(&MESSAGES, &whole, Asked::default()).unwrap();
        assert_eq!(whole["choices"][0], choice);
    }
}

#[test]
fn citations_know_their_place() {
    let citation = json!({"type": "char_location", "cited_text": "c"});
    let cites = [json!({"type": "citations_delta", "citation": citation}), json!({"type": "text_delta", "text": "bé"})];
    let events = [text(0, &["a"]), block(1, json!({"type": "text", "text": "", "citations": []}), &cites)];
    let choice = folded_message(&events.concat(), json!({}));
    let expected = json!([{"index": 0, "start": 1, "end": 3, "citation": citation}]);
    assert_eq!(choice["message"]["anthropic"]["citations"], expected);
}

#[test]
fn a_forced_json_tool_is_undone() {
    let asked = Asked { json_tool: true, ..Asked::default() };
    let call = json!({"type": "tool_use", "id": "x", "name": "json_answer", "input": {}});
    let streamed = |deltas: &[Value]| {
        let upstream = message(&block(0, call.clone(), deltas), json!({"stop_reason": "tool_use"}));
        folded(&upstream, asked)["choices"][0].clone()
    };
    let choice = streamed(&[json_piece(""), json_piece("{\"a\":"), json_piece("1}")]);
    assert_eq!(choice["message"], json!({"role": "assistant", "content": "{\"a\":1}"}));
    assert_eq!(choice["finish_reason"], "stop");
    assert_eq!(streamed(&[])["message"]["content"], "{}");
    let whole = json!({"content": [{"type": "tool_use", "id": "x", "name": "json_answer", "input": {"a": 1}}], "stop_reason": "tool_use"});
    let whole = answer_to(&MESSAGES, &whole, asked).unwrap();
    assert_eq!(whole["choices"][0], choice);
}

#[test]
fn an_error_inside_the_stream_ends_it_as_failed() {
    for (kind, status) in [("overloaded_error", 529), ("rate_limit_error", 429), ("api_error", 500), ("new_error", 502)]
    {
        let error =
            json!({"type": "error", "error": {"type": kind, "message": "no top-secret-key"}, "request_id": "req_1"});
        let begun = message(&text(0, &["a"]), json!({}));
        let begun = begun.split_inclusive("\n\n").take(3).collect::<String>();
        let (sent, stream) = failed(&(begun + &sse([&error])));
        assert_eq!(sent.len(), 1);
        let Some(Err(failure @ Failure::Provider(ProviderError { message, request_id, .. }))) = stream.outcome() else {
            panic!()
        };
        assert_eq!((failure.status(), message.as_str(), request_id.as_deref()), (status, "no [masked]", Some("req_1")));
    }
    let (sent, stream) = failed("{\"type\":\"error\",\n \"error\":{\"type\":\"overloaded_error\",\"message\":\"m\"}}");
    assert_eq!((sent.len(), stream.outcome().unwrap().unwrap_err().status()), (0, 529));
    let error = json!({"type": "error", "error": {"type": "overloaded_error", "message": "m"}});
    assert_eq!(answer_to(&MESSAGES, &error, Asked::default()).unwrap_err().status(), 529);
    assert_eq!(answer_to(&COMPLETE, &error, Asked::default()).unwrap_err().status(), 529);
}

#[test]
fn broken_streams_and_answers_are_failures() {
    let whole = message(&text(0, &["a"]), json!({}));
    for (upstream, expected) in [
        (whole.replace("event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n", ""), Broken::Truncated),
        (whole.replace("\"index\":0", "\"index\":"), Broken::NotJson),
        ("data: [1]\n\n".into(), Broken::NotJson),
        (String::new(), Broken::Truncated),
    ] {
        let (_, stream) = failed(&upstream);
        assert_eq!(stream.outcome(), Some(Err(&Failure::Broken(expected))), "{upstream}");
    }
    for (body, expected) in [(json!([]), Broken::NotJson), (json!({"x": 1}), Broken::Lacks("content"))] {
        assert_eq!(answer_to(&MESSAGES, &body, Asked::default()).unwrap_err(), Failure::Broken(expected));
    }
    let cites = vec![json!({"type": "citations_delta", "citation": {}}); MOST_CITATIONS + 1];
    let (_, stream) = failed(&message(&block(0, json!({"type": "text", "text": ""}), &cites), json!({})));
    assert_eq!(stream.outcome(), Some(Err(&Failure::Broken(Broken::TooLong))));
    let many: Vec<Value> =
        (0..65).map(|index| block(index, json!({"type": "text", "text": ""}), &[])[0].clone()).collect();
    let (_, stream) = failed(&message(&many, json!({})));
    assert_eq!(stream.outcome(), Some(Err(&Failure::Broken(Broken::TooLong))));
}

#[test]
fn nothing_is_said_after_the_end() {
    let upstream = message(&text(0, &["a"]), json!({}));
    let (sent, _) = run(&MESSAGES, back(false), (upstream.clone() + &upstream).as_bytes(), &[usize::MAX]);
    assert_eq!(chunks(&sent).len(), 2);
}

/// A block as the whole answer has it.
fn blocks() -> impl Strategy<Value = Value> {
    let input = prop::collection::btree_map("[a-z\"]{0,3}", "\\PC{0,6}", 0..3);
    prop_oneof![
        "\\PC{0,12}".prop_map(|text| json!({"type": "text", "text": text})),
        ("[a-z]{0,9}", "[a-z]{1,9}")
            .prop_map(|(text, mark)| json!({"type": "thinking", "thinking": text, "signature": mark})),
        "[a-z]{0,9}".prop_map(|data| json!({"type": "redacted_thinking", "data": data})),
        input.clone().prop_map(|input| json!({"type": "tool_use", "id": "toolu_1", "name": "f", "input": input})),
        input.prop_map(|input| json!({"type": "server_tool_use", "id": "srv_1", "name": "web_search", "input": input})),
    ]
}

/// The same block as a stream has it, texts cut after every `length` characters.
fn streamed(index: u64, whole: &Value, length: usize) -> Vec<Value> {
    let mut start = whole.clone();
    let mut deltas = Vec::new();
    let mut cut = |kind: &str, key: &str, text: &str| {
        let chars: Vec<char> = text.chars().collect();
        deltas.extend(chars.chunks(length).map(|piece| json!({"type": kind, key: piece.iter().collect::<String>()})));
    };
    for (member, kind, key) in [
        ("text", "text_delta", "text"),
        ("thinking", "thinking_delta", "thinking"),
        ("signature", "signature_delta", "signature"),
    ] {
        if let Some(text) = whole[member].as_str() {
            cut(kind, key, text);
            start[member] = "".into();
        }
    }
    if let Some(input) = whole["input"].as_object() {
        let text = if input.is_empty() { String::new() } else { whole["input"].to_string() };
        cut("input_json_delta", "partial_json", &text);
        start["input"] = json!({});
    }
    block(index, start, &deltas)
}

proptest! {
    #[test]
    fn folding_the_stream_gives_the_whole_answer(
        blocks in prop::collection::vec(blocks(), 0..6),
        length in 1..5_usize,
        stop in prop::sample::select(vec!["end_turn", "tool_use", "max_tokens", "refusal"]),
        lengths in prop::collection::vec(1..200_usize, 1..6),
    ) {
        let events: Vec<Value> =
            blocks.iter().enumerate().flat_map(|(at, whole)| streamed(at as u64, whole, length)).collect();
        let upstream = message(&events, json!({"stop_reason": stop}));
        let (sent, stream) = run(&MESSAGES, back(true), upstream.as_bytes(), &lengths);
        prop_assert_eq!(stream.outcome(), Some(Ok(())));
        let whole = json!({"id": "msg_1", "model": "claude", "content": blocks, "stop_reason": stop, "usage":
            {"input_tokens": 5, "cache_read_input_tokens": 2, "output_tokens": 9}});
        let whole = answer_to(&MESSAGES, &whole, Asked::default()).unwrap();
        prop_assert_eq!(normal(fold(&chunks(&sent), MESSAGES.task())), normal(whole));
    }
}
