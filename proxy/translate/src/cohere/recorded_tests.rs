use serde_json::{Value, json};

use super::*;
use crate::Failure;
use crate::recorded::{self, Recorded, golden, laws};

/// Streams that end with an error under a good status: no law for good streams holds for them, so they have a test of
/// their own.
const FAILS: &str = "cohere/v2_chat_stream_tools_system_no_usage_empty_text_2";

fn pairs(all: &[Recorded]) -> Vec<(&'static Pair, &Recorded)> {
    let pair = |recorded: &Recorded| match &*recorded.api {
        "cohere/v2/chat" => &CHAT,
        "cohere/v1/chat" => &CHAT_V1,
        "cohere/v1/generate" => &GENERATE,
        "cohere/v2/embed" => &EMBED,
        "cohere/v1/embed" => &EMBED_V1,
        other => panic!("no pair for {other}"),
    };
    all.iter().filter(|recorded| recorded.name != FAILS).map(|recorded| (pair(recorded), recorded)).collect()
}

/// The whole answer that a stream spells.
fn whole(recorded: &Recorded) -> Option<Value> {
    let Some(events) = recorded.response["sse"].as_array() else {
        let lines = recorded.response["body"].as_str().unwrap();
        let end: Value = serde_json::from_str(lines.lines().last().unwrap()).unwrap();
        return Some(end["response"].clone());
    };
    let mut answer = json!({"message": {"role": "assistant"}});
    for event in events {
        let (_, data) = event.as_str().unwrap().split_once("data: ").unwrap();
        let Ok(event) = serde_json::from_str::<Value>(data) else {
            assert_eq!(data, "[DONE]");
            continue;
        };
        let delta = &event["delta"]["message"];
        let at = event["index"].as_u64().unwrap_or_default() as usize;
        let message = &mut answer["message"];
        let add = |into: &mut Value, more: &Value| {
            *into = (into.as_str().unwrap_or_default().to_owned() + more.as_str().unwrap_or_default()).into();
        };
        let push = |list: &mut Value, more: &Value| match list {
            Value::Array(list) => list.push(more.clone()),
            _ => *list = json!([more]),
        };
        match event["type"].as_str().unwrap() {
            "message-start" => answer["id"] = event["id"].clone(),
            "content-start" => push(&mut message["content"], &delta["content"]),
            "content-delta" => {
                let (key, more) = delta["content"].as_object().unwrap().iter().next().unwrap();
                add(&mut message["content"][at][key], more);
            }
            "tool-plan-delta" => add(&mut message["tool_plan"], &delta["tool_plan"]),
            "tool-call-start" => push(&mut message["tool_calls"], &delta["tool_calls"]),
            "tool-call-delta" => {
                let arguments = &delta["tool_calls"]["function"]["arguments"];
                add(&mut message["tool_calls"][at]["function"]["arguments"], arguments);
            }
            "citation-start" => push(&mut message["citations"], &delta["citations"]),
            "message-end" => {
                answer["finish_reason"] = event["delta"]["finish_reason"].clone();
                answer["usage"] = event["delta"]["usage"].clone();
            }
            "content-end" | "tool-call-end" | "citation-end" => {}
            other => panic!("{other}"),
        }
    }
    Some(answer)
}

#[test]
fn recordings_keep_the_laws() {
    let all = recorded::all(PROVIDER);
    assert_eq!(laws::check(&pairs(&all), whole), 29);
}

/// Requests that mean the same are equal in this form: nothing said that holds anyway.
fn same(mut request: Value) -> Value {
    let members = request.as_object_mut().unwrap();
    members.retain(|key, value| match &**key {
        "stream" => *value != false,
        "embedding_types" => *value != json!(["float"]),
        "chat_history" => *value != json!([]),
        _ => !value.is_null(),
    });
    for turn in members.get_mut("messages").and_then(Value::as_array_mut).into_iter().flatten() {
        turn.as_object_mut().unwrap().retain(|_, value| !value.is_null());
    }
    for turn in members.get_mut("chat_history").and_then(Value::as_array_mut).into_iter().flatten() {
        turn["role"] = turn["role"].as_str().unwrap().to_uppercase().into();
    }
    request
}

