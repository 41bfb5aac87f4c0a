use base64::Engine as _;
use serde_json::{Value, json};

use super::*;
use crate::bedrock::{
    EMBED_COHERE, EMBED_TITAN, INVOKE_CLAUDE, INVOKE_COMMAND, INVOKE_J2, INVOKE_MESSAGES, INVOKE_TITAN,
};
use crate::recorded::fold::{chunks, fold};
use crate::recorded::laws::{answer_to, back, back_for, run};
use crate::split::tests::frame;
use crate::{Ask, Asked, Cx, Outgoing, Pair, PeekError, Task};

fn ask(pair: &Pair, model: &str, body: Value) -> Result<Outgoing, PeekError> {
    let body = body.to_string();
    let ask = Ask::peek(body.as_bytes(), pair.task()).unwrap();
    pair.request(&ask, &Cx { model, default_max_tokens: None })
}

fn asked(pair: &Pair, model: &str, body: Value) -> (Value, Vec<&'static str>, String) {
    let outgoing = ask(pair, model, body).unwrap();
    (serde_json::from_slice(&outgoing.bodies[0]).unwrap(), outgoing.dropped, outgoing.path)
}

fn refused(pair: &Pair, body: Value) -> String {
    match ask(pair, "model", body) {
        Err(PeekError::Field { param, .. }) => param.into_owned(),
        other => panic!("{other:?}"),
    }
}

/// A maker's events as Bedrock sends them.
fn wrapped_up(events: &[Value]) -> Vec<u8> {
    let frames = events.iter().map(|event| {
        let data = json!({"bytes": STANDARD.encode(event.to_string()), "p": "abc"}).to_string();
        frame(
            &[(":event-type", "chunk"), (":content-type", "application/json"), (":message-type", "event")],
            data.as_bytes(),
        )
    });
    frames.collect::<Vec<_>>().concat()
}

fn streamed(pair: &'static Pair, events: &[Value]) -> Value {
    let (sent, stream) = run(pair, back(true), &wrapped_up(events), &[13]);
    assert_eq!(stream.outcome(), Some(Ok(())));
    fold(&chunks(&sent), pair.task())
}

fn failed(pair: &'static Pair, bytes: &[u8]) -> Failure {
    let (sent, stream) = run(pair, back(true), bytes, &[13]);
    assert!(!sent.ends_with(b"[DONE]\n\n"));
    stream.outcome().unwrap().unwrap_err().clone()
}

const METERED: &str = r#"{"inputTokenCount":4,"outputTokenCount":6,"cacheReadInputTokenCount":2}"#;

fn metered(mut event: Value) -> Value {
    event[METRICS] = serde_json::from_str(METERED).unwrap();
    event
}

#[test]
fn usage_is_only_in_the_metrics() {
    for (pair, event) in [
        (&INVOKE_CLAUDE, json!({"completion": "Hi", "stop_reason": "stop_sequence"})),
        (&INVOKE_COMMAND, json!({"text": "Hi", "is_finished": false})),
        (&INVOKE_TITAN, json!({"outputText": "Hi", "completionReason": "FINISH"})),
        (&INVOKE_MESSAGES, json!({"type": "message_stop"})),
    ] {
        let folded = streamed(pair, &[metered(event)]);
        let usage = &folded["usage"];
        assert_eq!((&usage["prompt_tokens"], &usage["completion_tokens"]), (&json!(6), &json!(6)), "{}", pair.api);
        assert_eq!(usage["prompt_tokens_details"]["cached_tokens"], 2);
    }
}

#[test]
fn usage_of_a_whole_answer_is_in_headers() {
    let header = |name: &str| -> Option<&'static str> {
        match name {
            "x-amzn-bedrock-input-token-count" => Some("4"),
            "x-amzn-bedrock-output-token-count" => Some("6"),
            "x-amzn-bedrock-cache-read-input-token-count" => Some("2"),
            _ => None,
        }
    };
    for (pair, body) in [
        (&INVOKE_CLAUDE, json!({"completion": "Hi"})),
        (&INVOKE_COMMAND, json!({"generations": [{"text": "Hi"}]})),
        (&INVOKE_J2, json!({"id": 1, "completions": [{"data": {"text": "Hi"}, "finishReason": {"reason": "stop"}}]})),
        (&INVOKE_TITAN, json!({"results": [{"outputText": "Hi"}]})),
        (&INVOKE_MESSAGES, json!({"content": [{"type": "text", "text": "Hi"}]})),
    ] {
        let body = body.to_string();
        let reply = Reply { status: 200, header: &|name| header(name), body: body.as_bytes() };
        let usage = pair.answer(&[reply], &back(true)).unwrap().usage.unwrap();
        assert_eq!((usage.fresh_input, usage.cache_read, usage.output), (4, 2, 6), "{}", pair.api);
        let reply = Reply { status: 200, header: &|_| None, body: body.as_bytes() };
        assert_eq!(pair.answer(&[reply], &back(true)).unwrap().usage, None, "{}", pair.api);
    }
}

