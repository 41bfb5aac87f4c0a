use serde_json::{Value, json};

use super::*;
use crate::bedrock::pair;
use crate::{Ask, Task};

const CLAUDE: &str = "us.anthropic.claude-sonnet-4-5-20250929-v1:0";
const CLAUDE_37: &str = "anthropic.claude-3-7-sonnet-20250219-v1:0";
const NOVA: &str = "us.amazon.nova-lite-v1:0";
const NOVA_2: &str = "us.amazon.nova-2-lite-v1:0";
const LLAMA: &str = "us.meta.llama3-2-1b-instruct-v1:0";

fn ask_of(model: &str, body: &Value) -> Result<Outgoing, PeekError> {
    let body = body.to_string();
    let ask = Ask::peek(body.as_bytes(), Task::Chat).unwrap();
    pair(Task::Chat, model, None).unwrap().request(&ask, &Cx { model, default_max_tokens: None })
}

/// A question with these members, and what was dropped.
fn asked(model: &str, members: Value) -> (Value, Vec<&'static str>) {
    let mut body = json!({"messages": [{"role": "user", "content": "Hi"}]});
    body.as_object_mut().unwrap().extend(members.as_object().unwrap().clone());
    let outgoing = ask_of(model, &body).unwrap();
    (serde_json::from_slice(&outgoing.bodies[0]).unwrap(), outgoing.dropped)
}

fn conversation(model: &str, messages: Value) -> Value {
    asked(model, json!({ "messages": messages })).0
}

/// The parameter at fault.
fn refused(model: &str, members: Value) -> String {
    let mut body = json!({"messages": [{"role": "user", "content": "Hi"}]});
    body.as_object_mut().unwrap().extend(members.as_object().unwrap().clone());
    match ask_of(model, &body) {
        Err(PeekError::Field { param, .. }) => param.into_owned(),
        other => panic!("{other:?}"),
    }
}

fn tool(name: &str) -> Value {
    json!({"type": "function", "function": {"name": name, "parameters": {"type": "object", "properties": {}}}})
}

fn spec(name: &str) -> Value {
    json!({"toolSpec": {"name": name, "inputSchema": {"json": {"type": "object", "properties": {}}}}})
}

fn called(id: &str, name: &str, arguments: &str) -> Value {
    json!({"role": "assistant", "content": null, "tool_calls": [
        {"id": id, "type": "function", "function": {"name": name, "arguments": arguments}}]})
}

#[test]
fn turns_become_blocks_and_alternate() {
    let body = conversation(
        CLAUDE,
        json!([
            {"role": "system", "content": "A"},
            {"role": "user", "content": ""},
            {"role": "user", "content": [{"type": "text", "text": "Hi"}, {"type": "text", "text": ""}]},
            {"role": "developer", "content": "B"},
            {"role": "user", "content": "there"},
            {"role": "assistant", "content": ""},
            {"role": "assistant", "content": "Oh", "refusal": "no"},
            called("call.1:2 3", "f", ""),
            {"role": "tool", "tool_call_id": "call.1:2 3", "content": "x"},
            {"role": "tool", "tool_call_id": "t2", "content": ""},
            {"role": "user", "content": "so?"},
        ]),
    );
    assert_eq!(body["system"], json!([{"text": "A"}, {"text": "B"}]));
    assert_eq!(
        body["messages"],
        json!([
            {"role": "user", "content": [{"text": "Hi"}, {"text": "there"}]},
            {"role": "assistant", "content": [{"text": "Oh"}, {"text": "no"},
                {"toolUse": {"toolUseId": "call.1:2_3", "name": "f", "input": {}}}]},
            {"role": "user", "content": [
                {"toolResult": {"toolUseId": "call.1:2_3", "content": [{"text": "x"}]}},
                {"toolResult": {"toolUseId": "t2", "content": []}},
                {"text": "so?"}]},
        ])
    );
    // Tools that were called must be described, though the client asks for none any more.
    assert_eq!(body["toolConfig"], json!({"tools": [spec("f")]}));
    assert_eq!(body["additionalModelRequestFields"], json!({"tool_choice": {"type": "none"}}));
}