#[test]
fn recordings_match_their_golden_files() {
    let all = recorded::all(PROVIDER);
    let model = |recorded: &Recorded| recorded.request["body"]["model"].as_str().unwrap_or_default().to_owned();
    let count = golden::check(&pairs(&all), model, same);
    assert_eq!(count, golden::Count { same: 26, differ: 0, answers_only: 3 });
}

/// The stream that fails at its end: what came before is sent, and no good end.
#[test]
fn an_error_at_the_end_of_a_stream_is_no_good_end() {
    let all = recorded::all(PROVIDER);
    let recorded = all.iter().find(|recorded| recorded.name == FAILS).unwrap();
    let path = format!("{}/tests/golden/{FAILS}.json", env!("CARGO_MANIFEST_DIR"));
    let golden: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
    let ours = golden["ours"].to_string();
    let ask = crate::Ask::peek(ours.as_bytes(), Task::Chat).unwrap();
    let outgoing = CHAT.request(&ask, &crate::Cx { model: "command-a-03-2025", default_max_tokens: None }).unwrap();
    let theirs: Value = serde_json::from_slice(&outgoing.bodies[0]).unwrap();
    assert_eq!(same(theirs.clone()), same(recorded.request["body"].clone()));

    let bytes = recorded.sse().unwrap();
    let (sent, stream) = laws::run(&CHAT, laws::back(true), &bytes, &[usize::MAX]);
    for cut in [vec![1], vec![3], vec![7], vec![5, 64, 2, 900]] {
        assert_eq!(laws::run(&CHAT, laws::back(true), &bytes, &cut).0, sent);
    }
    let failure = stream.outcome().unwrap().unwrap_err();
    let Failure::Provider(error) = failure else { panic!("{failure:?}") };
    let chunks = recorded::fold::events_of(std::str::from_utf8(&sent).unwrap());
    let made = json!({
        "ours": golden["ours"], "path": outgoing.path, "headers": [], "theirs": theirs, "dropped": [],
        "chunks": chunks, "error": error, "status": failure.status(),
    });
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(path, serde_json::to_string_pretty(&made).unwrap() + "\n").unwrap();
    } else {
        assert_eq!(made, golden);
    }
}

/// An answer put back into the conversation, as a client does in a tool loop, is the provider's own again.
#[test]
fn answers_go_back_as_they_came() {
    let mut seen = 0;
    let all = recorded::all(PROVIDER);
    let good =
        |recorded: &&Recorded| recorded.api == "cohere/v2/chat" && recorded.status == 200 && recorded.name != FAILS;
    for recorded in all.iter().filter(good) {
        let theirs = match recorded.is_stream {
            true => whole(recorded).unwrap(),
            false => recorded.response["body"].clone(),
        };
        let ours = laws::answer_to(&CHAT, &theirs, crate::Asked::default()).unwrap();
        let body = json!({"messages": [{"role": "user", "content": "u"}, ours["choices"][0]["message"]]}).to_string();
        let ask = crate::Ask::peek(body.as_bytes(), Task::Chat).unwrap();
        let again = CHAT.request(&ask, &crate::Cx { model: "m", default_max_tokens: None }).unwrap();
        let again: Value = serde_json::from_slice(&again.bodies[0]).unwrap();
        let mut again = again["messages"][1].clone();
        if again["content"].is_string() {
            again["content"] = json!([{"type": "text", "text": again["content"]}]);
        }
        let mut expected = theirs["message"].clone();
        expected.as_object_mut().unwrap().remove("citations");
        assert_eq!(again, expected, "{}", recorded.name);
        seen += 1;
    }
    assert_eq!(seen, 17);
}
