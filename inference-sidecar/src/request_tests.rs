use serde_json::{Value, json};

use super::*;

fn body(fields: Value) -> GenerationBody {
    let mut all = json!({"model": "m"});
    for (key, value) in fields.as_object().expect("an object") {
        all[key] = value.clone();
    }
    serde_json::from_value(all).expect("a body")
}

fn chat(mut fields: Value) -> Result<ChatRequest, EngineError> {
    if fields.get("messages").is_none() {
        fields["messages"] = json!([{"role": "user", "content": "hi"}]);
    }
    body(fields).try_into()
}

fn completion(fields: Value) -> Result<CompletionRequest, EngineError> {
    body(fields).try_into()
}

fn param<T: std::fmt::Debug>(result: Result<T, EngineError>) -> Option<&'static str> {
    match result {
        Err(EngineError::Request { param, .. }) => param,
        other => panic!("not refused: {other:?}"),
    }
}

#[test]
fn defaults_are_openais() {
    let request = chat(json!({})).expect("valid").generation;
    assert_eq!(*request.sampling, SamplingParams::default());
    assert_eq!((request.n, request.max_tokens, request.stream, request.ignore_eos), (1, None, None, false));
}

#[test]
fn everything_that_is_asked_for_arrives() {
    let request = chat(json!({
        "temperature": 0.5, "top_p": 0.9, "top_k": 40, "min_p": 0.05, "seed": -1, "n": 3, "stop": ["a", "b"],
        "max_tokens": 9, "max_completion_tokens": 7, "presence_penalty": 1, "frequency_penalty": -1,
        "repetition_penalty": 1.1, "logit_bias": {"5": -100, "6": 3}, "logprobs": true, "top_logprobs": 4,
        "stream": true, "stream_options": {"include_usage": true}, "user": "u", "unheard_of": {},
        "response_format": {"type": "text"}, "tool_choice": "none", "tools": [],
        "stop_token_ids": [], "min_tokens": 0, "allowed_token_ids": null, "bad_words": [], "add_generation_prompt": true,
        "include_stop_str_in_output": false, "skip_special_tokens": true, "use_raw_prompt": false,
    }));
    let request = request.expect("valid").generation;
    let expected = SamplingParams {
        temperature: 0.5,
        top_p: 0.9,
        top_k: 40,
        min_p: 0.05,
        presence_penalty: 1.0,
        frequency_penalty: -1.0,
        repetition_penalty: 1.1,
        logit_bias: vec![(5, -100.0), (6, 3.0)],
        seed: Some(u64::MAX),
        logprobs: Some(4),
    };
    assert_eq!(*request.sampling, expected);
    assert_eq!((request.n, request.max_tokens), (3, Some(7)));
    assert_eq!(request.stop, ["a", "b"]);
    assert_eq!(request.stream, Some(Streaming { include_usage: true }));
}