#[test]
fn long_ids_are_cut_alike_in_call_and_result() {
    let id = format!("{}é-1", "x".repeat(80));
    let result = json!({"role": "tool", "tool_call_id": id, "content": "x"});
    let body = conversation(NOVA, json!([called(&id, "f", "{}"), result]));
    let sent = body["messages"][0]["content"][0]["toolUse"]["toolUseId"].as_str().unwrap();
    assert_eq!(sent, format!("{}_-1", "x".repeat(61)));
    assert_eq!(body["messages"][1]["content"][0]["toolResult"]["toolUseId"], sent);
}

#[test]
fn media_come_as_bytes() {
    let file = |data: &str, name: &str| json!({"type": "file", "file": {"file_data": data, "filename": name}});
    let image = |url: &str| json!({"type": "image_url", "image_url": {"url": url}});
    let body = conversation(
        NOVA,
        json!([{"role": "user", "content": [
            image("data:image/jpg;base64,AA=="), image("s3://bucket/a.PNG"),
            file("data:application/pdf;base64,AA==", "Q3  report: final_v2.pdf"), file("data:text/x-rust;base64,AA==", "a.rs"),
            file("data:text/csv;base64,AA==", "a.csv"), file("data:image/webp;base64,AA==", "b.webp"),
            file("data:video/mp4;base64,AA==", "c.mp4"), {"type": "input_audio", "input_audio": {"data": "AA==", "format": "mp3"}},
            {"type": "file", "file": {"file_data": "data:text/plain;base64,AA=="}},
        ]}]),
    );
    let here = json!({"bytes": "AA=="});
    assert_eq!(
        body["messages"][0]["content"],
        json!([
            {"image": {"format": "jpeg", "source": here}},
            {"image": {"format": "png", "source": {"s3Location": {"uri": "s3://bucket/a.PNG"}}}},
            {"document": {"format": "pdf", "name": "Q3 report final v2", "source": here}},
            {"document": {"format": "txt", "name": "a", "source": here}},
            {"document": {"format": "csv", "name": "a (3)", "source": here}},
            {"image": {"format": "webp", "source": here}},
            {"video": {"format": "mp4", "source": here}},
            {"audio": {"format": "mp3", "source": here}},
            {"document": {"format": "txt", "name": "Document 4", "source": here}},
        ])
    );
    for bad in [
        image("https://example.com/a.png"),
        image("data:image/bmp;base64,AA=="),
        file("https://example.com/a.pdf", "a.pdf"),
        file("data:application/zip;base64,AA==", "a.zip"),
        json!({"type": "file", "file": {"file_id": "file-1"}}),
    ] {
        let messages = json!([{"role": "user", "content": [{"type": "text", "text": "x"}, bad.clone()]}]);
        assert_eq!(refused(NOVA, json!({ "messages": messages })), "messages[0].content[1]", "{bad}");
    }
    let messages = json!([{"role": "system", "content": [image("data:image/png;base64,AA==")]}]);
    assert_eq!(refused(NOVA, json!({ "messages": messages })), "messages[0].content[0]");
}

#[test]
fn what_no_turn_can_hold_is_refused() {
    for (message, param) in [
        (json!({"role": "tool", "content": "x"}), "messages[0].tool_call_id"),
        (json!({"role": "function", "name": "f", "content": "x"}), "messages[0].role"),
        (called("1", "f", "{"), "messages[0].tool_calls[0]"),
        (called("1", "f", "[]"), "messages[0].tool_calls[0]"),
        (json!({"role": "assistant", "function_call": {"name": "f"}}), "messages[0].function_call"),
    ] {
        assert_eq!(refused(CLAUDE, json!({"messages": [message]})), param);
    }
    assert_eq!(refused(CLAUDE, json!({"tools": [{"type": "custom", "custom": {"name": "c"}}]})), "tools[0]");
    for param in ["n", "logprobs", "logit_bias", "functions", "audio", "web_search_options"] {
        let value = match param {
            "n" => json!(2),
            "logprobs" => json!(true),
            "functions" => json!([{"name": "f"}]),
            _ => json!({"a": 1}),
        };
        assert_eq!(refused(LLAMA, json!({ param: value })), param);
    }
}

