use serde_json::{Value, json};

use super::*;
use crate::recorded::{self, Recorded, golden, laws};

fn pairs(all: &[Recorded]) -> Vec<(&'static Pair, &Recorded)> {
    let pair = |recorded: &Recorded| match &*recorded.api {
        "anthropic/messages" => &MESSAGES,
        "anthropic/complete" => &COMPLETE,
        other => panic!("no pair for {other}"),
    };
    all.iter().map(|recorded| (pair(recorded), recorded)).collect()
}

/// The whole message that a stream spells, put together by its events as Anthropic describes them.
fn whole(recorded: &Recorded) -> Option<Value> {
    let mut message = json!({});
    for event in recorded.response["sse"].as_array().unwrap() {
        let (_, data) = event.as_str().unwrap().split_once("data:").unwrap();
        let event: Value = serde_json::from_str(data).unwrap();
        let at = event["index"].as_u64().unwrap_or_default() as usize;
        match event["type"].as_str().unwrap() {
            "completion" => {
                let text = message["completion"].as_str().unwrap_or_default().to_owned();
                message = event.clone();
                message["completion"] = (text + event["completion"].as_str().unwrap()).into();
            }
            "message_start" => message = event["message"].clone(),
            "content_block_start" => message["content"].as_array_mut().unwrap().push(event["content_block"].clone()),
            "content_block_delta" => {
                let block = &mut message["content"][at];
                let mut add = |key: &str, piece: &Value| {
                    let text = block[key].as_str().unwrap_or_default().to_owned();
                    block[key] = (text + piece.as_str().unwrap()).into();
                };
                let delta = &event["delta"];
                match delta["type"].as_str().unwrap() {
                    "text_delta" => add("text", &delta["text"]),
                    "thinking_delta" => add("thinking", &delta["thinking"]),
                    "signature_delta" => add("signature", &delta["signature"]),
                    "input_json_delta" => add("partial", &delta["partial_json"]),
                    "citations_delta" => block["citations"].as_array_mut().unwrap().push(delta["citation"].clone()),
                    other => panic!("{other}"),
                }
            }
            "content_block_stop" => {
                let block = message["content"][at].as_object_mut().unwrap();
                if let Some(Value::String(partial)) = block.remove("partial").filter(|partial| *partial != "") {
                    block.insert("input".into(), serde_json::from_str(&partial).unwrap());
                }
            }
            "message_delta" => {
                message.as_object_mut().unwrap().extend(event["delta"].as_object().unwrap().clone());
                let usage = message["usage"].as_object_mut().unwrap();
                usage.extend(event["usage"].as_object().unwrap().clone());
            }
            "ping" | "message_stop" => {}
            other => panic!("{other}"),
        }
    }
    Some(message)
}

#[test]
fn recordings_keep_the_laws() {
    let all = recorded::all("anthropic");
    assert_eq!(laws::check(&pairs(&all), whole), 39);
}

/// Requests that mean the same are equal in this form: plain texts as blocks, and nothing said that holds anyway.
fn same(mut request: Value) -> Value {
    fn blocks(value: &mut Value) {
        if let Value::String(text) = value {
            *value = json!([{"type": "text", "text": text}]);
        }
        for block in value.as_array_mut().into_iter().flatten() {
            let block = block.as_object_mut().unwrap();
            block.retain(|key, value| !(key == "is_error" && *value == false));
            block.get_mut("content").into_iter().for_each(blocks);
        }
    }
    let members = request.as_object_mut().unwrap();
    members.retain(|key, value| !(key == "stream" && *value == false));
    members.get_mut("system").into_iter().for_each(blocks);
    for turn in members.get_mut("messages").and_then(Value::as_array_mut).into_iter().flatten() {
        blocks(&mut turn["content"]);
    }
    for tool in members.get_mut("tools").and_then(Value::as_array_mut).into_iter().flatten() {
        tool.as_object_mut().unwrap().retain(|_, value| !value.is_null());
    }
    request
}

#[test]
fn recordings_match_their_golden_files() {
    let all = recorded::all("anthropic");
    let model = |recorded: &Recorded| recorded.request["body"]["model"].as_str().unwrap().to_owned();
    let count = golden::check(&pairs(&all), model, same);
    assert_eq!(count, golden::Count { same: 33, differ: 1, answers_only: 5 });
}

/// An answer put back into the conversation, as a client does in a tool loop, is the provider's own again.
#[test]
fn answers_go_back_as_they_came() {
    let mut seen = 0;
    for recorded in recorded::all("anthropic").iter().filter(|recorded| recorded.api == "anthropic/messages") {
        let theirs = match recorded.is_stream {
            true => whole(recorded).unwrap(),
            false => recorded.response["body"].clone(),
        };
        let Some(blocks) = theirs["content"].as_array() else { continue };
        let known = ["text", "thinking", "redacted_thinking", "tool_use"];
        if blocks.iter().any(|block| !known.contains(&block["type"].as_str().unwrap())) {
            continue;
        }
        let ours = laws::answer_to(&MESSAGES, &theirs, crate::Asked::default()).unwrap();
        let body = json!({"messages": [{"role": "user", "content": "u"}, ours["choices"][0]["message"]]}).to_string();
        let ask = crate::Ask::peek(body.as_bytes(), crate::Task::Chat).unwrap();
        let again = MESSAGES.request(&ask, &crate::Cx { model: "claude", default_max_tokens: None }).unwrap();
        let again: Value = serde_json::from_slice(&again.bodies[0]).unwrap();
        let mut expected = blocks.clone();
        expected.iter_mut().for_each(|block| drop(block.as_object_mut().unwrap().remove("caller")));
        let mut again = again["messages"][1].clone();
        if again["content"].is_string() {
            again["content"] = json!([{"type": "text", "text": again["content"]}]);
        }
        assert_eq!(again, json!({"role": "assistant", "content": expected}), "{}", recorded.name);
        seen += 1;
    }
    assert_eq!(seen, 31);
}
