use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::recorded::fold::{chunks, events_of, fold, normal};
use crate::recorded::laws::{answer_to, back, back_for, run};
use crate::vertex::GENERATE;
use crate::{Asked, Stream};

fn sse(events: &[Value]) -> String {
    events.iter().map(|event| format!("data: {event}\r\n\r\n")).collect()
}

fn event(parts: Value, rest: Value) -> Value {
    let mut candidate = json!({"content": {"role": "model", "parts": parts}});
    candidate.as_object_mut().unwrap().extend(rest.as_object().unwrap().clone());
    json!({"candidates": [candidate], "responseId": "r-1", "modelVersion": "gemini"})
}

fn stop() -> Value {
    json!({"finishReason": "STOP"})
}

/// The answer that the client puts together.
fn folded(events: &[Value], asked: Asked) -> Value {
    let (sent, stream) = run(&GENERATE, back_for(asked), sse(events).as_bytes(), &[usize::MAX]);
    assert_eq!(stream.outcome(), Some(Ok(())));
    normal(fold(&chunks(&sent), GENERATE.task()))
}

fn failed(upstream: &str) -> (Vec<Value>, Stream) {
    let (sent, stream) = run(&GENERATE, back(true), upstream.as_bytes(), &[usize::MAX]);
    assert!(matches!(stream.outcome(), Some(Err(_))), "{upstream}");
    (events_of(std::str::from_utf8(&sent).unwrap()), stream)
}

#[test]
fn calls_without_ids_get_the_same_ones_streamed_and_whole() {
    let call = |args: Value| json!({"functionCall": {"name": "f", "args": args}});
    let events = [
        event(json!([call(json!({"a": 1}))]), json!({})),
        event(json!([{"functionCall": {"name": "g"}}, call(json!({}))]), json!({})),
        event(json!([{"text": ""}]), stop()),
    ];
    let parts = json!([call(json!({"a": 1})), {"functionCall": {"name": "g"}}, call(json!({}))]);
    let streamed = folded(&events, Asked::default());
    let whole = answer_to(&GENERATE, &event(parts, stop()), Asked::default()).unwrap();
    assert_eq!(streamed, normal(whole));
    let choice = &streamed["choices"][0];
    // The API says STOP.
    assert_eq!((&choice["finish_reason"], &choice["message"]["content"]), (&json!("tool_calls"), &Value::Null));
    let ids: Vec<_> = (0..3).map(|at| choice["message"]["tool_calls"][at]["id"].as_str().unwrap()).collect();
    assert_eq!(ids, ["call_r-1_0", "call_r-1_1", "call_r-1_2"]);
    assert_eq!(choice["message"]["tool_calls"][1]["function"], json!({"name": "g", "arguments": {}}));
}

#[test]
fn a_limit_or_a_filter_outdoes_calls() {
    let call = json!([{"functionCall": {"name": "f", "id": "own"}}]);
    for (reason, finish) in [("MAX_TOKENS", "length"), ("SAFETY", "content_filter"), ("SPII", "content_filter")] {
        let whole = folded(&[event(call.clone(), json!({"finishReason": reason}))], Asked::default());
        assert_eq!(whole["choices"][0]["finish_reason"], finish);
        assert_eq!(whole["choices"][0]["message"]["tool_calls"][0]["id"], "own");
    }
}

