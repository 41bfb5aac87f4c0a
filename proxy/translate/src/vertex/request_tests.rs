use serde_json::{Value, json};

use super::*;
use crate::vertex::{GENERATE, GENERATE_TEXT};
use crate::{Ask, Pair, Task};

const NEW: &str = "gemini-2.5-flash";
const OLD: &str = "gemini-2.0-flash";
const THIRD: &str = "gemini-3-pro-preview";

fn ask_of(pair: &Pair, task: Task, model: &str, body: Value) -> Result<Outgoing, PeekError> {
    let body = body.to_string();
    let ask = Ask::peek(body.as_bytes(), task)?;
    pair.request(&ask, &Cx { model, default_max_tokens: None })
}

fn outgoing(model: &str, body: Value) -> (Value, Outgoing) {
    let outgoing = ask_of(&GENERATE, Task::Chat, model, body).unwrap();
    (serde_json::from_slice(&outgoing.bodies[0]).unwrap(), outgoing)
}

fn with(members: Value) -> Value {
    let mut body = json!({"messages": [{"role": "user", "content": "Hi"}]});
    body.as_object_mut().unwrap().extend(members.as_object().unwrap().clone());
    body
}

fn translated(model: &str, members: Value) -> Value {
    outgoing(model, with(members)).0
}

fn turns(model: &str, messages: Value) -> Value {
    outgoing(model, json!({"messages": messages})).0["contents"].clone()
}

fn refused(body: Value) -> String {
    ask_of(&GENERATE, Task::Chat, NEW, body).unwrap_err().param().unwrap().to_owned()
}

fn tool(name: &str) -> Value {
    let parameters = json!({"type": "object", "properties": {"a": {"type": "integer"}}});
    json!({"type": "function", "function": {"name": name, "description": "d", "parameters": parameters}})
}

#[test]
fn little_becomes_little() {
    let (_, outgoing) = outgoing(NEW, with(json!({"temperature": 1, "n": 1, "user": "u", "logprobs": false})));
    assert_eq!(
        std::str::from_utf8(&outgoing.bodies[0]).unwrap(),
        r#"{"contents":[{"role":"user","parts":[{"text":"Hi"}]}],"generationConfig":{"temperature":1}}"#
    );
    assert_eq!(outgoing.path, "/publishers/google/models/gemini-2.5-flash:generateContent");
    assert_eq!(outgoing.dropped, ["user"]);
    assert!(outgoing.headers.is_empty());
}

#[test]
fn streams_are_asked_for_as_events() {
    let (body, outgoing) = outgoing(NEW, with(json!({"stream": true, "stream_options": {"include_usage": true}})));
    assert_eq!(outgoing.path, "/publishers/google/models/gemini-2.5-flash:streamGenerateContent?alt=sse");
    assert!(outgoing.asked.include_usage && body.get("stream").is_none());
}

#[test]
fn sampling_goes_into_the_config_as_it_is() {
    let members = json!({"max_tokens": 1, "max_completion_tokens": 9, "temperature": 0.2, "top_p": 0.9, "top_k": 3, "seed": 7,
        "presence_penalty": -1, "frequency_penalty": 0.5, "stop": "x", "n": 3, "logprobs": true, "top_logprobs": 2});
    assert_eq!(
        translated(NEW, members)["generationConfig"],
        json!({"maxOutputTokens": 9, "temperature": 0.2, "topP": 0.9, "topK": 3, "seed": 7, "presencePenalty": -1,
            "frequencyPenalty": 0.5, "stopSequences": ["x"], "candidateCount": 3, "responseLogprobs": true, "logprobs": 2})
    );
}

#[test]
fn what_would_change_the_answer_is_refused_and_the_rest_is_told() {
    for (param, value) in [
        ("logit_bias", json!({"5": 1})),
        ("modalities", json!(["text", "audio"])),
        ("audio", json!({"voice": "v"})),
        ("functions", json!([{"name": "f"}])),
        ("reasoning_effort", json!("hard")),
        ("generationConfig", json!(5)),
    ] {
        assert_eq!(refused(with(json!({param: value}))), param);
    }
    let (_, outgoing) = outgoing(OLD, with(json!({"service_tier": "flex", "store": true, "reasoning_effort": "low"})));
    assert_eq!(outgoing.dropped, ["reasoning_effort", "service_tier", "store"]);
}

