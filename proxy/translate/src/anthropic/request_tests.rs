use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::Ask;
use crate::Task;
use crate::anthropic::MESSAGES;

fn ask_of(model: &str, body: Value) -> Result<Outgoing, PeekError> {
    let body = body.to_string();
    let ask = Ask::peek(body.as_bytes(), Task::Chat).unwrap();
    MESSAGES.request(&ask, &Cx { model, default_max_tokens: None })
}

/// The request's body, and what was dropped.
fn translated_for(model: &str, body: Value) -> (Value, Vec<&'static str>) {
    let outgoing = ask_of(model, body).unwrap();
    (serde_json::from_slice(&outgoing.bodies[0]).unwrap(), outgoing.dropped)
}

fn translated(body: Value) -> Value {
    translated_for("claude-sonnet-4-5", body).0
}

fn refused(body: Value) -> String {
    let error = ask_of("claude-sonnet-4-5", body).unwrap_err();
    error.param().unwrap().to_owned()
}

fn with(members: Value) -> Value {
    let mut body = json!({"messages": [{"role": "user", "content": "Hi"}]});
    body.as_object_mut().unwrap().extend(members.as_object().unwrap().clone());
    body
}

fn turns(messages: Value) -> Value {
    translated(json!({"messages": messages}))["messages"].clone()
}

#[test]
fn little_becomes_little() {
    let outgoing =
        ask_of("claude-opus-4-1", with(json!({"temperature": 1, "top_p": 0.50, "top_k": 5, "stop": "x", "user": "u"})))
            .unwrap();
    assert_eq!(
        std::str::from_utf8(&outgoing.bodies[0]).unwrap(),
        r#"{"model":"claude-opus-4-1","max_tokens":8192,"messages":[{"role":"user","content":"Hi"}],"stop_sequences":["x"],"temperature":1,"top_k":5,"top_p":0.5,"metadata":{"user_id":"u"}}"#
    );
    assert_eq!((outgoing.path.as_str(), outgoing.dropped), ("/v1/messages", vec![]));
    assert_eq!(outgoing.headers, [("anthropic-version", "2023-06-01".to_owned())]);
}

#[test]
fn max_tokens_is_never_missing() {
    let max = |model, members| translated_for(model, with(members)).0["max_tokens"].clone();
    assert_eq!(max("claude-3-opus-20240229", json!({})), 4096);
    assert_eq!(max("claude-sonnet-4-5", json!({})), 8192);
    assert_eq!(max("claude-sonnet-4-5", json!({"max_tokens": 5})), 5);
    assert_eq!(max("claude-sonnet-4-5", json!({"max_tokens": 5, "max_completion_tokens": 6})), 6);
    let body = with(json!({})).to_string();
    let ask = Ask::peek(body.as_bytes(), Task::Chat).unwrap();
    let outgoing = MESSAGES.request(&ask, &Cx { model: "claude-3-opus", default_max_tokens: Some(7) }).unwrap();
    assert_eq!(serde_json::from_slice::<Value>(&outgoing.bodies[0]).unwrap()["max_tokens"], 7);
}

#[test]
fn what_would_change_the_answer_is_refused_and_the_rest_is_told() {
    for (param, value) in [
        ("n", json!(2)),
        ("logprobs", json!(true)),
        ("logit_bias", json!({"5": 1})),
        ("modalities", json!(["audio"])),
        ("functions", json!([{"name": "f"}])),
        ("reasoning_effort", json!("hard")),
    ] {
        assert_eq!(refused(with(json!({param: value}))), param);
    }
    let (body, dropped) = translated_for(
        "claude-sonnet-4-5",
        with(json!({"seed": 1, "frequency_penalty": 1, "n": 1, "logprobs": false, "service_tier": "flex"})),
    );
    assert_eq!(dropped, ["frequency_penalty", "seed", "service_tier"]);
    assert_eq!(body.as_object().unwrap().keys().collect::<Vec<_>>(), ["max_tokens", "messages", "model"]);
}

#[test]
fn what_is_said_in_anthropics_words_goes_on() {
    let body = translated(with(json!({
        "thinking": {"type": "enabled", "budget_tokens": 2000}, "reasoning_effort": "high", "container": "c",
        "system": "ignored?", "extra_params": {"inference_geo": "eu"},
    })));
    assert_eq!(
        (&body["thinking"]["budget_tokens"], &body["container"], &body["inference_geo"]),
        (&json!(2000), &json!("c"), &json!("eu"))
    );
    assert_eq!((&body["system"], &body["max_tokens"]), (&json!("ignored?"), &json!(10192)));
    let both = translated(
        json!({"messages": [{"role": "system", "content": "a"}, {"role": "user", "content": "b"}], "system": "c"}),
    );
    assert_eq!(both["system"], "a");
}