#[test]
fn sampling_goes_where_converse_or_the_model_has_it() {
    let all = json!({
        "max_tokens": 9, "temperature": 0.50, "top_p": 0.9, "stop": ["a", "b"], "top_k": 5, "seed": 1,
        "frequency_penalty": 0.1, "presence_penalty": 0.2, "user": "u", "metadata": {"a": "b"}, "service_tier": "priority",
    });
    let of = |model: &str| {
        let (body, dropped) = asked(model, all.clone());
        let common = json!({"maxTokens": 9, "temperature": 0.5, "topP": 0.9, "stopSequences": ["a", "b"]});
        assert_eq!(body["inferenceConfig"], common);
        assert_eq!(body["requestMetadata"], json!({"a": "b"}));
        assert_eq!(body["serviceTier"], json!({"type": "priority"}));
        (body["additionalModelRequestFields"].clone(), dropped)
    };
    let penalties = ["frequency_penalty", "presence_penalty", "seed"];
    assert_eq!(of(CLAUDE), (json!({"top_k": 5}), [&penalties[..], &["user"]].concat()));
    assert_eq!(of(NOVA), (json!({"inferenceConfig": {"topK": 5}}), [&penalties[..], &["user"]].concat()));
    assert_eq!(of("mistral.mistral-large-2407-v1:0").0, json!({"top_k": 5}));
    assert_eq!(of(LLAMA), (Value::Null, [&penalties[..], &["top_k", "user"]].concat()));
    let cohere = json!({"k": 5, "seed": 1, "frequency_penalty": 0.1, "presence_penalty": 0.2});
    assert_eq!(of("cohere.command-r-v1:0"), (cohere, vec!["user"]));
    let jamba = json!({"frequency_penalty": 0.1, "presence_penalty": 0.2});
    assert_eq!(of("ai21.jamba-1-5-mini-v1:0"), (jamba, vec!["seed", "top_k", "user"]));
    assert_eq!(asked(LLAMA, json!({"service_tier": "auto"})).0.get("serviceTier"), None);
    assert_eq!(asked(LLAMA, json!({"service_tier": "scale"})).1, ["service_tier"]);
}

#[test]
fn the_clients_own_words_find_their_place() {
    let (body, _) = asked(
        CLAUDE,
        json!({
            "guardrailConfig": {"guardrailIdentifier": "g"}, "performanceConfig": {"latency": "optimized"},
            "additionalModelRequestFields": {"anthropic_beta": ["x"], "top_k": 1}, "top_a": 2, "top_k": 3,
            "inferenceConfig": {"maxTokens": 4}, "system": [{"text": "own"}],
        }),
    );
    assert_eq!(
        body,
        json!({
            "messages": [{"role": "user", "content": [{"text": "Hi"}]}], "system": [{"text": "own"}],
            "guardrailConfig": {"guardrailIdentifier": "g"}, "performanceConfig": {"latency": "optimized"},
            "inferenceConfig": {"maxTokens": 4},
            "additionalModelRequestFields": {"anthropic_beta": ["x"], "top_k": 1, "top_a": 2},
        })
    );
    let (body, _) = asked(CLAUDE, json!({"inferenceConfig": {"maxTokens": 4}, "max_tokens": 5}));
    assert_eq!(body["inferenceConfig"], json!({"maxTokens": 5}));
    assert_eq!(refused(CLAUDE, json!({"additionalModelRequestFields": 1})), "additionalModelRequestFields");
}

