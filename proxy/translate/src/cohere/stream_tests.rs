use serde_json::{Value, json};

use crate::cohere::CHAT;
use crate::recorded::fold::{chunks, fold, normal};
use crate::recorded::laws::{answer_to, back_for, run};
use crate::{Asked, Broken, Failure, Stream, Task};

fn sse(events: &[Value]) -> Vec<u8> {
    let event =
        |event: &Value| format!("event: {}\r\ndata: {event}\r\n\r\n", event["type"].as_str().unwrap_or_default());
    events.iter().map(event).collect::<String>().into_bytes()
}

fn start() -> Value {
    json!({"type": "message-start", "id": "i", "delta": {"message": {"role": "assistant", "content": [], "tool_plan": "", "tool_calls": [], "citations": []}}})
}

fn end(reason: &str) -> Value {
    json!({"type": "message-end", "delta": {"finish_reason": reason, "usage": {
        "billed_units": {"input_tokens": 1, "output_tokens": 1}, "tokens": {"input_tokens": 9, "output_tokens": 4}}}})
}

fn event(kind: &str, index: u64, message: Value) -> Value {
    json!({"type": kind, "index": index, "delta": {"message": message}})
}

fn streamed(asked: Asked, events: &[Value]) -> (Vec<u8>, Stream) {
    let asked = Asked { include_usage: true, ..asked };
    let (sent, stream) = run(&CHAT, back_for(asked), &sse(events), &[usize::MAX]);
    assert_eq!(run(&CHAT, back_for(asked), &sse(events), &[3]).0, sent);
    (sent, stream)
}

/// Streams the events, and the whole answer that says the same; both must read alike.
fn both(asked: Asked, events: &[Value], whole: &Value) -> Value {
    let (sent, stream) = streamed(asked, events);
    assert_eq!(stream.outcome(), Some(Ok(())));
    let whole = answer_to(&CHAT, whole, asked).unwrap();
    assert_eq!(normal(fold(&chunks(&sent), Task::Chat)), normal(whole.clone()));
    whole
}

fn usage() -> Value {
    end("")["delta"]["usage"].clone()
}

#[test]
fn thinking_plan_and_calls_in_one_answer() {
    let call = |index, id: &str, name: &str| {
        event(
            "tool-call-start",
            index,
            json!({"tool_calls": {"id": id, "type": "function", "function": {"name": name, "arguments": ""}}}),
        )
    };
    let events = [
        start(),
        event("content-start", 0, json!({"content": {"type": "thinking", "thinking": ""}})),
        event("content-delta", 0, json!({"content": {"thinking": "h"}})),
        event("content-delta", 0, json!({"content": {"thinking": "m"}})),
        json!({"type": "content-end", "index": 0}),
        event("content-start", 1, json!({"content": {"type": "thinking", "thinking": "more"}})),
        json!({"type": "content-end", "index": 1}),
        json!({"type": "tool-plan-delta", "delta": {"message": {"tool_plan": "I will."}}}),
        call(0, "a", "f"),
        json!({"type": "tool-call-end", "index": 0}),
        call(1, "b", "g"),
        event("tool-call-delta", 1, json!({"tool_calls": {"function": {"arguments": "{\"n\":"}}})),
        event("tool-call-delta", 1, json!({"tool_calls": {"function": {"arguments": "1}"}}})),
        json!({"type": "some-news", "index": 3}),
        end("TOOL_CALL"),
    ];
    let whole = json!({"id": "i", "finish_reason": "TOOL_CALL", "usage": usage(), "message": {
        "role": "assistant", "tool_plan": "I will.",
        "content": [{"type": "thinking", "thinking": "hm"}, {"type": "thinking", "thinking": "more"}],
        "tool_calls": [
            {"id": "a", "type": "function", "function": {"name": "f", "arguments": ""}},
            {"id": "b", "type": "function", "function": {"name": "g", "arguments": "{\"n\":1}"}},
        ],
    }});
    let ours = both(Asked::default(), &events, &whole);
    let message = &ours["choices"][0]["message"];
    assert_eq!(message["reasoning_content"], "hmmoreI will.");
    assert_eq!(message["reasoning_details"][1]["text"], "more");
    assert_eq!(message["tool_calls"][0]["function"]["arguments"], "{}");
    assert_eq!(ours["usage"]["prompt_tokens"], 9);
}

#[test]
fn citations_and_probabilities_are_kept() {
    let cited = |text: &str| {
        json!({"start": 0, "end": 1, "text": text, "type": "TEXT_CONTENT",
        "sources": [{"type": "tool", "id": "c:0", "tool_output": {"x": "1"}}, {"type": "document", "id": "d"}]})
    };
    let probable = json!({"text": "ab", "token_ids": [1, 2], "logprobs": [-0.5, -0.25]});
    let mut text = event("content-delta", 0, json!({"content": {"text": "ab"}}));
    text["logprobs"] = probable.clone();
    let events = [
        start(),
        event("content-start", 0, json!({"content": {"type": "text", "text": ""}})),
        text,
        event("citation-start", 0, json!({"citations": cited("a")})),
        json!({"type": "citation-end", "index": 0}),
        event("citation-start", 1, json!({"citations": cited("b")})),
        json!({"type": "content-end", "index": 0}),
        end("STOP_SEQUENCE"),
    ];
    let whole = json!({"id": "i", "finish_reason": "COMPLETE", "usage": usage(), "logprobs": [probable], "message": {
        "content": [{"type": "text", "text": "ab"}], "citations": [cited("a"), cited("b")]}});
    let ours = both(Asked::default(), &events, &whole);
    assert_eq!(ours["choices"][0]["message"]["cohere"]["citations"][1]["text"], "b");
    let tokens = &ours["choices"][0]["logprobs"]["content"];
    assert_eq!(*tokens, json!([{"token": "ab", "logprob": -0.75, "bytes": [97, 98], "top_logprobs": []}]));
}

