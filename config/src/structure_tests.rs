use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::schema;

fn problems(value: Value) -> Vec<String> {
    let found = schema::ENDPOINT.check(&value, UnknownKeys::Refuse);
    found.into_iter().map(|p| format!("{}: {}", p.at.dotted(), p.message)).collect()
}

/// Any JSON, with keys that our documents know among them.
pub(crate) fn any_json() -> impl Strategy<Value = Value> {
    let key = prop_oneof![
        Just("name".to_owned()),
        Just("config".to_owned()),
        Just("served_entities".to_owned()),
        Just("external_model".to_owned()),
        Just("traffic_config".to_owned()),
        Just("routes".to_owned()),
        Just("tags".to_owned()),
        Just("models".to_owned()),
        Just("listeners".to_owned()),
        "[a-z_/~]{0,6}",
    ];
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        (-1_000_000i32..1_000_000).prop_map(|n| json!(f64::from(n) + 0.5)),
        "[ -~]{0,8}".prop_map(Value::from),
    ];
    leaf.prop_recursive(6, 64, 6, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
            prop::collection::btree_map(key.clone(), inner, 0..6).prop_map(|m| Value::Object(m.into_iter().collect())),
        ]
    })
}

#[test]
fn all_problems_are_reported_at_once() {
    let found = problems(json!({
        "nmae": "x",
        "config": { "served_entities": [{ "external_model": { "name": 5, "provider": "opnai", "task": "llm/v1/chta" } }] },
        "tags": [{ "value": "v" }],
    }));
    let parts = [
        "`name` is missing; expected 1 to 63 letters",
        "nmae: unknown key `nmae`; did you mean `name`? allowed: ai_gateway, ",
        "external_model.name: expected text, found a number; put it in quotes",
        "`opnai` is not allowed here; did you mean `openai`? allowed: openai, anthropic, ",
        "`llm/v1/chta` is not allowed here; did you mean `llm/v1/chat`?",
        "tags[0]: `key` is missing; expected text",
    ];
    assert_eq!(found.len(), 6, "{found:#?}");
    for part in &parts {
        assert!(found.iter().any(|line| line.contains(part)), "{part} not in {found:#?}");
    }
}

#[test]
fn null_is_absent() {
    assert_eq!(problems(json!({ "name": "a", "config": null, "tags": null, "route_optimized": null })), [""; 0]);
    assert_eq!(problems(json!({ "name": null })).len(), 1);
}

#[test]
fn rest_bodies_may_hold_unknown_keys_but_no_wrong_types() {
    let body = json!({ "name": "a", "later": 1, "config": { "served_entities": "x", "new": {} } });
    let found = schema::ENDPOINT.check(&body, UnknownKeys::Ignore);
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].at.dotted(), "config.served_entities");
}

#[test]
fn numbers_may_come_as_strings_where_the_contract_says_so() {
    let with = |percentage: Value| {
        problems(
            json!({ "name": "a", "config": { "traffic_config": { "routes": [{ "served_model_name": "a", "traffic_percentage": percentage }] } } }),
        )
    };
    for good in [json!(0), json!(100), json!("90")] {
        assert_eq!(with(good), [""; 0]);
    }
    for bad in [json!(101), json!(-1), json!(1.5), json!(true), json!("101"), json!("ninety"), json!("")] {
        assert_eq!(with(bad.clone()).len(), 1, "{bad}");
    }
}

#[test]
fn any_case_words_are_allowed_where_the_contract_says_so() {
    let block = |kind: &str| {
        problems(json!({ "name": "a", "config": { "served_entities": [{ "external_model": {
            "name": "m", "provider": "openai", "task": "llm/v1/chat", "openai_config": { "openai_api_type": kind } } }] } }))
    };
    assert_eq!(block("Azure"), [""; 0]);
    assert_eq!(block("azur").len(), 1);
}

#[test]
fn planned_policy_keys_say_so() {
    assert_eq!(
        problems(json!({ "name": "a", "policy": { "retries": 2 } })),
        ["policy.retries: `retries` does not work yet; remove it"]
    );
    assert_eq!(
        problems(json!({ "name": "a", "policy": { "x": 2 } })),
        ["policy.x: unknown key `x`; no keys are allowed here"]
    );
}

#[test]
fn a_long_value_is_not_repeated() {
    let found = problems(json!({ "name": "a", "managed_by": "sk-".repeat(20) }));
    assert!(found.len() == 1 && !found[0].contains("sk-"), "{found:?}");
}

proptest! {
    #[test]
    fn no_json_panics(value in any_json()) {
        for (_, shape) in [("", &schema::ENDPOINT), ("", &schema::GATEWAY), ("", &schema::CATALOG)] {
            shape.check(&value, UnknownKeys::Refuse);
            shape.check(&value, UnknownKeys::Ignore);
        }
    }
}

#[test]
fn maps_are_bounded_in_number_and_in_their_names() {
    let with = |variables: Value| {
        let entity = json!({ "entity_name": "m", "entity_version": "1", "environment_vars": variables });
        problems(json!({ "name": "a", "config": { "served_entities": [entity] } }))
    };
    let many = |count: usize| Value::Object((0..count).map(|i| (format!("V{i}"), json!("x"))).collect());
    assert_eq!(with(many(100)), [""; 0]);
    let at = "config.served_entities[0].environment_vars";
    assert_eq!(with(many(101)), [format!("{at}: has 101 entries; allowed is at most 100 entries")]);
    let long = "N".repeat(256);
    assert_eq!(
        with(json!({ long: "x" })),
        [format!("{at}: a name in it has 256 characters; allowed is at most 255 characters")]
    );
    assert_eq!(with(json!({ "V": "x".repeat(4097) })).len(), 1);
}
