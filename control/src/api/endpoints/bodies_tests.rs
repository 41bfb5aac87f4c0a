//! Whatever is in a body: the right status, and a refusal changes nothing.

use proptest::prelude::*;
use serde_json::{Map, Value, json};

use super::testbed::{Testbed, openai};

/// Requests that are in order, to be spoilt.
fn sound() -> Vec<(&'static str, &'static str, Value)> {
    let entities = json!([openai("a", "gpt-4", "llm/v1/chat"), openai("b", "gpt-5", "llm/v1/chat")]);
    let traffic = json!({ "routes": [
        { "served_model_name": "a", "traffic_percentage": "90" }, { "served_entity_name": "b", "traffic_percentage": 10 },
    ] });
    let limits = json!([{ "calls": 10, "key": "user", "renewal_period": "minute" }]);
    let gateway = json!({
        "guardrails": { "input": { "pii": { "behavior": "MASK" }, "invalid_keywords": ["x"] } },
        "rate_limits": [{ "tokens": 1, "key": "user_group", "principal": "g", "renewal_period": "minute" }],
        "fallback_config": { "enabled": true },
    });
    let create = json!({
        "name": "new", "config": { "served_entities": entities, "traffic_config": traffic }, "rate_limits": limits,
        "ai_gateway": gateway, "tags": [{ "key": "k", "value": "v" }], "route_optimized": false,
    });
    vec![
        ("POST", "", create),
        ("PUT", "/e/config", json!({ "served_entities": entities, "traffic_config": traffic })),
        ("PUT", "/e/rate-limits", json!({ "rate_limits": limits })),
        ("PUT", "/e/ai-gateway", gateway),
        ("PATCH", "/e/tags", json!({ "add_tags": [{ "key": "k" }], "delete_tags": ["k"] })),
        ("PATCH", "/e/notifications", json!({ "email_notifications": { "on_update_success": ["a@b.c"] } })),
        (
            "POST",
            "/pt",
            json!({ "name": "new", "config": { "served_entities": [{ "entity_name": "system.ai.small", "provisioned_model_units": 1 }] } }),
        ),
    ]
}

/// Values that somebody might send instead.
fn junk() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        prop_oneof![Just("".to_owned()), Just("90".to_owned()), Just("{{secrets/a/b}}".to_owned()), ".{0,80}"]
            .prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 12, 3, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..3).prop_map(Value::from),
            prop::collection::btree_map("[a-z_]{1,8}", inner, 0..3).prop_map(|map| Value::Object(Map::from_iter(map))),
        ]
    })
}

/// All places of a value.
fn places(value: &Value, at: String, all: &mut Vec<String>) {
    match value {
        Value::Object(map) => map.iter().for_each(|(key, value)| places(value, format!("{at}/{key}"), all)),
        Value::Array(items) => items.iter().enumerate().for_each(|(i, value)| places(value, format!("{at}/{i}"), all)),
        _ => {}
    }
    all.push(at);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn a_refusal_changes_nothing(spoils in prop::collection::vec((any::<prop::sample::Index>(), any::<prop::sample::Index>(), junk()), 1..6)) {
        let bed = Testbed::new();
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let config = json!({ "served_entities": [openai("a", "gpt-4", "llm/v1/chat")] });
        runtime.block_on(bed.ok("POST", "", json!({ "name": "e", "config": config })));
        let state = || (runtime.block_on(bed.ok("GET", "", Value::Null)), std::fs::read_to_string(bed.file("e")).unwrap(), bed.files());
        for (which, place, value) in spoils {
            let requests = sound();
            let (method, path, mut body) = which.get(&requests).clone();
            let mut all = Vec::new();
            places(&body, String::new(), &mut all);
            let at: &String = place.get(&all);
            *body.pointer_mut(at).unwrap() = value;
            let before = state();
            let (status, answer) = runtime.block_on(bed.call(method, path, body.clone()));
            let code = answer["error_code"].as_str().unwrap_or_default();
            let known = matches!((status, code), (200, "") | (400, "INVALID_PARAMETER_VALUE" | "BAD_REQUEST") | (409, "RESOURCE_ALREADY_EXISTS"));
            prop_assert!(known, "{} {} {}: {} {}", method, path, body, status, answer);
            if status != 200 {
                prop_assert!(!answer["message"].as_str().unwrap_or_default().is_empty());
                prop_assert_eq!(before, state());
            }
        }
    }
}