#[test]
fn the_last_usage_holds_and_its_classes_are_disjoint() {
    let with = |usage: Value| {
        let mut event = event(json!([{"text": "a"}]), stop());
        event["usageMetadata"] = usage;
        event
    };
    let events = [
        with(json!({"promptTokenCount": 100, "candidatesTokenCount": 1, "totalTokenCount": 101})),
        with(json!({"promptTokenCount": 90, "cachedContentTokenCount": 60, "toolUsePromptTokenCount": 5,
            "candidatesTokenCount": 7, "thoughtsTokenCount": 3, "totalTokenCount": 105})),
    ];
    let (sent, stream) = run(&GENERATE, back(true), sse(&events).as_bytes(), &[usize::MAX]);
    let usage = crate::Usage { fresh_input: 35, cache_read: 60, cache_write: 0, reasoning: 3, output: 7 };
    assert_eq!(stream.usage(), Some(usage));
    let whole = fold(&chunks(&sent), GENERATE.task());
    assert_eq!((&whole["usage"]["prompt_tokens"], &whole["usage"]["completion_tokens"]), (&json!(95), &json!(10)));
    assert_eq!(whole["usage"]["total_tokens"], 105);
}

#[test]
fn a_reason_with_every_event_is_no_end() {
    let events = [event(json!([{"text": "a"}]), stop()), event(json!([{"text": "b"}]), stop())];
    assert_eq!(folded(&events, Asked::default())["choices"][0]["message"]["content"], "ab");
}

#[test]
fn a_stream_that_stops_early_is_no_success() {
    let (sent, stream) = failed(&sse(&[event(json!([{"text": "a"}]), json!({}))]));
    assert_eq!((sent.len(), stream.outcome()), (1, Some(Err(&Broken::Truncated.into()))));
    failed("");
    // One of two candidates has not ended.
    let both = json!({"candidates": [
        {"index": 0, "content": {"parts": [{"text": "a"}]}, "finishReason": "STOP"},
        {"index": 1, "content": {"parts": [{"text": "b"}]}, "finishReason": "FINISH_REASON_UNSPECIFIED"},
    ]});
    failed(&sse(&[both]));
}

#[test]
fn errors_in_the_middle_end_the_stream() {
    let error = json!({"error": {"code": 503, "message": "overloaded", "status": "UNAVAILABLE"}});
    let text = event(json!([{"text": "a"}]), json!({}));
    for events in [vec![text.clone(), error.clone()], vec![text, json!([error.clone()])]] {
        let (sent, stream) = failed(&sse(&events));
        assert_eq!(sent.len(), 1);
        let Some(Err(Failure::Provider(told))) = stream.outcome() else { panic!("the provider's error") };
        assert_eq!((told.message.as_str(), told.kind.as_deref()), ("overloaded", Some("UNAVAILABLE")));
        assert_eq!(told.implied_status(), 503);
    }
    // In place of a stream, and not as events.
    let (_, stream) = failed(&error.to_string());
    assert_eq!(stream.outcome().unwrap().unwrap_err().status(), 503);
}

#[test]
fn a_blocked_prompt_is_a_filtered_answer() {
    let blocked =
        json!({"promptFeedback": {"blockReason": "PROHIBITED_CONTENT"}, "usageMetadata": {"promptTokenCount": 4}});
    let whole = folded(std::slice::from_ref(&blocked), Asked { include_usage: true, ..Asked::default() });
    let choice = &whole["choices"][0];
    assert_eq!((&choice["finish_reason"], &choice["message"]["content"]), (&json!("content_filter"), &json!("")));
    assert_eq!(choice["message"][PROVIDER]["promptFeedback"]["blockReason"], "PROHIBITED_CONTENT");
    assert_eq!(normal(answer_to(&GENERATE, &blocked, Asked::default()).unwrap())["choices"], whole["choices"]);
}

