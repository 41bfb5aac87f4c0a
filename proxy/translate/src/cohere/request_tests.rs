use serde_json::{Value, json};

use crate::cohere::{CHAT, CHAT_V1, EMBED, EMBED_V1, GENERATE, pair};
use crate::{Ask, Cx, Outgoing, Pair, PeekError, Task};

fn ask(pair: &Pair, model: &str, body: &Value) -> Result<Outgoing, PeekError> {
    let body = body.to_string();
    let ask = Ask::peek(body.as_bytes(), pair.task()).unwrap();
    pair.request(&ask, &Cx { model, default_max_tokens: None })
}

fn sent(pair: &Pair, body: &Value) -> Value {
    serde_json::from_slice(&ask(pair, "m", body).unwrap().bodies[0]).unwrap()
}

/// The request with one more member, and what is sent but model and messages.
fn with(members: Value) -> Value {
    let mut body = json!({"messages": [{"role": "user", "content": "u"}]});
    body.as_object_mut().unwrap().extend(members.as_object().unwrap().clone());
    let mut sent = sent(&CHAT, &body);
    sent.as_object_mut().unwrap().retain(|key, _| !matches!(&**key, "model" | "messages"));
    sent
}

fn refused(pair: &Pair, body: &Value) -> String {
    match ask(pair, "m", body).unwrap_err() {
        PeekError::Field { param, .. } => param.into_owned(),
        other => panic!("{other:?}"),
    }
}

fn refused_with(member: &str, value: Value) -> String {
    refused(&CHAT, &json!({"messages": [{"role": "user", "content": "u"}], member: value}))
}

fn tool(name: &str) -> Value {
    json!({"type": "function", "function": {"name": name, "parameters": {"type": "object", "properties": {}}}})
}

#[test]
fn parameters_have_other_names() {
    let ours = json!({
        "max_completion_tokens": 5, "stop": "x", "top_k": 3, "top_p": 0.5, "seed": 7, "temperature": 1,
        "frequency_penalty": 0.5, "presence_penalty": 0.25, "logprobs": true, "stream": true, "user": "u",
        "safety_mode": "STRICT", "citation_options": {"mode": "OFF"}, "documents": ["d"], "k": 9, "p": 0.9,
        "stop_sequences": ["y"],
    });
    let theirs = json!({
        "max_tokens": 5, "stop_sequences": ["x"], "k": 3, "p": 0.5, "seed": 7, "temperature": 1,
        "frequency_penalty": 0.5, "presence_penalty": 0.25, "logprobs": true, "stream": true,
        "safety_mode": "STRICT", "citation_options": {"mode": "OFF"}, "documents": ["d"],
    });
    assert_eq!(with(ours), theirs);
    assert_eq!(
        with(json!({"k": 9, "p": 0.9, "stop_sequences": ["y"]})),
        json!({"k": 9, "p": 0.9, "stop_sequences": ["y"]})
    );
}

#[test]
fn top_p_is_kept_within_the_apis_range() {
    for (ours, theirs) in [(json!(1), json!(0.99)), (json!(0), json!(0.01)), (json!(0.75), json!(0.75))] {
        assert_eq!(with(json!({"top_p": ours})), json!({"p": theirs}));
    }
}

#[test]
fn what_would_change_the_answer_is_refused() {
    assert_eq!(refused_with("n", 2.into()), "n");
    assert_eq!(refused_with("parallel_tool_calls", false.into()), "parallel_tool_calls");
    assert_eq!(refused_with("top_logprobs", 3.into()), "top_logprobs");
    assert_eq!(refused_with("logit_bias", json!({"5": 1})), "logit_bias");
    assert_eq!(refused_with("tools", json!([{"type": "custom", "custom": {"name": "c"}}])), "tools[0]");
    assert_eq!(refused_with("tool_choice", "required".into()), "tool_choice");
    assert_eq!(refused_with("reasoning_effort", "much".into()), "reasoning_effort");
}

#[test]
fn a_tool_choice_narrows_the_tools() {
    let choice = |choice: Value| with(json!({"tools": [tool("f"), tool("g")], "tool_choice": choice}));
    let both = json!([tool("f"), tool("g")]);
    assert_eq!(choice("auto".into()), json!({"tools": both}));
    assert_eq!(choice("none".into()), json!({"tools": both, "tool_choice": "NONE"}));
    assert_eq!(choice("required".into()), json!({"tools": both, "tool_choice": "REQUIRED"}));
    let named = json!({"type": "function", "function": {"name": "g"}});
    assert_eq!(choice(named.clone()), json!({"tools": [tool("g")], "tool_choice": "REQUIRED"}));
    let allowed = |mode: &str| json!({"type": "allowed_tools", "allowed_tools": {"mode": mode, "tools": [named]}});
    assert_eq!(choice(allowed("required")), json!({"tools": [tool("g")], "tool_choice": "REQUIRED"}));
    assert_eq!(choice(allowed("auto")), json!({"tools": [tool("g")]}));
    let other = json!({"type": "function", "function": {"name": "h"}});
    let body = json!({"messages": [{"role": "user", "content": "u"}], "tools": [tool("f")], "tool_choice": other});
    assert_eq!(refused(&CHAT, &body), "tool_choice");
}

