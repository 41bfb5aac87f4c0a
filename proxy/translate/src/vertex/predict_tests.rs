use serde_json::json;

use super::*;
use crate::recorded::laws::{answer_to, back};
use crate::{Ask, Asked, Task};

fn asked(pair: &Pair, task: Task, body: Value) -> Result<Value, PeekError> {
    let body = body.to_string();
    let ask = Ask::peek(body.as_bytes(), task)?;
    let outgoing = pair.request(&ask, &Cx { model: "m", default_max_tokens: None })?;
    assert_eq!(outgoing.path, "/publishers/google/models/m:predict");
    Ok(serde_json::from_slice(&outgoing.bodies[0]).unwrap())
}

fn refused(pair: &Pair, task: Task, body: Value) -> String {
    asked(pair, task, body).unwrap_err().param().unwrap().to_owned()
}

#[test]
fn text_is_asked_and_read() {
    let body =
        json!({"prompt": "Once", "max_tokens": 5, "top_k": 3, "echo": true, "stop": "x", "sampleMode": 1, "topK": 9});
    assert_eq!(
        asked(&TEXT_BISON, Task::Completions, body).unwrap(),
        json!({"instances": [{"prompt": "Once"}],
            "parameters": {"maxOutputTokens": 5, "topK": 3, "stopSequences": ["x"], "echo": true, "sampleMode": 1}})
    );
    let theirs = json!({"predictions": [
        {"content": "a", "safetyAttributes": {"blocked": false}, "citationMetadata": {"citations": []}},
        {"content": "", "safetyAttributes": {"blocked": true, "errors": [250]}},
    ], "metadata": {"tokenMetadata": {"inputTokenCount": {"totalTokens": 3}, "outputTokenCount": {"totalTokens": 2}}}});
    let ours = answer_to(&TEXT_BISON, &theirs, Asked::default()).unwrap();
    assert_eq!(ours["choices"][0], json!({"index": 0, "text": "a", "logprobs": null, "finish_reason": "stop"}));
    assert_eq!(ours["choices"][1]["finish_reason"], "content_filter");
    assert_eq!(ours["usage"]["total_tokens"], 5);
}

#[test]
fn neither_streams() {
    let messages = json!([{"role": "user", "content": "u"}]);
    assert_eq!(refused(&CHAT_BISON, Task::Chat, json!({"messages": messages, "stream": true})), "stream");
    assert_eq!(refused(&TEXT_BISON, Task::Completions, json!({"prompt": "p", "stream": true})), "stream");
}

#[test]
fn chat_is_of_text_alone() {
    let chat = |message: Value| refused(&CHAT_BISON, Task::Chat, json!({"messages": [message]}));
    assert_eq!(chat(json!({"role": "tool", "tool_call_id": "x", "content": "1"})), "messages[0].role");
    let image = json!({"type": "image_url", "image_url": {"url": "https://h/i.png"}});
    assert_eq!(chat(json!({"role": "user", "content": [image]})), "messages[0].content");
    let call = json!({"id": "x", "type": "function", "function": {"name": "f", "arguments": "{}"}});
    assert_eq!(chat(json!({"role": "assistant", "tool_calls": [call]})), "messages[0].tool_calls");
    let tool = json!({"type": "function", "function": {"name": "f"}});
    let body = json!({"messages": [{"role": "user", "content": "u"}], "tools": [tool]});
    assert_eq!(refused(&CHAT_BISON, Task::Chat, body), "tools");
    let body = json!({"messages": [{"role": "user", "content": "u"}]});
    assert_eq!(
        asked(&CHAT_BISON, Task::Chat, body).unwrap(),
        json!({"instances": [{"messages": [{"author": "user", "content": "u"}]}]})
    );
}

#[test]
fn no_predictions_are_no_answer() {
    for (body, failure) in [
        ("{}", Failure::from(Broken::Lacks("predictions"))),
        (r#"{"predictions":[{}]}"#, Broken::Lacks("predictions").into()),
        ("<", Broken::NotJson.into()),
    ] {
        let reply = Reply { status: 200, header: &|_| None, body: body.as_bytes() };
        assert_eq!(CHAT_BISON.answer(&[reply], &back(false)).map(|answer| answer.body), Err(failure));
    }
}
