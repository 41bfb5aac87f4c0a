use serde_json::{Value, json};

use super::*;
use crate::recorded::{self, Recorded, golden, laws};

/// All recordings, those of the public Gemini API as Vertex AI has them: the same bodies (`recorded/README.md`) at
/// other paths, and of embeddings one at a time.
fn all() -> Vec<Recorded> {
    let mut all = recorded::all(PROVIDER);
    for recorded in &mut all {
        let path = recorded.request["path"].as_str().unwrap();
        let path = path.replace("/v1beta/models/", "/publishers/google/models/");
        recorded.request["path"] = path.replace(":batchEmbedContents", ":embedContent").into();
        if let [one] = recorded.request["body"]["requests"].as_array_mut().map(std::mem::take).as_deref().unwrap_or(&[])
        {
            let mut one = one.clone();
            one.as_object_mut().unwrap().remove("model");
            recorded.request["body"] = one;
            recorded.response["body"] = json!({"embedding": recorded.response["body"]["embeddings"][0]});
        }
    }
    all
}

fn model(recorded: &Recorded) -> String {
    let path = recorded.request["path"].as_str().unwrap();
    let (_, model) = path.rsplit_once('/').unwrap();
    model.split(':').next().unwrap().to_owned()
}

fn pairs(all: &[Recorded]) -> Vec<(&'static Pair, &Recorded)> {
    all.iter().map(|recorded| (pair(recorded.task(), &model(recorded)).unwrap(), recorded)).collect()
}

/// The whole answer that a stream spells: parts one after the other, and of all else the last that was said.
fn whole(recorded: &Recorded) -> Option<Value> {
    let mut answer = json!({});
    let mut candidate = json!({});
    let mut parts = Vec::new();
    let is_empty = |value: &Value| matches!(value.to_string().as_str(), "{}" | "[]" | "null");
    for event in recorded.response["sse"].as_array().unwrap() {
        let event: Value = serde_json::from_str(event.as_str().unwrap().strip_prefix("data: ").unwrap()).unwrap();
        answer.as_object_mut().unwrap().extend(event.as_object().unwrap().clone());
        for piece in event["candidates"].as_array().unwrap() {
            assert!(piece["index"].is_null() || piece["index"] == 0, "one candidate");
            parts.extend(piece["content"]["parts"].as_array().cloned().unwrap_or_default());
            let said = piece.as_object().unwrap().clone().into_iter().filter(|(_, value)| !is_empty(value));
            candidate.as_object_mut().unwrap().extend(said);
        }
    }
    candidate["content"] = json!({"role": "model", "parts": parts});
    answer["candidates"] = json!([candidate]);
    Some(answer)
}

#[test]
fn recordings_keep_the_laws() {
    assert_eq!(laws::check(&pairs(&all()), whole), 38);
}

