use percent_encoding::percent_decode_str;
use serde_json::{Map, Value, json};

use super::*;
use crate::recorded::{self, Recorded, golden, laws};
use crate::split::Splitter;

/// The model in a recording's path.
fn model(recorded: &Recorded) -> String {
    let path = recorded.request["path"].as_str().unwrap();
    let path = path.strip_prefix("/model/").unwrap().rsplit_once('/').unwrap().0;
    percent_decode_str(path).decode_utf8().unwrap().into_owned()
}

/// Recordings with the pair that their model takes; those of another API are left out.
fn pairs(all: &[Recorded]) -> Vec<(&'static Pair, &Recorded)> {
    let of = |recorded: &Recorded| pair(recorded.task(), &model(recorded), None);
    all.iter()
        .filter(|recorded| recorded.api == "bedrock/converse")
        .map(|recorded| (of(recorded).unwrap(), recorded))
        .collect()
}

/// The whole answer that a stream spells, put together by its events as AWS describes them.
fn whole(recorded: &Recorded) -> Option<Value> {
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

fn add(text: &mut Value, piece: &Value) {
    *text = (text.as_str().unwrap_or_default().to_owned() + piece.as_str().unwrap()).into();
}

#[test]
fn recordings_keep_the_laws() {
    let all = recorded::all("amazon-bedrock");
    assert_eq!(laws::check(&pairs(&all), whole), 31);
}

/// Requests that mean the same are equal in this form: nothing said that holds anyway.
fn same(mut request: Value) -> Value {
    let members = request.as_object_mut().unwrap();
    members.retain(|key, value| {
        let is_default = |default: Value| *value == default;
        !match &**key {
            "system" => is_default(json!([])),
            "inferenceConfig" | "additionalModelRequestFields" => is_default(json!({})),
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
    for turn in members.get_mut("messages").and_then(Value::as_array_mut).into_iter().flatten() {
        for block in turn["content"].as_array_mut().unwrap() {
            if let Some(Value::Object(result)) = block.get_mut("toolResult") {
                result.retain(|key, value| !(key == "status" && value == "success"));
            }
        }
    }
    request
}

#[test]
fn recordings_match_their_golden_files() {
    let all = recorded::all("amazon-bedrock");
    let count = golden::check(&pairs(&all), model, same);
    assert_eq!(count, golden::Count { same: 30, differ: 0, answers_only: 1 });
}