#[test]
fn what_is_said_in_the_apis_own_words_goes_on() {
    let body = translated(
        NEW,
        json!({
            "temperature": 1, "thinkingConfig": {"thinkingBudget": 5}, "reasoning_effort": "high", "labels": {"a": "b"},
            "generationConfig": {"temperature": 0, "mediaResolution": "LOW"}, "contents": [], "toolConfig": {"x": 1},
            "safetySettings": [], "extra_params": {"cachedContent": "c"},
        }),
    );
    assert_eq!(
        body["generationConfig"],
        json!({"temperature": 1, "thinkingConfig": {"thinkingBudget": 5}, "mediaResolution": "LOW"})
    );
    assert_eq!((&body["labels"], &body["cachedContent"]), (&json!({"a": "b"}), &json!("c")));
    assert_eq!((&body["safetySettings"], &body["toolConfig"]), (&json!([]), &json!({"x": 1})));
    assert_eq!(body["contents"].as_array().unwrap().len(), 1);
}

#[test]
fn effort_becomes_thinking() {
    let thinking = |model, effort| {
        translated(model, json!({"reasoning_effort": effort}))["generationConfig"]["thinkingConfig"].clone()
    };
    assert_eq!(thinking(NEW, "high"), json!({"includeThoughts": true, "thinkingBudget": 24576}));
    assert_eq!(thinking(NEW, "none"), json!({"includeThoughts": false, "thinkingBudget": 0}));
    assert_eq!(thinking(THIRD, "low"), json!({"includeThoughts": true, "thinkingLevel": "LOW"}));
    assert_eq!(thinking(OLD, "none"), Value::Null);
}

#[test]
fn instructions_are_lifted_out() {
    let (body, _) = outgoing(
        NEW,
        json!({"messages": [
            {"role": "system", "content": "a"},
            {"role": "user", "content": "u"},
            {"role": "developer", "content": [{"type": "text", "text": "b"}]},
            {"role": "user", "content": "v"},
        ]}),
    );
    assert_eq!(body["systemInstruction"], json!({"parts": [{"text": "a"}, {"text": "b"}]}));
    assert_eq!(body["contents"], json!([{"role": "user", "parts": [{"text": "u"}, {"text": "v"}]}]));
    let (alone, _) = outgoing(NEW, json!({"messages": [{"role": "system", "content": "a"}]}));
    assert_eq!(alone, json!({"contents": [{"role": "user", "parts": [{"text": "a"}]}]}));
}

#[test]
fn parts_of_every_kind() {
    let part = |kind: &str, member: Value| json!({"type": kind, kind: member});
    let file = |kind: &str, uri: &str| json!({"fileData": {"mimeType": kind, "fileUri": uri}});
    let inline = |kind: &str| json!({"inlineData": {"mimeType": kind, "data": "AA=="}});
    for (ours, theirs) in [
        (part("image_url", json!({"url": "data:image/png;base64,AA=="})), inline("image/png")),
        (
            part("image_url", json!({"url": "https://h/a.PNG?x=1.jpg#y", "detail": "low"})),
            file("image/png", "https://h/a.PNG?x=1.jpg#y"),
        ),
        (part("image_url", json!({"url": "gs://b/image"})), file("image/jpeg", "gs://b/image")),
        (part("input_audio", json!({"data": "AA==", "format": "wav"})), inline("audio/wav")),
        (
            part("file", json!({"file_data": "data:application/pdf;base64,AA==", "filename": "f"})),
            inline("application/pdf"),
        ),
        (part("file", json!({"file_id": "gs://b/x", "filename": "x.mp4"})), file("video/mp4", "gs://b/x")),
        (part("file", json!({"file_data": "https://youtu.be/x"})), file("video/mp4", "https://youtu.be/x")),
        (
            json!({"type": "fileData", "fileData": {"a": 1}, "videoMetadata": {}}),
            json!({"fileData": {"a": 1}, "videoMetadata": {}}),
        ),
    ] {
        let turns = turns(NEW, json!([{"role": "user", "content": [{"type": "text", "text": "t"}, ours]}]));
        assert_eq!(turns, json!([{"role": "user", "parts": [{"text": "t"}, theirs]}]));
    }
    for bad in [
        part("image_url", json!({"url": "ftp://h/a.png"})),
        part("file", json!({"filename": "f"})),
        part("file", json!({"file_id": "file-1"})),
    ] {
        assert_eq!(refused(json!({"messages": [{"role": "user", "content": [bad]}]})), "messages[0].content[0]");
    }
    let image = part("image_url", json!({"url": "data:image/png;base64,AA=="}));
    assert_eq!(refused(json!({"messages": [{"role": "system", "content": [image]}]})), "messages[0].content[0]");
}