#[test]
fn several_candidates_come_interleaved() {
    let pieces = |a: &str, b: &str, reason: Value| {
        json!({"candidates": [
            {"index": 1, "content": {"parts": [{"text": b}, {"functionCall": {"name": "f"}}]}, "finishReason": reason},
            {"content": {"parts": [{"text": a}]}, "finishReason": reason},
        ]})
    };
    let whole = folded(&[pieces("a", "x", json!(null)), pieces("b", "y", json!(1))], Asked::default());
    assert_eq!(whole["choices"][0]["message"]["content"], "ab");
    assert_eq!(whole["choices"][0]["finish_reason"], "stop");
    assert_eq!(whole["choices"][1]["message"]["content"], "xy");
    assert_eq!(whole["choices"][1]["message"]["tool_calls"].as_array().unwrap().len(), 2);
    assert_eq!(whole["choices"][1]["finish_reason"], "tool_calls");
    // Absurd numbers are put together, not made room for.
    let far =
        json!({"candidates": [{"index": u64::MAX, "content": {"parts": [{"text": "a"}]}, "finishReason": "STOP"}]});
    let (_, stream) = run(&GENERATE, back(false), sse(&[far]).as_bytes(), &[usize::MAX]);
    assert_eq!(stream.outcome(), Some(Ok(())));
}

#[test]
fn what_openai_has_no_word_for_is_kept() {
    let rating = |score: f64| json!({"safetyRatings": [{"category": "C", "probabilityScore": score}]});
    let cited = |uri: &str| json!({"citationMetadata": {"citations": [{"uri": uri}]}, "groundingMetadata": {}});
    let mut first = event(json!([{"text": "a"}]), cited("u"));
    first["candidates"][0]["groundingMetadata"] = json!({"webSearchQueries": ["q"]});
    let mut last = event(json!([{"inlineData": {"mimeType": "image/png", "data": "AA=="}}]), cited("v"));
    last["candidates"][0].as_object_mut().unwrap().extend(rating(0.5).as_object().unwrap().clone());
    last["candidates"][0]["finishReason"] = "IMAGE_SAFETY".into();
    let mut middle = event(json!([]), rating(0.1));
    middle["candidates"][0]["finishMessage"] = "because".into();
    let whole = folded(&[first, middle, last], Asked::default());
    assert_eq!(
        whole["choices"][0]["message"][PROVIDER],
        json!({
            "citations": [{"index": 0, "citation": {"uri": "u"}}, {"index": 1, "citation": {"uri": "v"}}],
            "parts": [{"index": 0, "part": {"inlineData": {"mimeType": "image/png", "data": "AA=="}}}],
            "groundingMetadata": {"webSearchQueries": ["q"]}, "finishMessage": "because",
            "safetyRatings": [{"category": "C", "probabilityScore": 0.5}], "finishReason": "IMAGE_SAFETY",
        })
    );
    assert_eq!(whole["choices"][0]["finish_reason"], "content_filter");
}

#[test]
fn logprobs_of_all_events_come_together() {
    let told = |token: &str| {
        let one = json!({"token": token, "tokenId": 1, "logProbability": -0.5});
        json!({"logprobsResult": {"chosenCandidates": [one], "topCandidates": [{"candidates": [one]}]}})
    };
    let mut last = event(json!([{"text": "é"}]), told("é"));
    last["candidates"][0]["finishReason"] = "STOP".into();
    let whole = folded(&[event(json!([{"text": "a"}]), told("a")), last], Asked::default());
    let one = |token: &str| json!({"token": token, "logprob": -0.5, "bytes": token.as_bytes()});
    let with_top = |token: &str| {
        let mut written = one(token);
        written["top_logprobs"] = json!([one(token)]);
        written
    };
    assert_eq!(whole["choices"][0]["logprobs"], json!({"content": [with_top("a"), with_top("é")], "refusal": null}));
}

#[test]
fn thoughts_are_not_text() {
    let events = [
        event(json!([{"text": "hm", "thought": true}]), json!({})),
        event(json!([{"text": "m", "thought": true, "thoughtSignature": "S"}, {"text": "a"}]), json!({})),
        event(json!([{"text": "", "thoughtSignature": "T"}]), stop()),
    ];
    let message = folded(&events, Asked::default())["choices"][0]["message"].clone();
    assert_eq!((&message["content"], &message["reasoning_content"]), (&json!("a"), &json!("hmm")));
    let data: Vec<_> = (0..2).map(|at| message["reasoning_details"][at]["data"].clone()).collect();
    assert_eq!(data, ["thought:S", "end:T"]);
}

