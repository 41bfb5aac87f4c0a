use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use percent_encoding::percent_decode_str;
use serde_json::{Map, Value, json};

use super::*;
use crate::Task;
use crate::recorded::{self, Recorded, golden, laws};
use crate::split::tests::frame;
use crate::split::{Framing, Splitter};

/// The model in a recording's path.
fn model(recorded: &Recorded) -> String {
    let path = recorded.request["path"].as_str().unwrap();
    let path = path.strip_prefix("/model/").unwrap().rsplit_once('/').unwrap().0;
    percent_decode_str(path).decode_utf8().unwrap().into_owned()
}

/// Recordings of an API that is not asked, with the reason.
fn unasked(recorded: &Recorded) -> Option<&'static str> {
    match &*recorded.api {
        "bedrock/invoke/nova" => Some("Nova is asked by Converse, whose schema this is"),
        "bedrock/invoke/cohere" if recorded.task() == Task::Chat => Some("Command R is asked by Converse"),
        _ => None,
    }
}

/// Recordings with the pair of their API.
fn pairs(all: &[Recorded]) -> Vec<(&'static Pair, &Recorded)> {
    let of = |recorded: &Recorded| match &*recorded.api {
        // Later models of Anthropic's take this API too; they are asked by Converse.
        "bedrock/invoke/anthropic-messages" => &INVOKE_MESSAGES,
        _ => pair(recorded.task(), &model(recorded), None).unwrap(),
    };
    all.iter().filter(|recorded| unasked(recorded).is_none()).map(|recorded| (of(recorded), recorded)).collect()
}

/// The whole answer that a stream spells, put together by its events as AWS describes them.
fn whole(recorded: &Recorded) -> Option<Value> {
    match &*recorded.api {
        "bedrock/converse" => {}
        "bedrock/invoke/anthropic-messages" => return Some(anthropics(recorded)),
        "bedrock/invoke/titan" => return Some(titans(recorded)),
        // Its whole answers have their usage in headers, which no stream has.
        _ => return None,
    }
    let mut message = json!({"output": {"message": {"content": []}}});
    let mut splitter = Splitter::new(Framing::EventStream);
    splitter
        .push(&recorded.streamed().unwrap(), |event| {
            let data: Value = serde_json::from_slice(event.data).unwrap();
            spell(&mut message, event.name, &data);
        })
        .unwrap();
    Some(message)
}

fn spell(message: &mut Value, name: &str, data: &Value) {
    let blocks = message["output"]["message"]["content"].as_array_mut().unwrap();
    let at = data["contentBlockIndex"].as_u64().unwrap_or_default() as usize;
    if blocks.len() <= at && name.starts_with("contentBlock") {
        blocks.resize(at + 1, json!({}));
    }
    match name {
        "contentBlockStart" => blocks[at] = data["start"].clone(),
        "contentBlockDelta" => {
            let (kind, piece) = data["delta"].as_object().unwrap().iter().next().unwrap();
            let block = &mut blocks[at];
            match (&**kind, piece) {
                ("text", piece) => add(&mut block["text"], piece),
                ("toolUse", piece) => add(&mut block["toolUse"]["input"], &piece["input"]),
                ("toolResult", pieces) => block["toolResult"]["content"] = pieces.clone(),
                ("reasoningContent", piece) if piece["redactedContent"].is_string() => {
                    add(&mut block["reasoningContent"]["redactedContent"], &piece["redactedContent"]);
                }
                ("reasoningContent", piece) => {
                    for (key, piece) in piece.as_object().unwrap() {
                        add(&mut block["reasoningContent"]["reasoningText"][key], piece);
                    }
                }
                (other, _) => panic!("{other}"),
            }
        }
        "contentBlockStop" => {
            if let Some(call) = blocks[at].get_mut("toolUse") {
                let input = call["input"].as_str().filter(|input| !input.is_empty()).unwrap_or("{}");
                call["input"] = serde_json::from_str(input).unwrap();
            }
        }
        "messageStop" | "metadata" => {
            let members: Map<_, _> = data.as_object().unwrap().clone();
            message.as_object_mut().unwrap().extend(members.into_iter().filter(|(key, _)| key != "p"));
        }
        "messageStart" => {}
        other => panic!("{other}"),
    }
}