#[test]
fn what_is_around_the_events_can_be_broken() {
    let other = frame(&[(":event-type", "ping"), (":message-type", "event")], b"not json");
    let good = wrapped_up(&[metered(json!({"outputText": "Hi", "completionReason": "FINISH"}))]);
    let (sent, _) = run(&INVOKE_TITAN, back(true), &[other, good].concat(), &[usize::MAX]);
    assert!(sent.ends_with(b"[DONE]\n\n"));
    for (payload, broken) in [
        (r#"{"bytes":"%%"}"#, Broken::Damaged),
        (r#"{"p":"x"}"#, Broken::Lacks("bytes")),
        ("[", Broken::NotJson),
        (r#"{"bytes":"WzFd"}"#, Broken::NotJson),
    ] {
        let bytes = frame(&[(":event-type", "chunk"), (":message-type", "event")], payload.as_bytes());
        assert_eq!(failed(&INVOKE_TITAN, &bytes), Failure::Broken(broken), "{payload}");
    }
    let cut = wrapped_up(&[json!({"outputText": "Hi"})]);
    assert_eq!(failed(&INVOKE_TITAN, &cut), Failure::Broken(Broken::Truncated));
}

#[test]
fn answers_of_command_interleave() {
    let events = [
        json!({"text": "a", "index": 0, "is_finished": false}),
        json!({"text": "x", "index": 1, "is_finished": false}),
        json!({"text": "b", "index": 0, "is_finished": false}),
        json!({"index": 0, "is_finished": true, "finish_reason": "MAX_TOKENS"}),
        json!({"text": "y", "index": 1, "is_finished": false}),
        metered(json!({"index": 1, "is_finished": true, "finish_reason": "COMPLETE"})),
    ];
    let folded = streamed(&INVOKE_COMMAND, &events);
    let generations = json!({"id": "chatcmpl-filled", "generations": [
        {"text": "ab", "finish_reason": "MAX_TOKENS"}, {"text": "xy", "finish_reason": "COMPLETE"}]});
    let whole = answer_to(&INVOKE_COMMAND, &generations, Asked::default()).unwrap();
    assert_eq!(folded["choices"], whole["choices"]);
    assert_eq!((&whole["choices"][0]["finish_reason"], &whole["choices"][1]["text"]), (&json!("length"), &json!("xy")));
    assert_eq!(failed(&INVOKE_COMMAND, &wrapped_up(&events[..5])), Failure::Broken(Broken::Truncated));
}

#[test]
fn command_fails_inside_a_good_status() {
    let answer = |reason: &str| {
        let theirs = json!({"generations": [{"text": "x", "finish_reason": reason}]});
        answer_to(&INVOKE_COMMAND, &theirs, Asked::default())
    };
    assert_eq!(answer("ERROR").unwrap_err().status(), 502);
    assert_eq!(answer("ERROR_TOXIC").unwrap()["choices"][0]["finish_reason"], "content_filter");
    let events = wrapped_up(&[json!({"text": "a"}), metered(json!({"is_finished": true, "finish_reason": "ERROR"}))]);
    assert!(matches!(failed(&INVOKE_COMMAND, &events), Failure::Provider(_)));
}

#[test]
fn completion_parameters_have_each_makers_names() {
    let all = json!({
        "prompt": "Hi", "max_tokens": 5, "temperature": 0.5, "top_p": 0.9, "top_k": 3, "stop": ["a"], "seed": 1,
        "user": "u", "own": true, "frequency_penalty": 0.5,
    });
    assert_eq!(
        asked(&INVOKE_TITAN, "amazon.titan-text-lite-v1", all.clone()),
        (
            json!({"inputText": "Hi", "own": true, "textGenerationConfig":
                {"maxTokenCount": 5, "temperature": 0.5, "topP": 0.9, "stopSequences": ["a"]}}),
            vec!["frequency_penalty", "seed", "top_k", "user"],
            "/model/amazon.titan-text-lite-v1/invoke".to_owned(),
        )
    );
    let mut several = all.clone();
    several["n"] = json!(2);
    assert_eq!(
        asked(&INVOKE_J2, "ai21.j2-ultra-v1", several.clone()).0,
        json!({"prompt": "Hi", "maxTokens": 5, "numResults": 2, "temperature": 0.5, "topP": 0.9, "stopSequences": ["a"],
            "countPenalty": {"scale": 0.5}, "own": true})
    );
    several["stream"] = json!(true);
    several["logit_bias"] = json!({"7": -1});
    assert_eq!(
        asked(&INVOKE_COMMAND, "cohere.command-text-v14:7:4k", several.clone()),
        (
            json!({"prompt": "Hi", "max_tokens": 5, "num_generations": 2, "temperature": 0.5, "p": 0.9, "k": 3,
                "stop_sequences": ["a"], "logit_bias": {"7": -1}, "stream": true, "own": true}),
            vec!["frequency_penalty", "seed", "user"],
            "/model/cohere.command-text-v14%3A7%3A4k/invoke-with-response-stream".to_owned(),
        )
    );
    assert_eq!(
        asked(&INVOKE_CLAUDE, "anthropic.claude-v2:1", all.clone()).0,
        json!({"prompt": "\n\nHuman: Hi\n\nAssistant:", "max_tokens_to_sample": 5, "temperature": 0.5, "top_p": 0.9,
            "top_k": 3, "stop_sequences": ["a"], "own": true})
    );
    several.as_object_mut().unwrap().remove("logit_bias");
    assert_eq!(refused(&INVOKE_J2, several.clone()), "stream");
    assert_eq!(refused(&INVOKE_TITAN, several), "n");
    for pair in [&INVOKE_CLAUDE, &INVOKE_COMMAND, &INVOKE_J2, &INVOKE_TITAN] {
        assert_eq!(refused(pair, json!({"prompt": ["a", "b"]})), "prompt", "{}", pair.api);
        assert_eq!(refused(pair, json!({"prompt": "a", "suffix": "b"})), "suffix", "{}", pair.api);
        let bare = asked(pair, "model", json!({"prompt": "a"})).0;
        assert!(bare.as_object().unwrap().len() <= 2, "{bare}");
    }
    // The client's own words hold where OpenAI's say nothing.
    let own = json!({"prompt": "a", "textGenerationConfig": {"topP": 1}, "inputText": "b"});
    assert_eq!(asked(&INVOKE_TITAN, "m", own).0, json!({"inputText": "a", "textGenerationConfig": {"topP": 1}}));
}

#[test]
fn messages_take_data_only_and_name_no_model() {
    let part = |url: &str| json!({"type": "image_url", "image_url": {"url": url}});
    let body = |part: Value| json!({"messages": [{"role": "user", "content": [part]}], "stream": true, "service_tier": "auto"});
    let (sent, dropped, path) =
        asked(&INVOKE_MESSAGES, "anthropic.claude-v2", body(part("data:image/png;base64,AA==")));
    assert_eq!(sent["anthropic_version"], "bedrock-2023-05-31");
    assert_eq!((sent.get("model"), sent.get("stream"), sent.get("service_tier")), (None, None, None));
    assert_eq!((&*path, dropped), ("/model/anthropic.claude-v2/invoke-with-response-stream", vec!["service_tier"]));
    for bad in [part("https://example.com/a.png"), json!({"type": "file", "file": {"file_id": "f"}})] {
        assert_eq!(refused(&INVOKE_MESSAGES, body(bad)), "messages[0].content[0]");
    }
}

#[test]
fn titan_ends_by_its_count_and_tells_of_guardrails() {
    let events = [
        json!({"outputText": "a", "index": 0.0, "inputTextTokenCount": 3.0}),
        json!({"outputText": "b", "index": 0.0, "totalOutputTextTokenCount": 2.0, "amazon-bedrock-guardrailAction": "INTERVENED"}),
    ];
    let folded = streamed(&INVOKE_TITAN, &events);
    assert_eq!(
        (&folded["choices"][0]["text"], &folded["choices"][0]["finish_reason"]),
        (&json!("ab"), &json!("content_filter"))
    );
    assert_eq!((&folded["usage"]["prompt_tokens"], &folded["usage"]["completion_tokens"]), (&json!(3), &json!(2)));
    let of = |reason: &str, action: &str| {
        let theirs = json!({"results": [{"outputText": "a", "completionReason": reason}], "amazon-bedrock-guardrailAction": action});
        let answer = answer_to(&INVOKE_TITAN, &theirs, Asked::default()).unwrap();
        answer["choices"][0]["finish_reason"].as_str().unwrap().to_owned()
    };
    assert_eq!(of("FINISH", "NONE"), "stop");
    assert_eq!(of("STOP_CRITERIA_MET", "NONE"), "stop");
    assert_eq!(of("LENGTH", "NONE"), "length");
    assert_eq!(of("CONTENT_FILTERED", "NONE"), "content_filter");
    assert_eq!(of("FINISH", "INTERVENED"), "content_filter");
}

#[test]
fn titan_embeds_one_text_a_request() {
    let body =
        json!({"input": ["a", "b"], "dimensions": 256, "encoding_format": "base64", "normalize": true, "user": "u"});
    let outgoing = ask(&EMBED_TITAN, "amazon.titan-embed-text-v2:0", body).unwrap();
    let bodies: Vec<Value> = outgoing.bodies.iter().map(|body| serde_json::from_slice(body).unwrap()).collect();
    let one = |text: &str| json!({"inputText": text, "dimensions": 256, "normalize": true});
    assert_eq!((bodies, outgoing.dropped), (vec![one("a"), one("b")], vec!["user"]));
    assert_eq!(outgoing.path, "/model/amazon.titan-embed-text-v2%3A0/invoke");

    let texts = [r#"{"embedding":[1,0.5],"inputTextTokenCount":3}"#, r#"{"embedding":[2],"inputTextTokenCount":4}"#];
    let replies = texts.map(|body| Reply { status: 200, header: &|_| None, body: body.as_bytes() });
    let answer = EMBED_TITAN.answer(&replies, &back(false)).unwrap();
    let json: Value = serde_json::from_slice(&answer.body).unwrap();
    assert_eq!((&json["data"][0]["embedding"], &json["data"][1]["embedding"]), (&json!([1, 0.5]), &json!([2])));
    assert_eq!(json["usage"], json!({"prompt_tokens": 7, "total_tokens": 7}));
    let encoded = EMBED_TITAN.answer(&replies, &back_for(outgoing.asked)).unwrap();
    let json: Value = serde_json::from_slice(&encoded.body).unwrap();
    assert_eq!(json["data"][1]["embedding"], "AAAAQA==");
}

#[test]
fn cohere_embeds_in_batches_by_type() {
    let texts: Vec<String> = (0..97).map(|n| n.to_string()).collect();
    let outgoing = ask(&EMBED_COHERE, "cohere.embed-english-v3", json!({ "input": texts })).unwrap();
    let bodies: Vec<Value> = outgoing.bodies.iter().map(|body| serde_json::from_slice(body).unwrap()).collect();
    assert_eq!(bodies.iter().map(|body| body["texts"].as_array().unwrap().len()).collect::<Vec<_>>(), [96, 1]);
    assert_eq!(bodies[1], json!({"texts": ["96"], "input_type": "search_document"}));
    assert_eq!(refused(&EMBED_COHERE, json!({"input": "a", "instruction": "b"})), "instruction");
    assert_eq!(refused(&EMBED_COHERE, json!({"input": [1, 2]})), "input");

    let answer = |embeddings: Value| answer_to(&EMBED_COHERE, &json!({ "embeddings": embeddings }), Asked::default());
    for embeddings in [json!([[1, 2]]), json!({"int8": [[7, 7]], "float": [[1, 2]]})] {
        assert_eq!(answer(embeddings).unwrap()["data"][0]["embedding"], json!([1, 2]));
    }
    assert_eq!(answer(json!({"int8": [[1]]})), Err(Broken::Lacks("embeddings.float").into()));
    assert_eq!(answer(json!("x")), Err(Broken::NotJson.into()));
    assert_eq!(EMBED_COHERE.task(), Task::Embeddings);
}
