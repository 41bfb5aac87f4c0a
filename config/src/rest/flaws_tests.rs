use super::*;
use crate::{
    compile::{self, Context, Door},
    document::{ConfigSpec, EndpointSpec},
    schema,
    secret::{NoSecrets, Resolver},
};

fn judged(body: &str) -> String {
    let (spec, mut flaws) = read_flawed::<EndpointSpec>(body.as_bytes(), &schema::ENDPOINT, None).unwrap();
    let secrets = Resolver { folder: std::path::Path::new("."), store: &NoSecrets };
    let models = std::collections::BTreeMap::new();
    let context = Context { models: Some(&models), allow_private: false, door: Door::Rest, secrets };
    if let Some(spec) = spec {
        flaws.add(compile::endpoint(spec, &context).1);
    }
    flaws.to_string()
}

const ENTITY: &str = r#""external_model": { "name": "m", "provider": "openai", "task": "llm/v1/chat", "openai_config": { "openai_api_key_plaintext": "k" } }"#;

#[test]
fn errors_of_form_and_of_rules_come_together() {
    let body = format!(
        r#"{{ "name": "e", "tags": [{{ "key": "k" }}, {{ "key": "k" }}], "rate_limits": [{{ "calls": 1, "renewal_period": "day" }}],
             "config": {{ "served_entities": [{{ "name": "a", {ENTITY} }}, {{ "name": "a", {ENTITY} }}],
                          "traffic_config": {{ "routes": [{{ "served_model_name": "a", "traffic_percentage": 90 }}] }} }} }}"#
    );
    let text = judged(&body);
    for word in ["tags[1].key", "rate_limits[0].renewal_period", "served_entities[1].name", "sum to 90"] {
        assert!(text.contains(word), "no {word} in {text}");
    }
}

#[test]
fn what_only_follows_from_an_error_of_form_is_not_said() {
    let body = format!(
        r#"{{ "name": "e", "config": {{ "served_entities": [{{ "name": "a", {} }}],
             "traffic_config": {{ "routes": [{{ "served_model_name": "a", "traffic_percentage": true }}] }} }} }}"#,
        ENTITY.replace("openai\"", "opnai\"")
    );
    let text = judged(&body);
    assert!(text.contains("provider") && text.contains("traffic_percentage"), "{text}");
    assert!(!text.contains("sum") && !text.contains("missing"), "{text}");
}

#[test]
fn places_are_those_of_the_body() {
    #[derive(serde::Deserialize, schemars::JsonSchema)]
    struct Body {
        config: ConfigSpec,
    }
    let shape = Shape::new(schema::of::<Body>());
    let (body, mut flaws) =
        read_flawed::<Body>(br#"{ "served_entities": [{ "name": "a b" }] }"#, &shape, Some("config")).unwrap();
    let body = body.filter(|body| body.config.served_entities.is_some());
    flaws.add(body.map(|_| Problem::error(Pointer::root().key("config").key("served_entities").index(0), "no model")));
    flaws.add([Problem::error(Pointer::root().key("tags"), "elsewhere")]);
    let text = flaws.to_string();
    assert!(
        text.starts_with("served_entities[0].name: ")
            && text.ends_with("; served_entities[0]: no model; tags: elsewhere"),
        "{text}"
    );
}

#[test]
fn a_sound_body_has_no_flaws() {
    let (spec, flaws) =
        read_flawed::<EndpointSpec>(br#"{ "name": "e", "later": 1, "tags": null }"#, &schema::ENDPOINT, None).unwrap();
    assert!(flaws.is_empty() && spec.is_some_and(|spec| spec.name == "e"));
    assert!(read_flawed::<EndpointSpec>(b"[]", &schema::ENDPOINT, None).is_err());
}
