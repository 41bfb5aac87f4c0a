//! Putting a translated stream together again, as a client does, and checking on the way what every stream must keep.

use serde_json::{Map, Value, json};

use crate::Task;

/// The JSON of every event before `[DONE]`, which must be there and last.
pub fn chunks(sent: &[u8]) -> Vec<Value> {
    let sent = std::str::from_utf8(sent).expect("UTF-8");
    let events = sent.strip_suffix("data: [DONE]\n\n").unwrap_or_else(|| panic!("no [DONE] at the end of {sent}"));
    events_of(events)
}

/// The JSON of every event.
pub fn events_of(events: &str) -> Vec<Value> {
    let event = |event: &str| {
        let data = event.strip_prefix("data: ").unwrap_or_else(|| panic!("no data in {event:?}"));
        serde_json::from_str(data).unwrap_or_else(|error| panic!("{error} in {data:?}"))
    };
    events.split_terminator("\n\n").map(event).collect()
}

/// The whole answer that a stream's chunks spell.
pub fn fold(chunks: &[Value], task: Task) -> Value {
    let first = &chunks[0];
    let mut choices: Vec<Map<String, Value>> = Vec::new();
    let mut usage = Value::Null;
    for (at, chunk) in chunks.iter().enumerate() {
        for key in ["id", "object", "created", "model"] {
            assert_eq!(chunk[key], first[key], "{key} of chunk {at}");
        }
        assert_eq!(chunk["object"], task.chunk_object());
        if chunk["usage"].is_object() {
            assert_eq!((at + 1, &chunk["choices"]), (chunks.len(), &json!([])), "usage is last, and alone");
            usage = chunk["usage"].clone();
            continue;
        }
        assert_eq!(chunk["choices"].as_array().map(Vec::len), Some(1), "one choice in {chunk}");
        let piece = &chunk["choices"][0];
        let index = piece["index"].as_u64().unwrap() as usize;
        choices.resize(choices.len().max(index + 1), Map::new());
        let choice = &mut choices[index];
        assert!(choice.get("finish_reason").is_none_or(Value::is_null), "nothing comes after the end: {chunk}");
        choice.insert("finish_reason".into(), piece["finish_reason"].clone());
        if piece["logprobs"].is_object() {
            merge(choice.entry("logprobs").or_insert(json!({})), &piece["logprobs"]);
        }
        match task {
            Task::Chat => {
                let begun = choice.contains_key("message");
                assert_eq!(piece["delta"].get("role").is_some(), !begun, "the role comes first and once: {chunk}");
                merge(choice.entry("message").or_insert(json!({})), &piece["delta"]);
            }
            Task::Completions | Task::Embeddings => {
                merge(choice.entry("text").or_insert(json!("")), &piece["text"]);
            }
        }
    }
    let choices = choices.into_iter().enumerate().map(|(index, mut choice)| {
        assert!(choice["finish_reason"].is_string(), "choice {index} ends");
        choice.insert("index".into(), index.into());
        choice.entry("logprobs").or_insert(Value::Null);
        Value::Object(choice)
    });
    let mut whole = json!({
        "id": first["id"], "object": task.answer_object(), "created": first["created"], "model": first["model"],
        "choices": choices.collect::<Vec<_>>(),
    });
    if !usage.is_null() {
        whole["usage"] = usage;
    }
    whole
}

/// As the openai client accumulates deltas: texts are joined, objects merged, elements of lists found by `index`.
fn merge(into: &mut Value, piece: &Value) {
    match (into, piece) {
        (into @ Value::Null, piece) => *into = piece.clone(),
        (_, Value::Null) => {}
        (Value::String(text), Value::String(more)) => text.push_str(more),
        (Value::Object(members), Value::Object(more)) => {
            for (key, value) in more {
                match (&**key, members.get_mut(key)) {
                    ("index" | "type", _) | (_, None) => {
                        let mut fresh = Value::Null;
                        if let Value::Array(list) = value {
                            fresh = json!([]);
                            merge(&mut fresh, &Value::Array(list.clone()));
                        } else {
                            merge(&mut fresh, value);
                        }
                        members.insert(key.clone(), fresh);
                    }
                    (_, Some(member)) => merge(member, value),
                }
            }
        }
        (Value::Array(list), Value::Array(more)) => {
            for element in more {
                match element["index"].as_u64() {
                    Some(index) => {
                        let at = list.iter().position(|known| known["index"] == index);
                        assert!(at.is_some() || index as usize == list.len(), "indexes count up: {element}");
                        match at {
                            Some(at) => merge(&mut list[at], element),
                            None => list.push(element.clone()),
                        }
                    }
                    None => list.push(element.clone()),
                }
            }
        }
        (into, piece) => *into = piece.clone(),
    }
}

/// A whole answer without what may differ between streamed and whole ones: the `index` of tool calls, and whitespace
/// in their arguments, which must be JSON (unless the answer was cut at its longest).
pub fn normal(mut whole: Value) -> Value {
    for choice in whole["choices"].as_array_mut().into_iter().flatten() {
        let cut = choice["finish_reason"] == "length";
        for call in choice.pointer_mut("/message/tool_calls").and_then(Value::as_array_mut).into_iter().flatten() {
            call.as_object_mut().unwrap().remove("index");
            let arguments = call["function"]["arguments"].as_str().unwrap();
            match serde_json::from_str(arguments) {
                Ok(json) => call["function"]["arguments"] = json,
                Err(error) => assert!(cut, "{error} in the arguments {arguments}"),
            }
        }
    }
    whole
}
