use serde_json::{Value as Json, json};

use super::*;
use crate::request::wire::Message;

fn compile(source: &str) -> Result<ChatTemplate, EngineError> {
    ChatTemplate::new(Path::new("a.gguf"), source.into(), Some("<s>".into()), Some("</s>".into()))
}

#[test]
fn texts_are_those_of_transformers() {
    let golden: Json = serde_json::from_str(include_str!("../../tests/goldens/chat_template.json")).expect("a golden");
    // The request's own type, which writes the fields in the order that clients use.
    let chats: Vec<Vec<Message>> = serde_json::from_value(golden["chats"].clone()).expect("chats");
    for template in golden["templates"].as_array().expect("templates") {
        let compiled = compile(template["template"].as_str().expect("a template")).expect("compiles");
        for (at, chat) in chats.iter().enumerate() {
            let text = compiled.render(chat).expect("renders");
            assert_eq!(template["texts"][at], text, "{}, chat {at}", template["name"]);
        }
    }
}

#[test]
fn a_template_may_refuse_a_chat() {
    let template = compile("{{ raise_exception('roles must alternate') }}").expect("compiles");
    let error = template.render(&[json!({"role": "user"})]).expect_err("refused");
    assert!(matches!(error, EngineError::Request { param: Some("messages"), .. }));
    assert!(error.to_string().contains("roles must alternate"), "{error}");
}

#[test]
fn a_broken_template_is_the_models_fault() {
    let error = compile("{% for %}").expect_err("broken");
    assert!(matches!(error, EngineError::Model { .. }), "{error}");
}

#[test]
fn the_date_is_todays() {
    let text = compile("{{ strftime_now('%Y') }}").expect("compiles").render::<Json>(&[]).expect("renders");
    assert!(text.parse::<u32>().is_ok_and(|year| year >= 2025), "{text}");
}
