use serde_json::{Value, json};

use super::*;
use crate::recorded::{self, Recorded, golden, laws};

fn pairs(all: &[Recorded]) -> Vec<(&'static Pair, &Recorded)> {
    let pair = |recorded: &Recorded| match &*recorded.api {
        "ai21labs/chat" => &CHAT,
        "ai21labs/complete" => &COMPLETE,
        other => panic!("no pair for {other}"),
    };
    all.iter().map(|recorded| (pair(recorded), recorded)).collect()
}

/// The whole answer that a stream of one choice spells.
fn whole(recorded: &Recorded) -> Option<Value> {
    let mut answer = json!({"choices": [{"index": 0, "message": {"role": "assistant"}}]});
    let mut text = String::new();
    for event in recorded.response["sse"].as_array().unwrap() {
        let data = event.as_str().unwrap().strip_prefix("data: ").unwrap();
        if data == "[DONE]" {
            continue;
        }
        let event: Value = serde_json::from_str(data).unwrap();
        answer["id"] = event["id"].clone();
        text += event["choices"][0]["delta"]["content"].as_str().unwrap_or_default();
        answer["choices"][0]["finish_reason"] = event["choices"][0]["finish_reason"].clone();
        answer["usage"] = event["usage"].clone();
    }
    answer["choices"][0]["message"]["content"] = text.into();
    Some(answer)
}

#[test]
fn recordings_keep_the_laws() {
    let all = recorded::all(PROVIDER);
    assert_eq!(laws::check(&pairs(&all), whole), 7);
}

#[test]
fn recordings_match_their_golden_files() {
    let all = recorded::all(PROVIDER);
    let model = |recorded: &Recorded| {
        let model = recorded.request["body"]["model"].as_str();
        let path = recorded.request["path"].as_str().unwrap();
        model.or_else(|| path.split('/').rev().nth(1)).unwrap().to_owned()
    };
    let count = golden::check(&pairs(&all), model, |request| request);
    assert_eq!(count, golden::Count { same: 7, differ: 0, answers_only: 0 });
}