fn call(id: &str, name: &str, arguments: &str) -> Value {
    json!({"id": id, "type": "function", "function": {"name": name, "arguments": arguments}})
}

#[test]
fn results_are_by_name_in_the_order_of_the_calls() {
    let turns = turns(
        NEW,
        json!([
            {"role": "user", "content": "u"},
            {"role": "assistant", "content": "t", "tool_calls": [call("x", "f", "{\"a\":1}"), call("y", "g", ""), call("z", "f", "{}")]},
            {"role": "tool", "tool_call_id": "z", "content": "3"},
            {"role": "tool", "tool_call_id": "y", "content": [{"type": "text", "text": "no"}, {"type": "text", "text": "pe"}]},
            {"role": "tool", "tool_call_id": "x", "content": "{\"b\": 2}"},
            {"role": "user", "content": "v"},
        ]),
    );
    let result = |name: &str, response: Value| json!({"functionResponse": {"name": name, "response": response}});
    assert_eq!(
        turns,
        json!([
            {"role": "user", "parts": [{"text": "u"}]},
            {"role": "model", "parts": [
                {"text": "t"},
                {"functionCall": {"name": "f", "args": {"a": 1}}},
                {"functionCall": {"name": "g", "args": {}}},
                {"functionCall": {"name": "f", "args": {}}},
            ]},
            {"role": "user", "parts": [
                result("f", json!({"b": 2})), result("g", json!({"output": "nope"})), result("f", json!({"output": 3})),
            ]},
            {"role": "user", "parts": [{"text": "v"}]},
        ])
    );
}

#[test]
fn a_result_of_no_call_and_bad_arguments_are_refused() {
    let messages = json!([{"role": "user", "content": "u"}, {"role": "tool", "tool_call_id": "x", "content": "1"}]);
    assert_eq!(refused(json!({"messages": messages})), "messages[1].tool_call_id");
    for arguments in ["{", "[1]"] {
        let messages = json!([{"role": "assistant", "tool_calls": [call("x", "f", arguments)]}]);
        assert_eq!(refused(json!({"messages": messages})), "messages[0].tool_calls[0]");
    }
    assert_eq!(refused(json!({"messages": [{"role": "function", "name": "f", "content": "1"}]})), "messages[0].role");
}

#[test]
fn calls_of_other_models_bear_the_signature_for_none() {
    let messages = json!([
        {"role": "user", "content": "u"},
        {"role": "assistant", "tool_calls": [call("x", "f", "{}"), call("y", "f", "{}")]},
        {"role": "tool", "tool_call_id": "x", "content": "1"},
        {"role": "tool", "tool_call_id": "y", "content": "1"},
    ]);
    let parts = turns(THIRD, messages.clone())[1]["parts"].clone();
    assert_eq!(parts[0]["thoughtSignature"], "skip_thought_signature_validator");
    assert_eq!(parts[1].get("thoughtSignature"), None);
    assert_eq!(turns(NEW, messages)[1]["parts"][0].get("thoughtSignature"), None);
}

#[test]
fn tool_choice_in_all_forms() {
    let config = |choice: Value| {
        let body = translated(NEW, json!({"tools": [tool("f"), tool("g")], "tool_choice": choice}));
        (
            body["toolConfig"]["functionCallingConfig"].clone(),
            body["tools"][0]["functionDeclarations"].as_array().unwrap().len(),
        )
    };
    let allowed = |mode: &str| {
        let names = [json!({"type": "function", "function": {"name": "g"}})];
        json!({"type": "allowed_tools", "allowed_tools": {"mode": mode, "tools": names}})
    };
    assert_eq!(config(json!(null)), (Value::Null, 2));
    assert_eq!(config(json!("auto")), (json!({"mode": "AUTO"}), 2));
    assert_eq!(config(json!("none")), (json!({"mode": "NONE"}), 2));
    assert_eq!(config(json!("required")), (json!({"mode": "ANY"}), 2));
    let named = json!({"mode": "ANY", "allowedFunctionNames": ["g"]});
    assert_eq!(config(json!({"type": "function", "function": {"name": "g"}})), (named.clone(), 2));
    assert_eq!(config(allowed("required")), (named, 2));
    assert_eq!(config(allowed("auto")), (json!({"mode": "AUTO"}), 1));
    // Nothing to choose from: the API refuses a config then.
    assert_eq!(translated(NEW, json!({"tool_choice": "auto"})).get("toolConfig"), None);
}