/// The events that makers wrote, out of Bedrock's.
fn unwrapped(recorded: &Recorded) -> Vec<Value> {
    let mut events = Vec::new();
    let mut splitter = Splitter::new(Framing::EventStream);
    splitter
        .push(&recorded.streamed().unwrap(), |event| {
            let data: Value = serde_json::from_slice(event.data).unwrap();
            let bytes = STANDARD.decode(data["bytes"].as_str().unwrap()).unwrap();
            events.push(serde_json::from_slice(&bytes).unwrap());
        })
        .unwrap();
    events
}

/// A text of Titan's.
fn titans(recorded: &Recorded) -> Value {
    let mut whole = json!({});
    let mut text = String::new();
    for event in unwrapped(recorded) {
        text += event["outputText"].as_str().unwrap();
        whole.as_object_mut().unwrap().extend(event.as_object().unwrap().clone());
    }
    whole["results"] = json!([{"outputText": text, "tokenCount": whole["totalOutputTextTokenCount"],
        "completionReason": whole["completionReason"]}]);
    whole
}

/// A message of Anthropic's, of text and tool calls.
fn anthropics(recorded: &Recorded) -> Value {
    let mut message = json!({});
    for event in unwrapped(recorded) {
        let at = event["index"].as_u64().unwrap_or_default() as usize;
        match event["type"].as_str().unwrap() {
            "message_start" => message = event["message"].clone(),
            "content_block_start" => message["content"].as_array_mut().unwrap().push(event["content_block"].clone()),
            "content_block_delta" => {
                let (block, delta) = (&mut message["content"][at], &event["delta"]);
                match delta["type"].as_str().unwrap() {
                    "text_delta" => add(&mut block["text"], &delta["text"]),
                    _ => add(&mut block["partial"], &delta["partial_json"]),
                }
            }
            "message_delta" => {
                message["stop_reason"] = event["delta"]["stop_reason"].clone();
                message["usage"]["output_tokens"] = event["usage"]["output_tokens"].clone();
            }
            _ => {}
        }
    }
    for block in message["content"].as_array_mut().unwrap() {
        if let Some(partial) = block["partial"].as_str() {
            block["input"] = serde_json::from_str(partial).unwrap();
        }
    }
    message
}

fn add(text: &mut Value, piece: &Value) {
    *text = (text.as_str().unwrap_or_default().to_owned() + piece.as_str().unwrap()).into();
}

#[test]
fn recordings_keep_the_laws() {
    let all = recorded::all("amazon-bedrock");
    assert_eq!((all.len(), all.iter().filter_map(unasked).count()), (54, 7));
    assert_eq!(laws::check(&pairs(&all), whole), 47);
}

/// Requests that mean the same are equal in this form: nothing said that holds anyway.
fn same(mut request: Value) -> Value {
    let members = request.as_object_mut().unwrap();
    members.retain(|key, value| {
        let is_default = |default: Value| *value == default;
        !match &**key {
            "system" => is_default(json!([])),
            "inferenceConfig" | "additionalModelRequestFields" => is_default(json!({})),
            "stop_sequences" | "stopSequences" => is_default(json!([])),
            "stream" => is_default(json!(false)),
            _ => false,
        }
    });
    // A schema is JSON in a string, where the order of its members says nothing.
    let schema = members
        .get_mut("outputConfig")
        .and_then(|config| config.pointer_mut("/textFormat/structure/jsonSchema/schema"));
    if let Some(schema) = schema {
        *schema = serde_json::from_str(schema.as_str().unwrap()).unwrap();
    }
    if members.contains_key("anthropic_version") {
        return anthropic_request(request);
    }
    for turn in members.get_mut("messages").and_then(Value::as_array_mut).into_iter().flatten() {
        for block in turn["content"].as_array_mut().unwrap() {
            if let Some(Value::Object(result)) = block.get_mut("toolResult") {
                result.retain(|key, value| !(key == "status" && value == "success"));
            }
        }
    }
    request
}

