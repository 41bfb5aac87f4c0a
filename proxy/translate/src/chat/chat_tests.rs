use serde_json::json;

use super::*;

fn given(body: serde_json::Value) -> Vec<&'static str> {
    let body = body.to_string();
    let request = Request::read(&body).unwrap();
    request.given().filter(|param| !request.says_nothing(param)).collect()
}

#[test]
fn what_says_nothing_is_not_given() {
    let nothing = json!({
        "model": "m", "messages": [], "n": 1, "frequency_penalty": 0, "presence_penalty": 0.0, "logprobs": false,
        "top_logprobs": 0, "logit_bias": {}, "store": false, "parallel_tool_calls": true, "modalities": ["text"],
        "response_format": {"type": "text"}, "tools": [], "tool_choice": "none", "functions": [], "stream": true,
        "stream_options": {"include_usage": true}, "seed": null, "stop": null, "user": null,
    });
    assert_eq!(given(nothing), [] as [&str; 0]);
    let much = json!({
        "messages": [{"role": "user", "content": "x"}], "n": 2, "frequency_penalty": 0.5, "logprobs": true, "logit_bias": {"5": 1}, "store": true,
        "parallel_tool_calls": false, "modalities": ["text", "audio"], "stop": "x", "seed": 0,
    });
    let mut expected: Vec<_> = much.as_object().unwrap().keys().map(String::as_str).collect();
    expected.sort_by_key(|name| Request::FIELDS.iter().position(|field| field == name));
    assert_eq!(given(much.clone()), expected);
}

#[test]
fn the_gateways_own_members_are_left_out() {
    let body = r#"{"messages":[],"client_request_id":"1","usage_context":{},"extra_params":{},"top_a":1}"#;
    let request = Request::read(body).unwrap();
    assert_eq!(request.rest.iter().map(|(key, _)| &**key).collect::<Vec<_>>(), ["top_a"]);
    assert_eq!(unknown(&request.rest, "top_a").map(|raw| raw.get()), Some("1"));
}

#[test]
fn tool_choice_has_five_forms() {
    let choice = |json: serde_json::Value| {
        let json = json.to_string();
        serde_json::from_str::<Choice<'_>>(&json).map(|choice| format!("{choice:?}")).ok()
    };
    let named = |name: &str| Some(format!("{:?}", Choice::Named(name.into())));
    let allowed = |names: &[&'static str], required| {
        let names = names.iter().map(|name| Text::from(*name)).collect();
        Some(format!("{:?}", Choice::Allowed { names, required }))
    };
    assert_eq!(choice(json!("auto")), Some("Auto".into()));
    assert_eq!(choice(json!("none")), Some("None".into()));
    assert_eq!(choice(json!("required")), Some("Required".into()));
    assert_eq!(choice(json!({"type": "function", "function": {"name": "f"}})), named("f"));
    assert_eq!(choice(json!({"type": "custom", "custom": {"name": "c"}})), named("c"));
    let tools = json!([{"type": "function", "function": {"name": "f"}}, {"type": "custom", "custom": {"name": "c"}}]);
    let form = |mode: &str| json!({"type": "allowed_tools", "allowed_tools": {"mode": mode, "tools": tools}});
    assert_eq!(choice(form("auto")), allowed(&["f", "c"], false));
    assert_eq!(choice(form("required")), allowed(&["f", "c"], true));
    for bad in [json!("f"), json!({"type": "function"}), json!({"type": "allowed_tools"}), json!(1), json!([])] {
        assert_eq!(choice(bad.clone()), None, "{bad}");
    }
}

#[test]
fn parts_of_all_types_are_read() {
    let body = json!({"messages": [{"role": "user", "content": [
        {"type": "text", "text": "a", "cache_control": {"type": "ephemeral"}},
        {"text": "b"},
        {"type": "image_url", "image_url": {"url": "https://x/y.png", "detail": "low"}},
        {"type": "input_audio", "input_audio": {"data": "AA==", "format": "wav"}},
        {"type": "file", "file": {"file_data": "data:application/pdf;base64,AA==", "filename": "f.pdf"}},
        {"type": "document", "source": {"type": "text"}},
    ]}]})
    .to_string();
    let request = Request::read(&body).unwrap();
    let Some(Content::Parts(parts)) = &request.messages[0].content else { panic!() };
    assert_eq!(parts[0].cache_control.map(|raw| raw.get()), Some(r#"{"type":"ephemeral"}"#));
    assert!(matches!(&parts[2].body, PartBody::Image(image) if image.detail.as_deref() == Some("low")));
    assert!(matches!(&parts[3].body, PartBody::Audio(audio) if &*audio.format == "wav"));
    assert!(matches!(&parts[4].body, PartBody::File(file) if file.filename.as_deref() == Some("f.pdf")));
    let PartBody::Other(kind, rest) = &parts[5].body else { panic!() };
    assert_eq!((&**kind, rest[0].1.get()), ("document", r#"{"type":"text"}"#));
    assert_eq!(&*request.messages[0].content.as_ref().unwrap().text(), "ab");
}

#[test]
fn data_urls_are_taken_apart() {
    let read = |url| DataUrl::read(url).map(|url| (url.media_type, url.base64));
    assert_eq!(read("data:image/png;base64,AA=="), Some(("image/png", "AA==")));
    assert_eq!(read("DATA:text/plain;charset=utf-8;base64,AA=="), Some(("text/plain", "AA==")));
    assert_eq!(read("data:;base64,AA=="), Some(("text/plain", "AA==")));
    for other in ["https://x/a,b;base64,c", "data:image/png,AA", "data:image/png;base64", "", "data"] {
        assert_eq!(read(other), None, "{other}");
    }
}