#[test]
fn instructions_are_lifted_out() {
    let body = translated(json!({"messages": [
        {"role": "system", "content": "a"},
        {"role": "user", "content": "u"},
        {"role": "developer", "content": [{"type": "text", "text": "b", "cache_control": {"type": "ephemeral"}}]},
        {"role": "user", "content": "v"},
    ]}));
    let block = json!({"type": "text", "text": "b", "cache_control": {"type": "ephemeral"}});
    assert_eq!(body["system"], json!([{"type": "text", "text": "a"}, block]));
    assert_eq!(
        body["messages"],
        json!([{"role": "user", "content": [
            {"type": "text", "text": "u"}, {"type": "text", "text": "v"},
        ]}])
    );
}

#[test]
fn tool_results_that_follow_each_other_are_one_turn() {
    let call = |id: &str, arguments: &str| json!({"id": id, "type": "function", "function": {"name": "f", "arguments": arguments}});
    let turns = turns(json!([
        {"role": "user", "content": "go"},
        {"role": "assistant", "content": "", "tool_calls": [call("call:1", "{\"x\": 1}"), call("b", "")]},
        {"role": "tool", "tool_call_id": "call:1", "content": "one"},
        {"role": "tool", "tool_call_id": "b", "content": [{"type": "text", "text": "two"},
            {"type": "image_url", "image_url": {"url": "data:image/png;base64,AA=="}}]},
        {"role": "user", "content": "and?"},
    ]));
    assert_eq!(
        turns[1],
        json!({"role": "assistant", "content": [
            {"type": "tool_use", "id": "call_1", "name": "f", "input": {"x": 1}},
            {"type": "tool_use", "id": "b", "name": "f", "input": {}},
        ]})
    );
    assert_eq!(
        turns[2],
        json!({"role": "user", "content": [
            {"type": "tool_result", "tool_use_id": "call_1", "content": "one"},
            {"type": "tool_result", "tool_use_id": "b", "content": [{"type": "text", "text": "two"},
                {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "AA=="}}]},
            {"type": "text", "text": "and?"},
        ]})
    );
    assert_eq!(turns.as_array().unwrap().len(), 3);
    for (arguments, id) in [("[1]", json!("a")), ("{", json!("a"))] {
        let mut call = call("a", arguments);
        call["id"] = id;
        let bad = json!({"messages": [{"role": "assistant", "tool_calls": [call]}]});
        assert_eq!(refused(bad), "messages[0].tool_calls[0]");
    }
    assert_eq!(refused(json!({"messages": [{"role": "tool", "content": "x"}]})), "messages[0].tool_call_id");
}