/// Requests that mean the same are equal in this form: one spelling of each name, and nothing said that holds anyway.
fn same(mut request: Value) -> Value {
    fn renamed(object: &mut Value, names: &[(&str, &str)]) {
        let Some(members) = object.as_object_mut() else { return };
        for (from, to) in names {
            if let Some(value) = members.remove(*from) {
                members.insert((*to).to_owned(), value);
            }
        }
    }
    fn lower_types(schema: &mut Value) {
        match schema {
            Value::Object(members) => {
                if let Some(Value::String(kind)) = members.get_mut("type") {
                    kind.make_ascii_lowercase();
                }
                members.values_mut().for_each(lower_types);
            }
            Value::Array(all) => all.iter_mut().for_each(lower_types),
            _ => {}
        }
    }
    renamed(&mut request["systemInstruction"], &[("role", "-")]);
    request["systemInstruction"].as_object_mut().map(|system| system.remove("-"));
    let config = &mut request["generationConfig"];
    let names = [
        ("include_thoughts", "includeThoughts"),
        ("thinking_budget", "thinkingBudget"),
        ("thinking_level", "thinkingLevel"),
    ];
    if config["thinkingConfig"].is_object() {
        renamed(&mut config["thinkingConfig"], &names);
    }
    if config["topK"] == json!(2.0) {
        config["topK"] = json!(2);
    }
    if let Some(config) = config.as_object_mut() {
        config.retain(|key, value| {
            let says_nothing = match key.as_str() {
                "responseModalities" => *value == json!(["TEXT"]),
                "candidateCount" => *value == 1,
                _ => value.is_null(),
            };
            !says_nothing
        });
    }
    for tool in request["tools"].as_array_mut().into_iter().flatten() {
        for function in tool["functionDeclarations"].as_array_mut().into_iter().flatten() {
            let names =
                [("parameters_json_schema", "schema"), ("parametersJsonSchema", "schema"), ("parameters", "schema")];
            renamed(function, &names);
            lower_types(&mut function["schema"]);
            function.as_object_mut().unwrap().retain(|key, value| !(key == "description" && value == ""));
        }
    }
    // The public API's ids, which Vertex AI does not take.
    for turn in request["contents"].as_array_mut().into_iter().flatten() {
        for part in turn["parts"].as_array_mut().into_iter().flatten() {
            for member in ["functionCall", "functionResponse"] {
                part.get_mut(member).and_then(Value::as_object_mut).map(|member| member.remove("id"));
            }
        }
    }
    for turn in request.pointer_mut("/instances/0/messages").and_then(Value::as_array_mut).into_iter().flatten() {
        turn.as_object_mut().unwrap().entry("author").or_insert("user".into());
    }
    let members = request.as_object_mut().unwrap();
    members.retain(|_, value| !value.is_null() && *value != json!({}));
    request
}

#[test]
fn recordings_match_their_golden_files() {
    let count = golden::check(&pairs(&all()), model, same);
    assert_eq!(count, golden::Count { same: 31, differ: 0, answers_only: 7 });
}

/// An answer put back into the conversation, as a client does in a tool loop, is the provider's own again: each
/// signature on the part that it came with.
#[test]
fn answers_go_back_as_they_came() {
    let mut seen = 0;
    for recorded in all().iter().filter(|recorded| recorded.api == "vertex/generateContent" && recorded.status == 200) {
        let theirs = match recorded.is_stream {
            true => whole(recorded).unwrap(),
            false => recorded.response["body"].clone(),
        };
        let parts = theirs["candidates"][0]["content"]["parts"].as_array().cloned().unwrap_or_default();
        let known = |part: &Value| part["text"].is_string() || part["functionCall"].is_object();
        if parts.is_empty() || !parts.iter().all(known) {
            continue;
        }
        let ours = laws::answer_to(&GENERATE, &theirs, crate::Asked::default()).unwrap();
        let body = json!({"messages": [{"role": "user", "content": "u"}, ours["choices"][0]["message"]]}).to_string();
        let ask = crate::Ask::peek(body.as_bytes(), Task::Chat).unwrap();
        let again = GENERATE.request(&ask, &crate::Cx { model: "gemini-2.5-pro", default_max_tokens: None }).unwrap();
        let again: Value = serde_json::from_slice(&again.bodies[0]).unwrap();
        // Thoughts are not wanted back, nor ids taken; texts one after the other are one.
        let mut expected: Vec<Value> = Vec::new();
        for mut part in parts.into_iter().filter(|part| part["thought"] != true) {
            part.get_mut("functionCall").and_then(Value::as_object_mut).map(|call| call.remove("id"));
            match (expected.last_mut(), part["text"].as_str()) {
                (_, Some("")) if part["thoughtSignature"].is_null() => {}
                (Some(last), Some(text)) if last["text"].is_string() && !text.is_empty() => {
                    last["text"] = format!("{}{text}", last["text"].as_str().unwrap()).into();
                }
                _ => expected.push(part),
            }
        }
        assert_eq!(again["contents"][1], json!({"role": "model", "parts": expected}), "{}", recorded.name);
        seen += 1;
    }
    assert_eq!(seen, 24);
}