#[test]
fn tools_are_strict_only_all_together_and_with_arguments() {
    let strict = |required: &str, strict: bool| {
        let parameters = json!({"type": "object", "properties": {"a": {}}, "required": serde_json::from_str::<Value>(required).unwrap()});
        json!({"type": "function", "function": {"name": "f", "parameters": parameters, "strict": strict}})
    };
    let asked = |tools: Value| with(json!({ "tools": tools }))["strict_tools"].clone();
    assert_eq!(asked(json!([strict("[\"a\"]", true)])), true);
    // Beside the tool that is the answer, whose schema may require nothing.
    let answered = json!({"tools": [strict("[\"a\"]", true)], "response_format": {"type": "json_object"}});
    assert_eq!(with(answered)["strict_tools"], Value::Null);
    assert_eq!(asked(json!([strict("[]", true)])), Value::Null);
    assert_eq!(asked(json!([strict("[\"a\"]", true), strict("[\"a\"]", false)])), Value::Null);
    assert_eq!(
        with(json!({"tools": [{"type": "function", "function": {"name": "f"}}]})),
        json!({"tools": [tool("f")]})
    );
}

#[test]
fn the_form_of_the_answer_is_native_without_tools_and_a_tool_beside_them() {
    let schema = json!({"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"]});
    let by_schema = json!({"type": "json_schema", "json_schema": {"name": "x", "schema": schema}});
    let native = json!({"response_format": {"type": "json_object", "schema": schema}});
    assert_eq!(
        with(json!({"response_format": {"type": "json_object"}})),
        json!({"response_format": {"type": "json_object"}})
    );
    assert_eq!(with(json!({"response_format": by_schema})), native);
    assert_eq!(with(json!({"response_format": by_schema, "tools": [tool("f")], "tool_choice": "none"})), native);

    let body =
        json!({"messages": [{"role": "user", "content": "u"}], "response_format": by_schema, "tools": [tool("f")]});
    assert!(ask(&CHAT, "m", &body).unwrap().asked.json_tool);
    let theirs = sent(&CHAT, &body);
    assert_eq!((&theirs["tool_choice"], &theirs["response_format"]), (&json!("REQUIRED"), &Value::Null));
    assert_eq!(theirs["tools"][1]["function"]["name"], "json_answer");
    assert_eq!(theirs["tools"][1]["function"]["parameters"], schema);
}

#[test]
fn effort_is_a_budget_for_models_that_think() {
    let body = |effort: &str| json!({"messages": [{"role": "user", "content": "u"}], "reasoning_effort": effort});
    let thinking = |model: &str, effort: &str| {
        let outgoing = ask(&CHAT, model, &body(effort)).unwrap();
        let sent: Value = serde_json::from_slice(&outgoing.bodies[0]).unwrap();
        (sent["thinking"].clone(), outgoing.dropped)
    };
    let reasoning = "command-a-reasoning-08-2025";
    assert_eq!(thinking(reasoning, "none"), (json!({"type": "disabled"}), vec![]));
    assert_eq!(thinking(reasoning, "low"), (json!({"type": "enabled", "token_budget": 1024}), vec![]));
    assert_eq!(thinking(reasoning, "xhigh"), (json!({"type": "enabled"}), vec![]));
    assert_eq!(thinking("command-r", "none"), (Value::Null, vec![]));
    assert_eq!(thinking("command-r", "high"), (Value::Null, vec!["reasoning_effort"]));
    let own = json!({"type": "enabled", "token_budget": 5});
    assert_eq!(with(json!({"thinking": own, "reasoning_effort": "high"})), json!({ "thinking": own }));
}