#[test]
fn reasoning_effort_is_said_as_each_family_knows_it() {
    let of = |model: &str, effort: &str| {
        let (body, dropped) = asked(model, json!({ "reasoning_effort": effort }));
        (body["additionalModelRequestFields"].clone(), dropped)
    };
    let budget = |tokens: u64| json!({"thinking": {"type": "enabled", "budget_tokens": tokens}});
    assert_eq!(of(CLAUDE, "high"), (budget(16384), vec![]));
    assert_eq!(of(CLAUDE_37, "low"), (budget(1024), vec![]));
    let adaptive = json!({"thinking": {"type": "adaptive"}, "output_config": {"effort": "medium"}});
    assert_eq!(of("us.anthropic.claude-opus-4-6-v1", "medium"), (adaptive, vec![]));
    assert_eq!(of("anthropic.claude-3-haiku-20240307-v1:0", "low"), (Value::Null, vec!["reasoning_effort"]));
    let nova = |kind, level: Option<&str>| match level {
        Some(level) => json!({"reasoningConfig": {"type": kind, "maxReasoningEffort": level}}),
        None => json!({"reasoningConfig": {"type": kind}}),
    };
    assert_eq!(of(NOVA_2, "xhigh"), (nova("enabled", Some("high")), vec![]));
    assert_eq!(of(NOVA_2, "none"), (nova("disabled", None), vec![]));
    assert_eq!(of(NOVA, "low"), (Value::Null, vec!["reasoning_effort"]));
    assert_eq!(of("openai.gpt-oss-20b-1:0", "minimal"), (json!({"reasoning_effort": "low"}), vec![]));
    assert_eq!(of("openai.gpt-oss-20b-1:0", "none"), (Value::Null, vec!["reasoning_effort"]));
    assert_eq!(of(LLAMA, "low"), (Value::Null, vec!["reasoning_effort"]));
    for model in [CLAUDE, NOVA_2, "openai.gpt-oss-20b-1:0"] {
        assert_eq!(refused(model, json!({"reasoning_effort": "much"})), "reasoning_effort", "{model}");
    }
    // A limit is kept: the budget shrinks to fit, or thinking is left out.
    let limited = asked(CLAUDE, json!({"reasoning_effort": "high", "max_tokens": 2000})).0;
    assert_eq!(limited["additionalModelRequestFields"], budget(1999));
    assert_eq!(asked(CLAUDE, json!({"reasoning_effort": "low", "max_tokens": 1000})).1, ["reasoning_effort"]);
    // What the client says in the model's words wins.
    let own = asked(CLAUDE, json!({"reasoning_effort": "high", "thinking": {"type": "disabled"}})).0;
    assert_eq!(own["additionalModelRequestFields"], json!({"thinking": {"type": "disabled"}}));
    // Claude does not think when it is forced to call a tool.
    let forced = asked(CLAUDE, json!({"reasoning_effort": "low", "tools": [tool("f")], "tool_choice": "required"}));
    assert_eq!((forced.0.get("additionalModelRequestFields"), forced.1), (None, vec!["reasoning_effort"]));
}

#[test]
fn reasoning_goes_back_as_it_was_signed() {
    let detail = |format: &str, members: Value| {
        let mut detail = json!({"format": format, "type": "reasoning.text", "index": 0});
        detail.as_object_mut().unwrap().extend(members.as_object().unwrap().clone());
        detail
    };
    let own = crate::bedrock::converse::FORMAT;
    let body = conversation(
        CLAUDE,
        json!([{"role": "user", "content": "Hi"}, {
            "role": "assistant", "content": "Oh", "reasoning_content": "ab", "reasoning_details": [
                detail(own, json!({"text": "a", "signature": "s"})),
                detail(own, json!({"type": "reasoning.encrypted", "data": "AA=="})),
                detail(own, json!({"text": "unsigned"})),
                detail("google-gemini-v1", json!({"text": "b", "signature": "t"})),
            ],
        }]),
    );
    assert_eq!(
        body["messages"][1]["content"],
        json!([
            {"reasoningContent": {"reasoningText": {"text": "a", "signature": "s"}}},
            {"reasoningContent": {"redactedContent": "AA=="}},
            {"text": "Oh"},
        ])
    );
}