#[test]
fn what_is_wrong_or_not_done_is_refused_by_name() {
    let cases = [
        (json!({"messages": []}), "messages"),
        (json!({"messages": [{"role": "user", "content": [{"type": "image_url"}]}]}), "messages"),
        (json!({"temperature": 2.1}), "temperature"),
        (json!({"temperature": -0.1}), "temperature"),
        (json!({"top_p": 1.5}), "top_p"),
        (json!({"top_k": -2}), "top_k"),
        (json!({"min_p": 2}), "min_p"),
        (json!({"presence_penalty": 3}), "presence_penalty"),
        (json!({"frequency_penalty": -3}), "frequency_penalty"),
        (json!({"repetition_penalty": 0}), "repetition_penalty"),
        (json!({"logit_bias": {"x": 1}}), "logit_bias"),
        (json!({"logit_bias": {"1": 101}}), "logit_bias"),
        (json!({"logit_bias": {"7": 1, "07": 2}}), "logit_bias"),
        (json!({"logit_bias": (0..301).map(|id| (id.to_string(), 1)).collect::<BTreeMap<_, _>>()}), "logit_bias"),
        (json!({"max_tokens": 0}), "max_tokens"),
        (json!({"n": 0}), "n"),
        (json!({"n": 129}), "n"),
        (json!({"stop": ""}), "stop"),
        (json!({"stop": vec!["x"; 17]}), "stop"),
        (json!({"logprobs": 3}), "logprobs"),
        (json!({"top_logprobs": 3}), "top_logprobs"),
        (json!({"logprobs": true, "top_logprobs": 21}), "top_logprobs"),
        (json!({"stream_options": {"include_usage": true}}), "stream_options"),
        (json!({"tools": [{"type": "function"}]}), "tools"),
        (json!({"tool_choice": "required"}), "tool_choice"),
        (json!({"response_format": {"type": "json_object"}}), "response_format"),
        (json!({"guided_grammar": "g"}), "guided_grammar"),
        (json!({"stop_token_ids": [2]}), "stop_token_ids"),
        (json!({"min_tokens": 1}), "min_tokens"),
        (json!({"allowed_token_ids": [2]}), "allowed_token_ids"),
        (json!({"bad_words": ["x"]}), "bad_words"),
        (json!({"include_stop_str_in_output": true}), "include_stop_str_in_output"),
        (json!({"add_generation_prompt": false}), "add_generation_prompt"),
        (json!({"skip_special_tokens": false}), "skip_special_tokens"),
        (json!({"use_raw_prompt": true}), "use_raw_prompt"),
        (json!({"truncate_prompt_tokens": 5}), "truncate_prompt_tokens"),
    ];
    for (fields, name) in cases {
        assert_eq!(param(chat(fields.clone())), Some(name), "{fields}");
    }
    let cases = [
        (json!({}), "prompt"),
        (json!({"prompt": []}), "prompt"),
        (json!({"prompt": [[]]}), "prompt"),
        (json!({"prompt": "a", "logprobs": true}), "logprobs"),
        (json!({"prompt": "a", "logprobs": 21}), "logprobs"),
        (json!({"prompt": "a", "logprobs": 1, "echo": true}), "echo"),
        (json!({"prompt": "a", "best_of": 2}), "best_of"),
        (json!({"prompt": "a", "suffix": "z"}), "suffix"),
        (json!({"prompt": ["a", "b"], "n": 65}), "n"),
    ];
    for (fields, name) in cases {
        assert_eq!(param(completion(fields.clone())), Some(name), "{fields}");
    }
}

#[test]
fn prompts_come_in_four_forms() {
    let prompts = |prompt: Value| completion(json!({"prompt": prompt})).expect("valid").prompts;
    let text = |text: &str| Prompt::Text(text.into());
    assert_eq!(prompts(json!("a")), [text("a")]);
    assert_eq!(prompts(json!(["a", "b"])), [text("a"), text("b")]);
    assert_eq!(prompts(json!([1, 2])), [Prompt::Tokens(vec![1, 2])]);
    assert_eq!(prompts(json!([[1], [2, 3]])), [Prompt::Tokens(vec![1]), Prompt::Tokens(vec![2, 3])]);
}

#[test]
fn content_parts_become_one_text() {
    let parts = json!([{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]);
    let request = chat(json!({"messages": [{"role": "user", "content": parts}]})).expect("valid");
    assert!(matches!(&request.messages[0].content, Some(Content::Text(text)) if text == "a\nb"));
}

#[test]
fn embeddings_are_floats_unless_base64_is_asked_for() {
    let request = |fields: Value| {
        let body: EmbeddingBody = serde_json::from_value(fields).expect("a body");
        EmbeddingRequest::try_from(body)
    };
    assert!(!request(json!({"model": "m", "input": "a"})).expect("valid").base64);
    assert!(request(json!({"model": "m", "input": "a", "encoding_format": "base64"})).expect("valid").base64);
    assert_eq!(param(request(json!({"model": "m", "input": "a", "encoding_format": "x"}))), Some("encoding_format"));
    assert_eq!(param(request(json!({"model": "m", "input": [], "stream": false}))), Some("input"));
    assert_eq!(param(request(json!({"model": "m", "input": "a", "stream": true}))), Some("stream"));
    assert_eq!(param(request(json!({"model": "m", "input": vec!["a"; 2049]}))), Some("input"));
}