#[test]
fn tools_in_the_words_of_each_generation() {
    let declared =
        |model, tool: Value| translated(model, json!({"tools": [tool]}))["tools"][0]["functionDeclarations"][0].clone();
    let schema = json!({"type": "object", "properties": {"a": {"type": "integer"}}});
    assert_eq!(declared(NEW, tool("f")), json!({"name": "f", "description": "d", "parametersJsonSchema": schema}));
    let old = json!({"type": "OBJECT", "properties": {"a": {"type": "INTEGER"}}});
    assert_eq!(declared(OLD, tool("f")), json!({"name": "f", "description": "d", "parameters": old}));
    let empty =
        json!({"type": "function", "function": {"name": "f", "parameters": {"type": "object", "properties": {}}}});
    assert_eq!(declared(OLD, empty), json!({"name": "f"}));
    let own = translated(
        NEW,
        json!({"tools": [{"type": "codeExecution"}, {"type": "googleSearch", "googleSearch": {"x": 1}}],
        "web_search_options": {}}),
    );
    assert_eq!(own["tools"], json!([{"googleSearch": {}}, {"codeExecution": {}}, {"googleSearch": {"x": 1}}]));
    assert_eq!(refused(with(json!({"tools": [{"type": "custom", "custom": {"name": "c"}}]}))), "tools[0]");
    let bad = json!({"type": "function", "function": {"name": "f", "parameters": 5}});
    assert_eq!(refused(with(json!({"tools": [bad]}))), "tools[0].function.parameters");
}

#[test]
fn the_form_of_the_answer() {
    let schema = json!({"type": "object", "properties": {"a": {"type": "integer"}}});
    let format = json!({"type": "json_schema", "json_schema": {"name": "n", "schema": schema}});
    let config =
        |model, format: &Value| translated(model, json!({"response_format": format}))["generationConfig"].clone();
    assert_eq!(config(NEW, &json!({"type": "json_object"})), json!({"responseMimeType": "application/json"}));
    assert_eq!(config(NEW, &format), json!({"responseMimeType": "application/json", "responseJsonSchema": schema}));
    let old = json!({"type": "OBJECT", "properties": {"a": {"type": "INTEGER"}}});
    assert_eq!(config(OLD, &format), json!({"responseMimeType": "application/json", "responseSchema": old}));
    assert_eq!(config(NEW, &json!({"type": "text"})), Value::Null);
    // Models that cannot do both answer by a call.
    let (both, outgoing) = outgoing(NEW, with(json!({"tools": [tool("f")], "response_format": format})));
    assert!(outgoing.asked.json_tool && both.get("generationConfig").is_none());
    let names: Vec<_> =
        both["tools"][0]["functionDeclarations"].as_array().unwrap().iter().map(|tool| tool["name"].clone()).collect();
    assert_eq!(names, ["f", "json_answer"]);
    assert_eq!(both["toolConfig"], json!({"functionCallingConfig": {"mode": "ANY"}}));
    let third = translated(THIRD, json!({"tools": [tool("f")], "response_format": format}));
    assert_eq!(third["generationConfig"]["responseJsonSchema"], schema);
    let none = translated(NEW, json!({"tools": [tool("f")], "tool_choice": "none", "response_format": format}));
    assert_eq!(none["generationConfig"]["responseJsonSchema"], schema);
}

#[test]
fn images_may_be_asked_for() {
    let config = translated(NEW, json!({"modalities": ["text", "image"]}))["generationConfig"].clone();
    assert_eq!(config, json!({"responseModalities": ["TEXT", "IMAGE"]}));
}

#[test]
fn a_completion_is_one_turn() {
    let body = json!({"prompt": "Once", "max_tokens": 5, "stop": ["x"], "n": 2, "stream": true});
    let outgoing = ask_of(&GENERATE_TEXT, Task::Completions, NEW, body).unwrap();
    assert_eq!(outgoing.path, "/publishers/google/models/gemini-2.5-flash:streamGenerateContent?alt=sse");
    assert_eq!(
        serde_json::from_slice::<Value>(&outgoing.bodies[0]).unwrap(),
        json!({"contents": [{"role": "user", "parts": [{"text": "Once"}]}],
            "generationConfig": {"maxOutputTokens": 5, "stopSequences": ["x"], "candidateCount": 2}})
    );
}
