//! JSON schemas as the API takes them for structured answers.
//!
//! Source: Anthropic's page "Structured outputs", "JSON Schema limitations": objects must be closed, numeric and length
//! limits and some formats are refused. As Anthropic's own SDKs do, what is refused is moved into the description.

use std::borrow::Cow;

use serde_json::value::RawValue;
use serde_json::{Map, Value};

use crate::wire::Raw;

/// Limits that are refused; `minItems` may be 0 or 1.
const LIMITS: [&str; 12] = [
    "minimum",
    "maximum",
    "exclusiveMinimum",
    "exclusiveMaximum",
    "multipleOf",
    "minLength",
    "maxLength",
    "minItems",
    "maxItems",
    "uniqueItems",
    "minProperties",
    "maxProperties",
];

/// Formats that are taken.
const FORMATS: [&str; 10] =
    ["date-time", "time", "date", "duration", "email", "hostname", "uri", "ipv4", "ipv6", "uuid"];

/// The schema as the API takes it: as it is, if that is so already; `None` if objects in it must stay open.
pub(crate) fn fitting(schema: Raw<'_>) -> Option<Cow<'_, RawValue>> {
    let mut value: Value = serde_json::from_str(schema.get()).ok()?;
    let mut changed = false;
    if !value.is_object() {
        return None;
    }
    fit(&mut value, &mut changed)?;
    if !changed {
        return Some(Cow::Borrowed(schema));
    }
    serde_json::value::to_raw_value(&value).ok().map(Cow::Owned)
}

/// Fits a schema and those in it. Its depth is that of parsed JSON, which is bounded.
fn fit(schema: &mut Value, changed: &mut bool) -> Option<()> {
    let Value::Object(members) = schema else { return Some(()) };
    limits(members, changed);
    let is_object = members.get("type").is_some_and(names_object) || members.contains_key("properties");
    match members.get("additionalProperties") {
        Some(Value::Bool(false)) => {}
        None if is_object => {
            members.insert("additionalProperties".into(), false.into());
            *changed = true;
        }
        None => {}
        Some(_) => return None,
    }
    for (key, member) in members.iter_mut() {
        match (&**key, member) {
            ("properties" | "$defs" | "definitions", Value::Object(schemas)) => {
                schemas.values_mut().try_for_each(|schema| fit(schema, changed))?;
            }
            ("anyOf" | "allOf" | "oneOf" | "prefixItems", Value::Array(schemas)) => {
                schemas.iter_mut().try_for_each(|schema| fit(schema, changed))?;
            }
            ("items", schema) => fit(schema, changed)?,
            _ => {}
        }
    }
    Some(())
}

/// Moves what is refused into the description.
fn limits(members: &mut Map<String, Value>, changed: &mut bool) {
    let refused = |key: &str, value: &Value| match key {
        "minItems" => value.as_u64().is_none_or(|least| least > 1),
        "format" => value.as_str().is_some_and(|format| !FORMATS.contains(&format)),
        key => LIMITS.contains(&key),
    };
    let moved: Vec<String> = members
        .iter()
        .filter(|(key, value)| refused(key, value))
        .map(|(key, value)| format!("{key}: {value}"))
        .collect();
    if moved.is_empty() {
        return;
    }
    members.retain(|key, value| !refused(key, value));
    let said = members.get("description").and_then(Value::as_str);
    let moved = format!("({})", moved.join(", "));
    let description = said.map_or(moved.clone(), |said| format!("{said} {moved}"));
    members.insert("description".into(), description.into());
    *changed = true;
}

fn names_object(kind: &Value) -> bool {
    match kind {
        Value::String(kind) => kind == "object",
        Value::Array(kinds) => kinds.iter().any(|kind| kind == "object"),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn fitted(schema: Value) -> Option<Value> {
        let raw = serde_json::value::to_raw_value(&schema).unwrap();
        fitting(&raw).map(|raw| serde_json::from_str(raw.get()).unwrap())
    }

    #[test]
    fn what_fits_stays_as_it_is() {
        let text =
            r#"{ "type":"object", "properties":{"a":{"type":"array","minItems":1}}, "additionalProperties":false }"#;
        let raw: Raw<'_> = serde_json::from_str(text).unwrap();
        assert!(matches!(fitting(raw), Some(Cow::Borrowed(same)) if same.get() == text));
    }

    #[test]
    fn limits_move_into_the_description_and_objects_are_closed() {
        let schema = json!({"type": "object", "properties": {
            "minimum": {"type": "integer", "minimum": 1, "maximum": 9, "description": "d"},
            "list": {"type": "array", "minItems": 2, "items": {"type": ["object", "null"], "properties": {}}},
            "mail": {"anyOf": [{"type": "string", "format": "email"}, {"type": "string", "format": "iri"}]},
        }, "$defs": {"x": {"properties": {}}}});
        assert_eq!(
            fitted(schema),
            Some(json!({"type": "object", "additionalProperties": false, "properties": {
            "minimum": {"type": "integer", "description": "d (maximum: 9, minimum: 1)"},
            "list": {"type": "array", "description": "(minItems: 2)",
                "items": {"type": ["object", "null"], "properties": {}, "additionalProperties": false}},
            "mail": {"anyOf": [{"type": "string", "format": "email"}, {"type": "string", "description": "(format: \"iri\")"}]},
        }, "$defs": {"x": {"properties": {}, "additionalProperties": false}}}))
        );
    }

    #[test]
    fn open_objects_do_not_fit() {
        assert_eq!(fitted(json!({"type": "object", "additionalProperties": true})), None);
        assert_eq!(fitted(json!({"items": {"additionalProperties": {"type": "string"}}})), None);
        assert_eq!(fitted(json!(true)), None);
    }
}