#[test]
fn the_answer_as_a_call_is_undone() {
    let call = |name: &str| event(json!([{"functionCall": {"name": name, "args": {"a": 1}}}]), stop());
    let asked = Asked { json_tool: true, ..Asked::default() };
    let choice = folded(&[call("json_answer")], asked)["choices"][0].clone();
    assert_eq!((&choice["message"]["content"], &choice["finish_reason"]), (&json!("{\"a\":1}"), &json!("stop")));
    assert_eq!(folded(&[call("f")], asked)["choices"][0]["finish_reason"], "tool_calls");
}

/// A part of any kind, with or without a signature.
fn parts() -> impl Strategy<Value = Value> {
    let part = prop_oneof![
        ".{0,6}".prop_map(|text| json!({"text": text})),
        ".{0,6}".prop_map(|text| json!({"text": text, "thought": true})),
        ("[a-z]{1,3}", any::<Option<u8>>(), any::<bool>()).prop_map(|(name, argument, has_id)| {
            let mut call = json!({"name": name});
            if let Some(argument) = argument {
                call["args"] = json!({"é\"": argument});
            }
            if has_id {
                call["id"] = "own".into();
            }
            json!({"functionCall": call})
        }),
        any::<u8>().prop_map(|code| json!({"executableCode": {"code": code}})),
    ];
    (part, prop::option::of("[A-Z]{1,4}")).prop_map(|(mut part, signature)| {
        if let Some(signature) = signature {
            part["thoughtSignature"] = signature.into();
        }
        part
    })
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    /// However parts come, and however the bytes are cut, the folded stream is the whole answer, and says all of it.
    #[test]
    fn streams_of_any_parts_fold_to_the_whole_answer(
        said in prop::collection::vec((0..3_usize, parts()), 0..12),
        reasons in prop::collection::vec(prop::sample::select(vec!["STOP", "MAX_TOKENS", "SAFETY", "OTHER"]), 3),
        lengths in prop::collection::vec(1..40_usize, 1..5),
    ) {
        let piece = |index: usize, parts: Value, reason: Option<&str>| {
            json!({"responseId": "r", "candidates": [{"index": index, "content": {"parts": parts}, "finishReason": reason}]})
        };
        let mut events: Vec<Value> = said.iter().map(|(index, part)| piece(*index, json!([part]), None)).collect();
        events.extend(reasons.iter().enumerate().map(|(index, reason)| piece(index, json!([]), Some(reason))));
        let (sent, stream) = run(&GENERATE, back(false), sse(&events).as_bytes(), &lengths);
        prop_assert_eq!(stream.outcome(), Some(Ok(())));
        let streamed = normal(fold(&chunks(&sent), GENERATE.task()));

        let candidates = reasons.iter().enumerate().map(|(index, reason)| {
            let own: Vec<_> = said.iter().filter(|(of, _)| *of == index).map(|(_, part)| part.clone()).collect();
            piece(index, own.into(), Some(reason))["candidates"][0].clone()
        });
        let whole = json!({"responseId": "r", "candidates": candidates.collect::<Vec<_>>()});
        prop_assert_eq!(&streamed, &normal(answer_to(&GENERATE, &whole, Asked::default()).unwrap()));

        for (index, choice) in streamed["choices"].as_array().unwrap().iter().enumerate() {
            let own = || said.iter().filter(|(of, _)| *of == index).map(|(_, part)| part);
            let text: String = own().filter(|part| part["thought"] != true).filter_map(|part| part["text"].as_str()).collect();
            prop_assert_eq!(choice["message"]["content"].as_str().unwrap_or_default(), text);
            let calls = choice["message"]["tool_calls"].as_array().map_or(0, Vec::len);
            prop_assert_eq!(calls, own().filter(|part| part["functionCall"].is_object()).count());
        }
    }
}