/// Plain texts as blocks, and turns of one side that follow each other as one.
fn anthropic_request(mut request: Value) -> Value {
    fn blocks(value: &mut Value) {
        if let Value::String(text) = value {
            *value = json!([{"type": "text", "text": text}]);
        }
        for block in value.as_array_mut().into_iter().flatten() {
            block.get_mut("content").into_iter().for_each(blocks);
        }
    }
    let mut turns: Vec<Value> = Vec::new();
    for mut turn in request["messages"].as_array().unwrap().clone() {
        blocks(&mut turn["content"]);
        match turns.last_mut() {
            Some(last) if last["role"] == turn["role"] => {
                let more = turn["content"].as_array().unwrap().clone();
                last["content"].as_array_mut().unwrap().extend(more);
            }
            _ => turns.push(turn),
        }
    }
    request["messages"] = turns.into();
    request.as_object_mut().unwrap().get_mut("system").into_iter().for_each(blocks);
    request
}

#[test]
fn recordings_match_their_golden_files() {
    let all = recorded::all("amazon-bedrock");
    let count = golden::check(&pairs(&all), model, same);
    assert_eq!(count, golden::Count { same: 45, differ: 1, answers_only: 1 });
}

/// Nova's own schema is Converse's, but for what Bedrock puts around its events.
#[test]
fn nova_says_what_converse_says() {
    let mut all = recorded::all("amazon-bedrock");
    all.retain(|recorded| recorded.api == "bedrock/invoke/nova");
    for recorded in all.iter_mut().filter(|recorded| recorded.is_stream) {
        let frames = unwrapped(recorded).into_iter().map(|event| {
            let (name, data) = event.as_object().unwrap().iter().find(|(key, _)| !key.starts_with("amazon")).unwrap();
            frame(&[(":event-type", name), (":message-type", "event")], data.to_string().as_bytes())
        });
        let frames = frames.collect::<Vec<_>>().concat();
        recorded.response["body_base64"] = STANDARD.encode(frames).into();
        recorded.api = "bedrock/converse".into();
    }
    let pairs: Vec<_> =
        all.iter().map(|recorded| (pair(Task::Chat, &model(recorded), None).unwrap(), recorded)).collect();
    assert_eq!(laws::check(&pairs, whole), 6);
}

/// An answer put back into the conversation, as a client does in a tool loop, is the provider's own again.
#[test]
fn answers_go_back_as_they_came() {
    let mut seen = 0;
    for recorded in recorded::all("amazon-bedrock").iter().filter(|recorded| recorded.api == "bedrock/converse") {
        let theirs = match recorded.is_stream {
            true => whole(recorded).unwrap(),
            false => recorded.response["body"].clone(),
        };
        let Some(blocks) = theirs["output"]["message"]["content"].as_array() else { continue };
        // Reasoning that is not signed does not go back, nor do citations and the provider's own tools.
        let goes_back = |block: &Value| match block.as_object().unwrap().iter().next().unwrap() {
            (kind, block) if kind == "reasoningContent" => block["redactedContent"].is_string(),
            (kind, block) => kind == "text" || kind == "toolUse" && block["type"] != "server_tool_use",
        };
        if !blocks.iter().all(goes_back) {
            continue;
        }
        let ours = laws::answer_to(&CONVERSE_CLAUDE, &theirs, crate::Asked::default()).unwrap();
        let body = json!({"messages": [{"role": "user", "content": "u"}, ours["choices"][0]["message"]]}).to_string();
        let ask = crate::Ask::peek(body.as_bytes(), Task::Chat).unwrap();
        let again = CONVERSE_CLAUDE.request(&ask, &crate::Cx { model: "anthropic.claude", default_max_tokens: None });
        let again: Value = serde_json::from_slice(&again.unwrap().bodies[0]).unwrap();
        let mut expected = blocks.clone();
        for block in &mut expected {
            if let Some(Value::Object(call)) = block.get_mut("toolUse") {
                call.remove("type");
            }
        }
        assert_eq!(again["messages"][1], json!({"role": "assistant", "content": expected}), "{}", recorded.name);
        seen += 1;
    }
    assert_eq!(seen, 23);
}
