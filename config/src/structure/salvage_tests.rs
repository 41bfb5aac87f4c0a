use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::{
    document::{EndpointSpec, GatewaySpec},
    structure::tests::any_json,
};

fn left_out<T: DeserializeOwned>(value: Value) -> Option<Vec<String>> {
    salvage::<T>(value).map(|(_, places)| places.iter().map(|place| place.as_str().to_owned()).collect())
}

#[test]
fn only_what_the_type_refuses_is_left_out() {
    let value = json!({
        "name": "has space",
        "later": 1,
        "tags": [{ "key": "a" }, { "value": "b" }],
        "config": { "served_entities": [
            { "name": "a", "external_model": { "name": "m", "provider": "opnai", "task": "llm/v1/chat" } },
            { "name": 5, "environment_vars": { "a/b": 5 } },
        ] },
    });
    let (spec, places) = salvage::<EndpointSpec>(value).unwrap();
    let mut places: Vec<&str> = places.iter().map(Pointer::as_str).collect();
    places.sort_unstable();
    assert_eq!(
        places,
        [
            "/config/served_entities/0/external_model",
            "/config/served_entities/0/external_model/provider",
            "/config/served_entities/1/environment_vars/a~1b",
            "/config/served_entities/1/name",
            "/tags",
        ]
    );
    let entities = spec.config.unwrap().served_entities.unwrap();
    assert_eq!((spec.name.as_str(), entities.len(), entities[0].name.as_deref()), ("has space", 2, Some("a")));
}

#[test]
fn nothing_is_left_of_a_document_without_what_it_must_have() {
    assert_eq!(left_out::<EndpointSpec>(json!({ "name": 5, "route_optimized": true })), None);
    assert_eq!(left_out::<GatewaySpec>(json!(5)), None);
    assert_eq!(left_out::<GatewaySpec>(json!({})), Some(Vec::new()));
}

#[test]
fn the_number_of_left_out_places_is_bounded() {
    let entities = vec![json!({ "name": 5 }); MAX_LEFT_OUT + 1];
    assert_eq!(left_out::<EndpointSpec>(json!({ "name": "a", "config": { "served_entities": entities } })), None);
}

proptest! {
    #[test]
    fn something_is_left_where_every_key_is_optional(value in any_json()) {
        prop_assert!(!value.is_object() || left_out::<GatewaySpec>(value).is_some());
    }
}
