use std::collections::BTreeSet;

use super::*;

#[test]
fn every_route_is_in_the_document_once() {
    let document = &*DOCUMENT;
    let mut ids = BTreeSet::new();
    let operations =
        document["paths"].as_object().unwrap().values().flat_map(|path| path.as_object().unwrap().values());
    for operation in operations {
        assert!(ids.insert(operation["operationId"].as_str().unwrap()), "{} twice", operation["operationId"]);
    }
    assert_eq!(ids.len(), routes().len());
}

/// A `$ref` into nothing makes clients and checkers fail.
#[test]
fn every_reference_leads_somewhere() {
    fn references<'d>(value: &'d Value, found: &mut Vec<&'d str>) {
        match value {
            Value::Object(map) => {
                found.extend(map.get("$ref").and_then(Value::as_str));
                map.values().for_each(|value| references(value, found));
            }
            Value::Array(items) => items.iter().for_each(|value| references(value, found)),
            _ => {}
        }
    }
    let mut found = Vec::new();
    references(&DOCUMENT, &mut found);
    assert!(!found.is_empty());
    for reference in found {
        assert!(DOCUMENT.pointer(reference.trim_start_matches('#')).is_some(), "{reference}");
    }
}

#[test]
fn what_rest_accepts_the_document_allows() {
    let grants = &DOCUMENT["components"]["schemas"]["PermissionSpec"];
    assert!(grants.get("additionalProperties").is_none());
    assert_eq!(grants["properties"]["user_name"]["type"], json!(["string", "null"]));
    assert_eq!(grants["required"], json!(["permission_level"]));
    let wide =
        json!({"properties": {"a": {"type": "integer", "format": "uint32"}, "b": {"$ref": "#/x"}}, "required": ["a"]});
    let mut over_rest = wide;
    as_over_rest(&mut over_rest);
    assert_eq!(over_rest["properties"]["a"], json!({"type": "integer", "format": "uint32", "maximum": u32::MAX}));
    assert_eq!(over_rest["properties"]["b"], json!({"anyOf": [{"$ref": "#/x"}, {"type": "null"}]}));
}

#[test]
fn refusals_follow_from_the_route() {
    let put = &DOCUMENT["paths"]["/api/2.0/permissions/serving-endpoints/{id}"]["put"];
    let statuses: Vec<&str> = put["responses"].as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(statuses, ["200", "400", "401", "403", "404", "408", "409", "413", "415", "500", "503"]);
    // Nothing in it is required, so an empty body is one too.
    assert_eq!(put["requestBody"]["required"], false);
    assert_eq!(put["responses"]["503"]["headers"]["Retry-After"]["schema"]["type"], "integer");
}

/// The names of two generators are apart: one name for two types would show one of them as the other.
#[test]
fn a_name_means_one_type() {
    let mut schemas = Schemas::new();
    for route in routes() {
        operation(&route, &mut schemas);
    }
    let keys =
        |schema: &Value| schema["properties"].as_object().map(|map| map.keys().cloned().collect::<BTreeSet<_>>());
    let mut shared = 0;
    for (name, input) in schemas.inputs.definitions() {
        if let Some(output) = schemas.outputs.definitions().get(name) {
            assert_eq!((keys(input), &input["description"]), (keys(output), &output["description"]), "{name}");
            shared += 1;
        }
    }
    assert!(shared > 0);
}
