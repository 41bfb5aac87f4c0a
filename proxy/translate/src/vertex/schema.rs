//! JSON schemas as Gemini takes them.
//!
//! Sources: Vertex AI REST reference, `GenerationConfig.responseJsonSchema` (a subset of JSON Schema) for the models
//! since 2.5, and the type `Schema` (a subset of OpenAPI 3.0) for those before.

use std::borrow::Cow;

use serde_json::value::{RawValue, to_raw_value};
use serde_json::{Map, Value, json};

use crate::params::wrong;
use crate::peek::PeekError;
use crate::wire::Raw;

/// Keywords that are refused, or say nothing to a model.
const NOT_TAKEN: [&str; 6] = ["$schema", "$comment", "examples", "discriminator", "readOnly", "writeOnly"];

/// Limits that are refused; a model can read them in the description.
const LIMITS: [&str; 3] = ["exclusiveMinimum", "exclusiveMaximum", "multipleOf"];

/// Members of `Schema`; all else is left out.
const KNOWN: [&str; 19] = [
    "type",
    "format",
    "title",
    "description",
    "nullable",
    "default",
    "enum",
    "items",
    "minItems",
    "maxItems",
    "properties",
    "required",
    "minimum",
    "maximum",
    "minLength",
    "maxLength",
    "pattern",
    "anyOf",
    "propertyOrdering",
];

/// Most schemas that one may become with its references followed.
const MOST_SCHEMAS: usize = 2000;
/// Most references inside one another.
const DEEPEST: usize = 16;

/// A schema for models that take JSON schemas: as it is, but for what is refused.
pub(super) fn json_schema<'r>(schema: Raw<'r>, place: &str) -> Result<Cow<'r, RawValue>, PeekError> {
    let mut value = read(schema, place)?;
    let mut changed = false;
    clean(&mut value, &mut changed);
    if !changed {
        return Ok(Cow::Borrowed(schema));
    }
    written(&value, place)
}

/// A schema for models that take only the API's own kind.
pub(super) fn own_schema(schema: Raw<'_>, place: &str) -> Result<Cow<'static, RawValue>, PeekError> {
    written(&translated(schema, place)?, place)
}

/// The same for a function's parameters: `None` if it has none.
pub(super) fn own_parameters(schema: Raw<'_>, place: &str) -> Result<Option<Cow<'static, RawValue>>, PeekError> {
    let value = translated(schema, place)?;
    let has_none = value["type"] == "OBJECT" && value["properties"].as_object().is_none_or(Map::is_empty);
    if has_none { Ok(None) } else { written(&value, place).map(Some) }
}

fn read(schema: Raw<'_>, place: &str) -> Result<Value, PeekError> {
    let value: Option<Value> = serde_json::from_str(schema.get()).ok();
    value.filter(Value::is_object).ok_or_else(|| wrong(place.to_owned(), "must be a JSON schema: an object"))
}

fn written(value: &Value, place: &str) -> Result<Cow<'static, RawValue>, PeekError> {
    let raw = to_raw_value(value);
    raw.map(Cow::Owned).map_err(|error| wrong(place.to_owned(), format!("cannot be sent on: {error}")))
}

/// Cleans a schema and those in it. Its depth is that of parsed JSON, which is bounded.
fn clean(schema: &mut Value, changed: &mut bool) {
    let Value::Object(members) = schema else { return };
    let before = members.len();
    members.retain(|key, _| !NOT_TAKEN.contains(&&**key));
    *changed |= members.len() != before;
    if let Some(only) = members.remove("const") {
        members.insert("enum".into(), json!([only]));
        *changed = true;
    }
    if describe_limits(members) {
        *changed = true;
    }
    for (key, member) in members.iter_mut() {
        match (&**key, member) {
            ("properties" | "$defs" | "definitions", Value::Object(schemas)) => {
                schemas.values_mut().for_each(|schema| clean(schema, changed));
            }
            ("anyOf" | "oneOf" | "allOf" | "prefixItems", Value::Array(schemas)) => {
                schemas.iter_mut().for_each(|schema| clean(schema, changed));
            }
            ("items" | "additionalProperties", schema) => clean(schema, changed),
            _ => {}
        }
    }
}

/// Moves limits that are refused into the description; says whether there were any.
fn describe_limits(members: &mut Map<String, Value>) -> bool {
    let moved: Vec<String> =
        LIMITS.iter().filter_map(|key| members.remove(*key).map(|value| format!("{key}: {value}"))).collect();
    if moved.is_empty() {
        return false;
    }
    let moved = format!("({})", moved.join(", "));
    let said = members.get("description").and_then(Value::as_str);
    let description = said.map_or(moved.clone(), |said| format!("{said} {moved}"));
    members.insert("description".into(), description.into());
    true
}

fn translated(schema: Raw<'_>, place: &str) -> Result<Value, PeekError> {
    let root = read(schema, place)?;
    let mut translation = Translation { root: &root, left: MOST_SCHEMAS };
    let too_large = || wrong(place.to_owned(), "is too large for this model once its references are followed");
    translation.schema(&root, 0).ok_or_else(too_large)
}

/// A JSON schema on its way to be a `Schema`, which has no references.
struct Translation<'s> {
    root: &'s Value,
    left: usize,
}