#[test]
fn the_call_that_is_the_answer_becomes_text() {
    let asked = Asked { json_tool: true, ..Asked::default() };
    let call = json!({"id": "a", "type": "function", "function": {"name": "json_answer", "arguments": ""}});
    let events = [
        start(),
        event("tool-call-start", 0, json!({ "tool_calls": call })),
        event("tool-call-delta", 0, json!({"tool_calls": {"function": {"arguments": "{\"a\":1}"}}})),
        json!({"type": "tool-call-end", "index": 0}),
        end("TOOL_CALL"),
    ];
    let mut called = call.clone();
    called["function"]["arguments"] = "{\"a\":1}".into();
    let whole = json!({"id": "i", "finish_reason": "TOOL_CALL", "usage": usage(), "message": {"tool_calls": [called]}});
    let ours = both(asked, &events, &whole);
    assert_eq!(ours["choices"][0]["message"], json!({"role": "assistant", "content": "{\"a\":1}"}));
    assert_eq!(ours["choices"][0]["finish_reason"], "stop");
    let events = [start(), event("tool-call-start", 0, json!({ "tool_calls": call })), end("TOOL_CALL")];
    let whole = json!({"id": "i", "finish_reason": "TOOL_CALL", "usage": usage(), "message": {"tool_calls": [call]}});
    assert_eq!(both(asked, &events, &whole)["choices"][0]["message"]["content"], "{}");
}

#[test]
fn finish_reasons_are_openais() {
    for (theirs, ours) in [
        ("COMPLETE", "stop"),
        ("STOP_SEQUENCE", "stop"),
        ("MAX_TOKENS", "length"),
        ("ERROR_LIMIT", "length"),
        ("ERROR_TOXIC", "content_filter"),
        ("TOOL_CALL", "stop"),
        ("SOMETHING_NEW", "stop"),
    ] {
        let whole = json!({"id": "i", "finish_reason": theirs, "usage": usage(), "message": {"content": null}});
        let ended = both(Asked::default(), &[start(), end(theirs)], &whole);
        assert_eq!(ended["choices"][0]["finish_reason"], ours, "{theirs}");
    }
}

#[test]
fn a_failed_answer_is_no_answer() {
    for (reason, status) in [("ERROR", 502), ("TIMEOUT", 504), ("USER_CANCEL", 502)] {
        let whole =
            json!({"id": "i", "finish_reason": reason, "message": {"content": [{"type": "text", "text": "half"}]}});
        let failure = answer_to(&CHAT, &whole, Asked::default()).unwrap_err();
        assert_eq!(failure.status(), status);
        let text = event("content-delta", 0, json!({"content": {"text": "half"}}));
        let (sent, stream) = streamed(Asked::default(), &[start(), text, end(reason)]);
        assert!(!sent.ends_with(b"[DONE]\n\n"));
        assert_eq!(stream.outcome(), Some(Err(&failure)));
    }
    let mut last = end("ERROR");
    last["delta"]["error"] = "no top-secret-key".into();
    let (_, stream) = streamed(Asked::default(), &[start(), last]);
    let Some(Err(Failure::Provider(error))) = stream.outcome() else { panic!("an error") };
    assert!(error.message.starts_with("no ") && !error.message.contains("top-secret"), "{error:?}");
}

#[test]
fn errors_in_place_of_answers_and_events_are_errors() {
    let error = json!({"id": "r", "message": "too many tokens"});
    let Err(Failure::Provider(read)) = answer_to(&CHAT, &error, Asked::default()) else { panic!("an error") };
    assert_eq!((&*read.message, read.request_id.as_deref()), ("too many tokens", Some("r")));
    let (_, stream) = streamed(Asked::default(), &[start(), error]);
    assert_eq!(stream.outcome(), Some(Err(&Failure::Provider(read))));
    assert_eq!(answer_to(&CHAT, &json!({}), Asked::default()), Err(Broken::Lacks("message").into()));
    let (_, stream) = streamed(Asked::default(), &[start()]);
    assert_eq!(stream.outcome(), Some(Err(&Broken::Truncated.into())));
}

#[test]
fn usage_is_billed_units_only_without_tokens() {
    let tokens = |usage: Value| {
        let whole = json!({"id": "i", "finish_reason": "COMPLETE", "usage": usage, "message": {"content": []}});
        let usage = answer_to(&CHAT, &whole, Asked::default()).unwrap()["usage"].clone();
        (usage["prompt_tokens"].clone(), usage["prompt_tokens_details"]["cached_tokens"].clone())
    };
    let billed = json!({"input_tokens": 5.0, "output_tokens": 1.0});
    assert_eq!(tokens(json!({ "billed_units": billed })), (json!(5), json!(0)));
    assert_eq!(tokens(json!({"billed_units": billed, "tokens": {}})), (json!(5), json!(0)));
    let all = json!({"billed_units": billed, "cached_tokens": 80, "tokens": {"input_tokens": 70, "output_tokens": 2, "image_tokens": 30}});
    assert_eq!(tokens(all), (json!(100), json!(80)));
    assert_eq!(tokens(json!({})), (Value::Null, Value::Null));
}