#[test]
fn turns_keep_what_they_say() {
    let call = json!({"id": "c", "type": "function", "function": {"name": "f", "arguments": ""}});
    let sent_call = json!({"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}});
    let thought = json!({"type": "reasoning.text", "format": "cohere-thinking-v2", "index": 0, "text": "hm. "});
    let document = json!({"type": "document", "document": {"id": "1", "data": {"a": 1}}});
    let image = json!({"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA", "detail": "low"}});
    let cases = [
        (json!({"role": "developer", "content": "d"}), json!({"role": "system", "content": "d"})),
        (json!({"role": "user", "content": [image, document]}), json!({"role": "user", "content": [image, document]})),
        (
            json!({"role": "assistant", "content": "", "tool_calls": [call], "reasoning_content": "plan"}),
            json!({"role": "assistant", "tool_calls": [sent_call], "tool_plan": "plan"}),
        ),
        (
            json!({"role": "assistant", "content": "t", "tool_calls": [call], "reasoning_content": "hm. plan", "reasoning_details": [thought]}),
            json!({"role": "assistant", "tool_calls": [sent_call], "tool_plan": "plan",
                "content": [{"type": "thinking", "thinking": "hm. "}, {"type": "text", "text": "t"}]}),
        ),
        (
            json!({"role": "assistant", "content": null, "refusal": "no"}),
            json!({"role": "assistant", "content": [{"type": "text", "text": "no"}]}),
        ),
        (
            json!({"role": "assistant", "content": "t", "reasoning_content": "of another model"}),
            json!({"role": "assistant", "content": "t"}),
        ),
        (
            json!({"role": "tool", "tool_call_id": "c", "content": [document]}),
            json!({"role": "tool", "tool_call_id": "c", "content": [document]}),
        ),
    ];
    for (ours, theirs) in cases {
        assert_eq!(sent(&CHAT, &json!({"messages": [ours]}))["messages"], json!([theirs]));
    }
    let empty = json!({"messages": [{"role": "user", "content": "u"}, {"role": "assistant", "content": ""}]});
    assert_eq!(sent(&CHAT, &empty)["messages"].as_array().unwrap().len(), 1);
}

#[test]
fn turns_that_cannot_be_said_are_refused_by_place() {
    let place = |message: Value| refused(&CHAT, &json!({"messages": [message]}));
    let image = json!({"type": "image_url", "image_url": {"url": "https://x/y.png"}});
    let audio = json!({"type": "input_audio", "input_audio": {"data": "AAAA", "format": "wav"}});
    let file = json!({"type": "file", "file": {"file_id": "f"}});
    assert_eq!(place(json!({"role": "system", "content": [image]})), "messages[0].content[0]");
    assert_eq!(place(json!({"role": "user", "content": [image, audio]})), "messages[0].content[1]");
    assert_eq!(place(json!({"role": "user", "content": [file]})), "messages[0].content[0]");
    assert_eq!(place(json!({"role": "tool", "content": "r"})), "messages[0].tool_call_id");
    assert_eq!(place(json!({"role": "function", "name": "f", "content": "r"})), "messages[0].role");
    let custom = json!({"id": "c", "type": "custom", "custom": {"name": "f", "input": "i"}});
    assert_eq!(place(json!({"role": "assistant", "tool_calls": [custom]})), "messages[0].tool_calls[0]");
}

#[test]
fn v1_takes_the_last_message_apart_and_no_tools() {
    let turns = json!([
        {"role": "system", "content": "s"}, {"role": "user", "content": "a"}, {"role": "assistant", "content": "b"},
        {"role": "user", "content": [{"type": "text", "text": "c"}, {"type": "text", "text": "d"}]},
    ]);
    assert_eq!(
        sent(&CHAT_V1, &json!({"messages": turns, "stop": ["x"], "preamble": "p"})),
        json!({
            "model": "m", "message": "cd", "stop_sequences": ["x"], "preamble": "p",
            "chat_history": [{"role": "SYSTEM", "message": "s"}, {"role": "USER", "message": "a"}, {"role": "CHATBOT", "message": "b"}],
        })
    );
    assert_eq!(refused(&CHAT_V1, &json!({"messages": [{"role": "assistant", "content": "b"}]})), "messages");
    let image = json!([{"type": "image_url", "image_url": {"url": "https://x/y.png"}}]);
    assert_eq!(refused(&CHAT_V1, &json!({"messages": [{"role": "user", "content": image}]})), "messages[0]");
    let tools = json!({"messages": [{"role": "user", "content": "u"}], "tools": [tool("f")]});
    assert_eq!(refused(&CHAT_V1, &tools), "tools");
}

#[test]
fn generate_has_its_own_names() {
    let ours = json!({
        "prompt": "Hi", "n": 2, "max_tokens": 5, "stop": ["x"], "top_p": 1, "top_k": 2, "logit_bias": {"5": 1}, "stream": true,
        "use_raw_prompt": true, "truncate": "END", "num_generations": 4, "user": "u",
    });
    let theirs = json!({
        "model": "m", "prompt": "Hi", "num_generations": 2, "max_tokens": 5, "stop_sequences": ["x"], "p": 0.99, "k": 2,
        "logit_bias": {"5": 1}, "stream": true, "raw_prompting": true, "truncate": "END",
    });
    assert_eq!(sent(&GENERATE, &ours), theirs);
    assert_eq!(refused(&GENERATE, &json!({"prompt": ["a", "b"]})), "prompt");
    assert_eq!(refused(&GENERATE, &json!({"prompt": "a", "suffix": "b"})), "suffix");
}

#[test]
fn the_model_chooses_the_version() {
    let is = |task, model, pair_: &Pair| assert!(std::ptr::eq(pair(task, model).unwrap(), pair_), "{model}");
    is(Task::Chat, "command-a-03-2025", &CHAT);
    is(Task::Chat, "my-fine-tuned-model-ft", &CHAT);
    is(Task::Chat, "command-light", &CHAT_V1);
    is(Task::Completions, "command", &GENERATE);
    is(Task::Embeddings, "embed-v4.0", &EMBED);
    is(Task::Embeddings, "embed-multilingual-light-v3.0", &EMBED);
    is(Task::Embeddings, "embed-english-v2.0", &EMBED_V1);
}