#[test]
fn empty_texts_are_left_out() {
    assert_eq!(
        turns(json!([
            {"role": "user", "content": "a"}, {"role": "assistant", "content": ""}, {"role": "user", "content": "b"},
        ])),
        json!([{"role": "user", "content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]}])
    );
    assert_eq!(turns(json!([{"role": "user", "content": ""}])), json!([{"role": "user", "content": ""}]));
}

#[test]
fn images_and_files_by_address_and_by_value() {
    let part = |part: Value| turns(json!([{"role": "user", "content": [part]}]))[0]["content"][0].clone();
    let image = |url: &str| part(json!({"type": "image_url", "image_url": {"url": url}}));
    assert_eq!(image("https://x/y.png"), json!({"type": "image", "source": {"type": "url", "url": "https://x/y.png"}}));
    let file = |file: Value| part(json!({"type": "file", "file": file}));
    assert_eq!(
        file(json!({"file_data": "data:application/pdf;base64,AA==", "filename": "f.pdf"})),
        json!({"type": "document", "title": "f.pdf", "source": {"type": "base64", "media_type": "application/pdf", "data": "AA=="}})
    );
    assert_eq!(
        file(json!({"file_data": "data:text/markdown;base64,w6kK"}))["source"],
        json!({"type": "text", "media_type": "text/plain", "data": "é\n"})
    );
    let outgoing = ask_of(
        "claude-sonnet-4-5",
        json!({"messages": [
        {"role": "user", "content": [{"type": "file", "file": {"file_id": "file_1"}}]}]}),
    )
    .unwrap();
    assert_eq!(outgoing.headers[1], ("anthropic-beta", "files-api-2025-04-14".to_owned()));
    let own = json!({"type": "search_result", "source": "s", "cache_control": {"type": "ephemeral"}});
    assert_eq!(part(own.clone()), own);
    for bad in [
        json!({"type": "input_audio", "input_audio": {"data": "AA==", "format": "wav"}}),
        json!({"type": "image_url", "image_url": {"url": "ftp://x"}}),
        json!({"type": "file", "file": {"file_data": "data:text/plain;base64,/w=="}}),
        json!({"type": "file", "file": {}}),
    ] {
        assert_eq!(refused(json!({"messages": [{"role": "user", "content": [bad]}]})), "messages[0].content[0]");
    }
}

fn tools(members: Value) -> Value {
    let function = |name: &str| json!({"type": "function", "function": {"name": name, "parameters": {}}});
    let mut body = with(json!({"tools": [function("f"), function("g")]}));
    body.as_object_mut().unwrap().extend(members.as_object().unwrap().clone());
    translated(body)
}

#[test]
fn tool_choice_in_all_forms() {
    let choice = |choice: Value| tools(json!({"tool_choice": choice}))["tool_choice"].clone();
    assert_eq!(choice(json!("auto")), json!({"type": "auto"}));
    assert_eq!(choice(json!("none")), json!({"type": "none"}));
    assert_eq!(choice(json!("required")), json!({"type": "any"}));
    assert_eq!(choice(json!({"type": "function", "function": {"name": "g"}})), json!({"type": "tool", "name": "g"}));
    let allowed = json!({"type": "allowed_tools", "allowed_tools": {"mode": "required", "tools": [{"type": "function", "function": {"name": "g"}}]}});
    let body = tools(json!({"tool_choice": allowed}));
    assert_eq!((body["tools"].as_array().unwrap().len(), &body["tools"][0]["name"]), (1, &json!("g")));
    assert_eq!(body["tool_choice"], json!({"type": "any"}));
    assert_eq!(tools(json!({}))["tool_choice"], Value::Null);
    assert_eq!(tools(json!({"parallel_tool_calls": true}))["tool_choice"], Value::Null);
    assert_eq!(
        tools(json!({"parallel_tool_calls": false}))["tool_choice"],
        json!({"type": "auto", "disable_parallel_tool_use": true})
    );
    assert_eq!(
        tools(json!({"parallel_tool_calls": false, "tool_choice": "none"}))["tool_choice"],
        json!({"type": "none"})
    );
    assert_eq!(translated(with(json!({"tool_choice": "required"})))["tool_choice"], Value::Null);
}

#[test]
fn tools_keep_their_schema_and_markers() {
    let body = translated(with(json!({"tools": [
        {"type": "function", "function": {"name": "f", "description": "d", "strict": true, "parameters": {"type": "object", "additionalProperties": false}},
            "cache_control": {"type": "ephemeral"}},
        {"type": "function", "function": {"name": "g"}},
        {"type": "code_execution_20250522", "name": "code_execution"},
    ]})));
    assert_eq!(
        body["tools"],
        json!([
            {"name": "f", "description": "d", "input_schema": {"type": "object", "additionalProperties": false}, "strict": true, "cache_control": {"type": "ephemeral"}},
            {"name": "g", "input_schema": {"type": "object", "properties": {}}},
            {"type": "code_execution_20250522", "name": "code_execution"},
        ])
    );
    assert_eq!(refused(with(json!({"tools": [{"type": "custom", "custom": {"name": "c"}}]}))), "tools[0]");
    let place = json!({"user_location": {"type": "approximate", "approximate": {"city": "Oslo"}}});
    assert_eq!(
        translated(with(json!({"web_search_options": place})))["tools"],
        json!([
            {"type": "web_search_20250305", "name": "web_search", "user_location": {"type": "approximate", "city": "Oslo"}},
        ])
    );
}

#[test]
fn json_answers_by_schema_or_by_a_forced_tool() {
    let schema = json!({"type": "object", "properties": {"a": {"type": "string"}}, "additionalProperties": false});
    let format = json!({"type": "json_schema", "json_schema": {"name": "n", "description": "d", "schema": schema}});
    let native = ask_of("claude-haiku-4-5", with(json!({"response_format": format}))).unwrap();
    assert!(!native.asked.json_tool);
    let native: Value = serde_json::from_slice(&native.bodies[0]).unwrap();
    assert_eq!(native["output_config"], json!({"format": {"type": "json_schema", "schema": schema}}));

    let forced = ask_of("claude-3-opus-20240229", with(json!({"response_format": format}))).unwrap();
    assert!(forced.asked.json_tool);
    let forced: Value = serde_json::from_slice(&forced.bodies[0]).unwrap();
    assert_eq!(forced["tools"], json!([{"name": "json_answer", "description": "d", "input_schema": schema}]));
    assert_eq!(forced["tool_choice"], json!({"type": "tool", "name": "json_answer"}));

    let open = json!({"type": "json_schema", "json_schema": {"name": "n", "schema": {"type": "object", "additionalProperties": true}}});
    let open = ask_of("claude-opus-4-6", with(json!({"response_format": open, "reasoning_effort": "low"}))).unwrap();
    assert!(open.asked.json_tool);
    let open: Value = serde_json::from_slice(&open.bodies[0]).unwrap();
    assert_eq!((&open["thinking"], &open["output_config"]), (&Value::Null, &json!({"effort": "low"})));

    let any = tools(json!({"response_format": {"type": "json_object"}}));
    assert_eq!((any["tools"].as_array().unwrap().len(), &any["tool_choice"]), (3, &json!({"type": "any"})));
    let any = tools(json!({"response_format": {"type": "json_object"}, "tool_choice": "none"}));
    assert_eq!(any["tools"].as_array().unwrap().len(), 1);
}

#[test]
fn effort_becomes_a_budget_or_a_level() {
    let think = |model, members| {
        let (body, dropped) = translated_for(model, with(members));
        (body["thinking"].clone(), body["output_config"]["effort"].clone(), body["max_tokens"].clone(), dropped)
    };
    let budget = |tokens: u64| json!({"type": "enabled", "budget_tokens": tokens});
    let nothing = Value::Null;
    let effort = |effort: &str| json!({"reasoning_effort": effort});
    assert_eq!(
        think("claude-sonnet-4-5", effort("medium")),
        (budget(4096), nothing.clone(), json!(8192 + 4096), vec![])
    );
    assert_eq!(
        think("claude-sonnet-4-5", json!({"reasoning_effort": "high", "max_tokens": 2000})),
        (budget(1999), nothing.clone(), json!(2000), vec![])
    );
    assert_eq!(
        think("claude-sonnet-4-5", json!({"reasoning_effort": "high", "max_tokens": 1000})),
        (nothing.clone(), nothing.clone(), json!(1000), vec!["reasoning_effort"])
    );
    assert_eq!(think("claude-sonnet-4-5", effort("none")), (nothing.clone(), nothing.clone(), json!(8192), vec![]));
    assert_eq!(
        think("claude-3-5-sonnet-latest", effort("low")),
        (nothing.clone(), nothing.clone(), json!(4096), vec!["reasoning_effort"])
    );
    assert_eq!(
        think("claude-opus-4-6", effort("xhigh")),
        (json!({"type": "adaptive"}), json!("high"), json!(8192), vec![])
    );
    assert_eq!(
        think("claude-opus-4-7", effort("xhigh")),
        (json!({"type": "adaptive", "display": "summarized"}), json!("xhigh"), json!(8192), vec![])
    );
    assert_eq!(think("claude-sonnet-5", effort("none")), (json!({"type": "disabled"}), nothing, json!(8192), vec![]));
}

#[test]
fn there_is_no_thinking_where_the_api_would_refuse_it() {
    let function = json!({"type": "function", "function": {"name": "f"}});
    let forced = with(json!({"reasoning_effort": "low", "tools": [function], "tool_choice": "required"}));
    let (body, dropped) = translated_for("claude-sonnet-4-5", forced.clone());
    assert_eq!((&body["thinking"], dropped), (&Value::Null, vec!["reasoning_effort"]));

    let call = json!({"id": "a", "type": "function", "function": {"name": "f", "arguments": "{}"}});
    let detail =
        json!({"type": "reasoning.text", "format": "anthropic-claude-v1", "index": 0, "text": "t", "signature": "s"});
    for (details, thinks) in [(json!([]), false), (json!([detail]), true)] {
        let body = json!({"reasoning_effort": "low", "messages": [
            {"role": "user", "content": "u"},
            {"role": "assistant", "content": null, "tool_calls": [call], "reasoning_details": details, "reasoning_content": "t"},
            {"role": "tool", "tool_call_id": "a", "content": "r"},
        ]});
        let (body, dropped) = translated_for("claude-sonnet-4-5", body);
        assert_eq!((body["thinking"].is_object(), dropped.is_empty()), (thinks, thinks));
    }
}

#[test]
fn reasoning_goes_back_only_to_its_own_provider() {
    let turns = turns(json!([
        {"role": "user", "content": "u"},
        {"role": "assistant", "content": "x", "reasoning_content": "t", "reasoning_details": [
            {"type": "reasoning.text", "format": "anthropic-claude-v1", "index": 0, "text": "t", "signature": "s"},
            {"type": "reasoning.encrypted", "format": "anthropic-claude-v1", "index": 1, "data": "d"},
            {"type": "reasoning.text", "format": "anthropic-claude-v1", "index": 2, "text": "unsigned"},
            {"type": "reasoning.text", "format": "google-gemini-v1", "index": 3, "signature": "s"},
        ]},
        {"role": "user", "content": "v"},
    ]));
    assert_eq!(
        turns[1]["content"],
        json!([
            {"type": "thinking", "thinking": "t", "signature": "s"},
            {"type": "redacted_thinking", "data": "d"},
            {"type": "text", "text": "x"},
        ])
    );
}

#[test]
fn other_clouds_get_their_version() {
    let body = with(json!({"stream": true})).to_string();
    let request = crate::chat::Request::read(&body).unwrap();
    let cx = Cx { model: "claude-sonnet-4-5", default_max_tokens: None };
    let outgoing = messages(&request, &cx, Host::Cloud { version: "bedrock-2023-05-31" }).unwrap();
    assert_eq!(
        serde_json::from_slice::<Value>(&outgoing.bodies[0]).unwrap(),
        json!({"anthropic_version": "bedrock-2023-05-31", "max_tokens": 8192, "messages": [{"role": "user", "content": "Hi"}]})
    );
}

/// A turn of plain text; an assistant's may call tools, and their results follow it.
fn conversation() -> impl Strategy<Value = Vec<Value>> {
    let role = prop::sample::select(vec!["system", "developer", "user", "assistant"]);
    let turn = (role, "\\PC{0,8}", 0..3_usize, any::<bool>()).prop_map(|(role, text, calls, parts)| {
        let content = if parts { json!([{"type": "text", "text": text}]) } else { json!(text) };
        let calls = if role == "assistant" { calls } else { 0 };
        let call = |at: usize| {
            json!({"id": format!("c{at}"), "type": "function", "function": {"name": "f", "arguments": "{\"a\":1}"}})
        };
        let calling: Vec<Value> = (0..calls).map(call).collect();
        let mut turns = vec![json!({"role": role, "content": content})];
        if calls > 0 {
            turns[0]["tool_calls"] = calling.into();
        }
        turns.extend((0..calls).map(|at| json!({"role": "tool", "tool_call_id": format!("c{at}"), "content": text})));
        turns
    });
    prop::collection::vec(turn, 1..8).prop_map(|turns| turns.concat())
}

/// What is said in ours, in order: texts of instructions, then those of the turns with their calls and results.
fn said_in_ours(messages: &[Value]) -> Vec<String> {
    let text = |message: &Value| match &message["content"] {
        Value::String(text) => text.clone(),
        parts => parts[0]["text"].as_str().unwrap_or_default().to_owned(),
    };
    let is_instruction = |message: &&Value| matches!(message["role"].as_str(), Some("system" | "developer"));
    let mut said: Vec<String> = messages.iter().filter(is_instruction).map(text).collect();
    for message in messages.iter().filter(|message| !is_instruction(message)) {
        match message["role"].as_str() {
            Some("tool") => said.push(format!("result {} {}", message["tool_call_id"], text(message))),
            _ => said.push(text(message)),
        }
        let calls = message["tool_calls"].as_array().into_iter().flatten();
        said.extend(calls.map(|call| format!("call {}", call["id"])));
    }
    said.retain(|said| !said.is_empty());
    said
}

fn said_in_theirs(body: &Value) -> Vec<String> {
    let mut said = Vec::new();
    let mut block = |block: &Value| match block["type"].as_str() {
        Some("tool_use") => said.push(format!("call {}", block["id"])),
        Some("tool_result") => {
            let content = &block["content"];
            let text = content.as_str().or(content[0]["text"].as_str()).unwrap_or_default();
            said.push(format!("result {} {text}", block["tool_use_id"]));
        }
        _ => said.push(block["text"].as_str().unwrap().to_owned()),
    };
    let mut content = |content: &Value| match content {
        Value::String(text) => block(&json!({"type": "text", "text": text})),
        blocks => blocks.as_array().into_iter().flatten().for_each(&mut block),
    };
    content(&body["system"]);
    body["messages"].as_array().unwrap().iter().for_each(|turn| content(&turn["content"]));
    said.retain(|said| !said.is_empty());
    said
}

proptest! {
    #[test]
    fn nothing_said_is_lost_and_sides_take_turns(messages in conversation()) {
        let body = translated(json!({"messages": messages}));
        prop_assert_eq!(said_in_theirs(&body), said_in_ours(&messages));
        let turns = body["messages"].as_array().unwrap();
        prop_assert!(turns.windows(2).all(|pair| pair[0]["role"] != pair[1]["role"]));
    }
}