#[test]
fn tool_choice_has_a_word_for_each_form() {
    let tools = json!([tool("f"), tool("g")]);
    let of = |model: &str, choice: Value| {
        let (body, _) = asked(model, json!({"tools": tools, "tool_choice": choice}));
        body.get("toolConfig").cloned().unwrap_or_default()
    };
    let both = json!([spec("f"), spec("g")]);
    assert_eq!(of(NOVA, json!("auto")), json!({"tools": both, "toolChoice": {"auto": {}}}));
    assert_eq!(of(NOVA, json!("required")), json!({"tools": both, "toolChoice": {"any": {}}}));
    let named = json!({"type": "function", "function": {"name": "g"}});
    assert_eq!(of(NOVA, named.clone()), json!({"tools": both, "toolChoice": {"tool": {"name": "g"}}}));
    let allowed = json!({"type": "allowed_tools", "allowed_tools": {"mode": "required", "tools": [named]}});
    assert_eq!(of(NOVA, allowed), json!({"tools": [spec("g")], "toolChoice": {"any": {}}}));
    // There is no word for none: without calls so far the tools are left out.
    assert_eq!(of(NOVA, json!("none")), Value::Null);
}

#[test]
fn no_tool_is_called_any_more() {
    let messages = json!([
        {"role": "user", "content": "Hi"}, called("1", "f", "{}"), {"role": "tool", "tool_call_id": "1", "content": "x"},
    ]);
    let members = json!({"messages": messages, "tools": [tool("f"), tool("g")], "tool_choice": "none"});
    let (body, dropped) = asked(CLAUDE, members.clone());
    assert_eq!(body["toolConfig"], json!({"tools": [spec("f"), spec("g")]}));
    assert_eq!(body["additionalModelRequestFields"], json!({"tool_choice": {"type": "none"}}));
    assert_eq!(dropped, [] as [&str; 0]);
    let (body, dropped) = asked(LLAMA, members);
    assert_eq!(body["toolConfig"], json!({"tools": [spec("f"), spec("g")]}));
    assert_eq!(dropped, ["tool_choice"]);
    // What was not asked for is not dropped.
    assert_eq!(asked(LLAMA, json!({ "messages": messages })).1, [] as [&str; 0]);
}

#[test]
fn one_tool_at_a_time_where_the_model_can_be_told() {
    let of = |choice: Value| {
        let members = json!({"tools": [tool("f")], "tool_choice": choice, "parallel_tool_calls": false});
        let (body, dropped) = asked(CLAUDE, members);
        assert_eq!((&body["toolConfig"], dropped), (&json!({"tools": [spec("f")]}), vec![]));
        body["additionalModelRequestFields"]["tool_choice"].clone()
    };
    assert_eq!(of(Value::Null), json!({"type": "auto", "disable_parallel_tool_use": true}));
    assert_eq!(of(json!("required")), json!({"type": "any", "disable_parallel_tool_use": true}));
    let named = json!({"type": "function", "function": {"name": "f"}});
    assert_eq!(of(named), json!({"type": "tool", "name": "f", "disable_parallel_tool_use": true}));
    assert_eq!(asked(NOVA, json!({"parallel_tool_calls": false})).1, ["parallel_tool_calls"]);
}

