use serde_json::{Value, json};

use super::*;
use crate::anthropic::COMPLETE;
use crate::recorded::fold::{chunks, fold};
use crate::recorded::laws::{answer_to, back, run};
use crate::{Ask, Asked, Task};

fn ask(body: &Value) -> Result<Outgoing, PeekError> {
    let body = body.to_string();
    let ask = Ask::peek(body.as_bytes(), Task::Completions).unwrap();
    COMPLETE.request(&ask, &Cx { model: "claude-2.1", default_max_tokens: None })
}

fn prompt(body: Value) -> String {
    let outgoing = ask(&body).unwrap();
    let body: Value = serde_json::from_slice(&outgoing.bodies[0]).unwrap();
    body["prompt"].as_str().unwrap().to_owned()
}

#[test]
fn a_prompt_gets_its_turn_marks_once() {
    assert_eq!(prompt(json!({"prompt": "Hi"})), "\n\nHuman: Hi\n\nAssistant:");
    assert_eq!(prompt(json!({"prompt": ["Hi"]})), "\n\nHuman: Hi\n\nAssistant:");
    assert_eq!(prompt(json!({"prompt": "\n\nHuman: Hi\n\nAssistant: Oh"})), "\n\nHuman: Hi\n\nAssistant: Oh");
    assert_eq!(prompt(json!({"prompt": "Hi", "use_raw_prompt": true})), "Hi");
}

#[test]
fn parameters_have_other_names() {
    let outgoing = ask(&json!({
        "prompt": "Hi", "max_tokens": 5, "stop": ["a", "b"], "temperature": 0.5, "top_k": 3, "user": "u", "seed": 1,
        "stream": true, "echo": false, "best_of": 1, "own": true,
    }))
    .unwrap();
    assert_eq!((outgoing.path.as_str(), outgoing.dropped.as_slice()), ("/v1/complete", &["seed"][..]));
    assert_eq!(
        serde_json::from_slice::<Value>(&outgoing.bodies[0]).unwrap(),
        json!({
            "model": "claude-2.1", "prompt": "\n\nHuman: Hi\n\nAssistant:", "max_tokens_to_sample": 5,
            "stop_sequences": ["a", "b"], "temperature": 0.5, "top_k": 3, "metadata": {"user_id": "u"}, "stream": true,
            "own": true,
        })
    );
}

#[test]
fn what_the_api_cannot_do_is_refused() {
    for (body, param) in [
        (json!({"prompt": ["a", "b"]}), "prompt"),
        (json!({"prompt": [1, 2]}), "prompt"),
        (json!({"prompt": "a", "n": 2}), "n"),
        (json!({"prompt": "a", "echo": true}), "echo"),
        (json!({"prompt": "a", "suffix": "s"}), "suffix"),
        (json!({"prompt": "a", "logprobs": 1}), "logprobs"),
    ] {
        assert_eq!(ask(&body).unwrap_err().param(), Some(param), "{body}");
    }
}

#[test]
fn the_limit_of_tokens_is_a_length() {
    let theirs =
        json!({"type": "completion", "id": "c", "completion": " x", "stop_reason": "max_tokens", "model": "m"});
    let whole = answer_to(&COMPLETE, &theirs, Asked::default()).unwrap();
    assert_eq!(whole["choices"][0], json!({"index": 0, "text": " x", "logprobs": null, "finish_reason": "length"}));
    let (sent, stream) = run(&COMPLETE, back(true), format!("data: {theirs}").as_bytes(), &[4]);
    assert_eq!((fold(&chunks(&sent), Task::Completions), stream.usage()), (whole, None));
}