impl Translation<'_> {
    /// Translates one schema, `depth` references down; `None` if all together are too many.
    fn schema(&mut self, schema: &Value, depth: usize) -> Option<Value> {
        self.left = self.left.checked_sub(1)?;
        let Value::Object(from) = schema else { return Some(json!({})) };
        if let Some(reference) = from.get("$ref").and_then(Value::as_str) {
            let found = reference.strip_prefix('#').and_then(|pointer| self.root.pointer(pointer));
            return match found {
                Some(found) if depth < DEEPEST => {
                    let mut value = self.schema(found, depth + 1)?;
                    if let Some(said) = from.get("description") {
                        value["description"] = said.clone();
                    }
                    Some(value)
                }
                // A schema inside itself: deeper down any object will do.
                _ => Some(json!({"type": "OBJECT"})),
            };
        }
        let mut from = from.clone();
        if let Some(Value::Array(all)) = from.remove("allOf") {
            for part in &all {
                merge(&mut from, part);
            }
        }
        if let Some(only) = from.remove("const") {
            from.insert("enum".into(), json!([only]));
        }
        if let Some(either) = from.remove("oneOf") {
            from.insert("anyOf".into(), either);
        }
        describe_limits(&mut from);
        let mut to = Map::new();
        for (key, member) in &from {
            let value = match (&**key, member) {
                (key, _) if !KNOWN.contains(&key) => continue,
                ("type", Value::String(kind)) => kind.to_ascii_uppercase().into(),
                ("type", Value::Array(kinds)) => {
                    types(kinds, &mut to);
                    continue;
                }
                ("properties", Value::Object(schemas)) => {
                    let mut all = Map::new();
                    for (name, schema) in schemas {
                        all.insert(name.clone(), self.schema(schema, depth)?);
                    }
                    all.into()
                }
                ("items", schema) => self.schema(schema, depth)?,
                ("anyOf", Value::Array(schemas)) => {
                    let (null, others): (Vec<_>, Vec<_>) = schemas.iter().partition(|schema| schema["type"] == "null");
                    if !null.is_empty() {
                        to.insert("nullable".into(), true.into());
                    }
                    let all: Option<Vec<Value>> = others.iter().map(|schema| self.schema(schema, depth)).collect();
                    let mut all = all?;
                    match all.pop() {
                        // Of one kind only: that is the schema itself.
                        Some(Value::Object(only)) if all.is_empty() => {
                            for (key, value) in only {
                                to.entry(key).or_insert(value);
                            }
                            continue;
                        }
                        last => all.into_iter().chain(last).collect(),
                    }
                }
                // Texts only: other values are left to the description.
                ("enum", Value::Array(values)) => match values.iter().all(|value| value.is_string()) {
                    true => member.clone(),
                    false => {
                        let said = to.get("description").or(from.get("description")).and_then(Value::as_str);
                        let said = said.map_or(String::new(), |said| format!("{said} "));
                        to.insert("description".into(), format!("{said}(one of {member})").into());
                        continue;
                    }
                },
                ("description", said) => to.get("description").unwrap_or(said).clone(),
                ("format", Value::String(format)) if !is_format(format) => continue,
                _ => member.clone(),
            };
            to.insert(key.clone(), value);
        }
        if !to.contains_key("type") {
            if to.contains_key("properties") {
                to.insert("type".into(), "OBJECT".into());
            } else if to.contains_key("enum") {
                to.insert("type".into(), "STRING".into());
            }
        }
        Some(to.into())
    }
}

/// The formats that `Schema` knows.
fn is_format(format: &str) -> bool {
    matches!(format, "int32" | "int64" | "float" | "double" | "date-time" | "date" | "time" | "enum")
}

/// Several types: `null` makes it nullable, the others are kinds to choose from.
fn types(kinds: &[Value], to: &mut Map<String, Value>) {
    let named = |kind: &Value| kind.as_str().map(str::to_ascii_uppercase);
    let mut kinds: Vec<String> = kinds.iter().filter_map(named).collect();
    if kinds.iter().any(|kind| kind == "NULL") {
        kinds.retain(|kind| kind != "NULL");
        to.insert("nullable".into(), true.into());
    }
    match kinds.as_slice() {
        [] => {}
        [kind] => drop(to.insert("type".into(), kind.as_str().into())),
        kinds => drop(to.insert("anyOf".into(), kinds.iter().map(|kind| json!({"type": kind})).collect())),
    }
}

/// Adds a schema that must hold, too.
fn merge(into: &mut Map<String, Value>, part: &Value) {
    for (key, value) in part.as_object().into_iter().flatten() {
        match (into.get_mut(key), value) {
            (Some(Value::Object(known)), Value::Object(more)) => known.extend(more.clone()),
            (Some(Value::Array(known)), Value::Array(more)) => known.extend(more.iter().cloned()),
            (Some(_), _) => {}
            (None, value) => drop(into.insert(key.clone(), value.clone())),
        }
    }
}

#[cfg(test)]
#[path = "schema_tests.rs"]
mod tests;