#[test]
fn a_schema_is_followed_natively_or_by_a_forced_tool() {
    let schema = json!({"type": "object", "properties": {"a": {"type": "string"}}, "additionalProperties": false});
    let wanted = json!({"type": "json_schema", "json_schema": {"name": "n", "description": "d", "schema": schema}});
    let (body, _) = asked(CLAUDE, json!({ "response_format": wanted }));
    let native = &body["outputConfig"]["textFormat"]["structure"]["jsonSchema"];
    assert_eq!((&native["name"], &native["description"]), (&json!("n"), &json!("d")));
    assert_eq!(serde_json::from_str::<Value>(native["schema"].as_str().unwrap()).unwrap(), schema);
    assert_eq!(body.get("toolConfig"), None);

    let answer = json!({"toolSpec": {"name": "json_answer", "description": "d", "inputSchema": {"json": schema}}});
    let any = json!({"any": {}});
    let (body, _) = asked(CLAUDE_37, json!({ "response_format": wanted }));
    assert_eq!(body["toolConfig"], json!({"tools": [answer], "toolChoice": any}));
    let (body, _) = asked(CLAUDE_37, json!({"response_format": wanted, "tools": [tool("f")]}));
    assert_eq!(body["toolConfig"], json!({"tools": [spec("f"), answer], "toolChoice": any}));
    let named = json!({"type": "function", "function": {"name": "f"}});
    let members = json!({"response_format": wanted, "tools": [tool("f")], "tool_choice": named});
    assert_eq!(asked(CLAUDE_37, members).0["toolConfig"]["toolChoice"], json!({"tool": {"name": "f"}}));
    // A tool of the client's that may not be called stays uncalled.
    let members = json!({
        "response_format": wanted, "tools": [tool("f")], "tool_choice": "none",
        "messages": [{"role": "user", "content": "Hi"}, called("1", "f", "{}"), {"role": "tool", "tool_call_id": "1", "content": "x"}],
    });
    assert_eq!(asked(NOVA, members).0["toolConfig"]["toolChoice"], json!({"tool": {"name": "json_answer"}}));

    let object = json!({"response_format": {"type": "json_object"}});
    let (body, _) = asked(CLAUDE, object.clone());
    let open = json!({"type": "object", "additionalProperties": true});
    assert_eq!(body["toolConfig"]["tools"][0]["toolSpec"]["inputSchema"]["json"], open);
    let mut body = json!({"messages": [{"role": "user", "content": "Hi"}]});
    body.as_object_mut().unwrap().extend(object.as_object().unwrap().clone());
    assert!(ask_of(CLAUDE, &body).unwrap().asked.json_tool);
}

#[test]
fn cache_markers_become_cache_points_where_there_is_a_cache() {
    let marker = json!({"type": "ephemeral"});
    let hour = json!({"type": "ephemeral", "ttl": "1h"});
    let mut marked = tool("f");
    marked["cache_control"] = hour.clone();
    let members = json!({
        "tools": [marked],
        "messages": [
            {"role": "system", "content": "A", "cache_control": marker},
            {"role": "user", "content": [{"type": "text", "text": "B", "cache_control": marker}], "cache_control": marker},
            {"role": "user", "content": "", "cache_control": marker},
        ],
    });
    let (body, dropped) = asked(CLAUDE, members.clone());
    let point = json!({"cachePoint": {"type": "default"}});
    assert_eq!(body["system"], json!([{"text": "A"}, point]));
    assert_eq!(body["messages"], json!([{"role": "user", "content": [{"text": "B"}, point]}]));
    assert_eq!(body["toolConfig"]["tools"], json!([spec("f"), {"cachePoint": {"type": "default", "ttl": "1h"}}]));
    assert_eq!(dropped, [] as [&str; 0]);
    let (body, dropped) = asked(LLAMA, members);
    assert_eq!((&body["system"], dropped), (&json!([{"text": "A"}]), vec!["cache_control"]));
    assert_eq!(body["toolConfig"]["tools"], json!([spec("f")]));
}

#[test]
fn the_path_names_model_and_stream() {
    let path = |model: &str, stream: bool| {
        let body = json!({"messages": [{"role": "user", "content": "Hi"}], "stream": stream});
        ask_of(model, &body).unwrap().path
    };
    assert_eq!(path(LLAMA, false), "/model/us.meta.llama3-2-1b-instruct-v1%3A0/converse");
    let arn = "arn:aws:bedrock:us-east-1:1:inference-profile/us.amazon.nova-lite-v1:0";
    let escaped = "arn%3Aaws%3Abedrock%3Aus-east-1%3A1%3Ainference-profile%2Fus.amazon.nova-lite-v1%3A0";
    assert_eq!(path(arn, true), format!("/model/{escaped}/converse-stream"));
}
