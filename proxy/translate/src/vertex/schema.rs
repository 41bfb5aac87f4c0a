//! JSON schemas as Gemini takes them.
//!
//! Sources: Vertex AI REST reference, `GenerationConfig.responseJsonSchema` (a subset of JSON Schema) for the models
//! since 2.5, and the type `Schema` (a subset of OpenAPI 3.0) for those before.

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde_json::value::{RawValue, to_raw_value};
use serde_json::{Map, Value, json};

use crate::params::wrong;
use crate::peek::PeekError;
use crate::wire::Raw;

/// Keywords that are refused, or say nothing to a model.
const NOT_TAKEN: [&str; 6] = ["$schema", "$comment", "examples", "discriminator", "readOnly", "writeOnly"];

/// Limits that are refused; a model can read them in the description.
const LIMITS: [&str; 3] = ["exclusiveMinimum", "exclusiveMaximum", "multipleOf"];

/// Members of `Schema` that are taken over as they are.
const KNOWN: [&str; 14] = [
    "format",
    "title",
    "description",
    "nullable",
    "default",
    "minItems",
    "maxItems",
    "minimum",
    "maximum",
    "minLength",
    "maxLength",
    "pattern",
    "example",
    "propertyOrdering",
];

/// Most schemas that one may become with its references followed.
const MOST_SCHEMAS: usize = 2000;
/// Most schemas inside one another.
const DEEPEST: usize = 100;
/// How often a schema may be inside itself.
const MOST_TIMES: usize = 2;

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
    if !moved.is_empty() {
        describe(members, &moved);
    }
    !moved.is_empty()
}

/// Adds notes to the description.
fn describe(members: &mut Map<String, Value>, notes: &[String]) {
    let notes = format!("({})", notes.join(", "));
    let said = members.get("description").and_then(Value::as_str);
    let description = said.map_or(notes.clone(), |said| format!("{said} {notes}"));
    members.insert("description".into(), description.into());
}

fn translated(schema: Raw<'_>, place: &str) -> Result<Value, PeekError> {
    let root = read(schema, place)?;
    let mut translation = Translation { root: &root, left: MOST_SCHEMAS, depth: 0, following: Vec::new() };
    let too_large = || wrong(place.to_owned(), "is too large for this model once its references are followed");
    translation.schema(&root).ok_or_else(too_large)
}

/// A JSON schema on its way to be a `Schema`, which has no references.
struct Translation<'s> {
    root: &'s Value,
    /// How many more schemas it may become.
    left: usize,
    /// Schemas around this one.
    depth: usize,
    /// The references that led here.
    following: Vec<&'s str>,
}

/// What a schema says, together with those that must hold, too.
#[derive(Default)]
struct Gathered<'s> {
    /// Of each member the first.
    members: BTreeMap<&'s str, &'s Value>,
    properties: BTreeMap<&'s str, &'s Value>,
    required: Vec<&'s Value>,
}

impl<'s> Translation<'s> {
    /// Translates one schema; `None` if all together are too many, or too deep.
    fn schema(&mut self, schema: &'s Value) -> Option<Value> {
        self.left = self.left.checked_sub(1)?;
        if self.depth == DEEPEST {
            return None;
        }
        self.depth += 1;
        let written = match schema.get("$ref").and_then(Value::as_str) {
            Some(reference) => self.reference(reference, schema.get("description")),
            None => {
                let gathered = self.gather(schema)?;
                self.written(gathered)
            }
        };
        self.depth -= 1;
        written
    }

    fn found(&self, reference: &str) -> Option<&'s Value> {
        self.root.pointer(reference.strip_prefix('#')?)
    }

    fn reference(&mut self, reference: &'s str, description: Option<&Value>) -> Option<Value> {
        let times = self.following.iter().filter(|known| **known == reference).count();
        let found = self.found(reference).filter(|_| times < MOST_TIMES);
        // Of a schema inside itself: deeper down any object will do.
        let Some(found) = found else { return Some(json!({"type": "OBJECT"})) };
        self.following.push(reference);
        let mut value = self.schema(found)?;
        self.following.pop();
        if let Some(said) = description {
            value["description"] = said.clone();
        }
        Some(value)
    }

    /// Puts together what a schema says with what its `allOf` does.
    fn gather(&mut self, schema: &'s Value) -> Option<Gathered<'s>> {
        let mut gathered = Gathered::default();
        let mut open = vec![schema];
        while let Some(schema) = open.pop() {
            self.left = self.left.checked_sub(1)?;
            for (key, value) in schema.as_object().into_iter().flatten() {
                match (&**key, value) {
                    ("allOf", Value::Array(all)) => open.extend(all.iter().rev()),
                    ("$ref", Value::String(reference)) => open.extend(self.found(reference)),
                    ("properties", Value::Object(all)) => {
                        gathered.properties.extend(all.iter().map(|(name, schema)| (&**name, schema)));
                    }
                    ("required", Value::Array(names)) => gathered.required.extend(names),
                    (key, value) => drop(gathered.members.entry(key).or_insert(value)),
                }
            }
        }
        Some(gathered)
    }

    fn written(&mut self, from: Gathered<'s>) -> Option<Value> {
        let mut to = Map::new();
        let mut notes = Vec::new();
        for (key, member) in from.members {
            match (key, member) {
                ("type", Value::String(kind)) => drop(to.insert(key.into(), kind.to_ascii_uppercase().into())),
                ("type", Value::Array(kinds)) => types(kinds, &mut to),
                ("items", schema) => drop(to.insert(key.into(), self.schema(schema)?)),
                ("anyOf" | "oneOf", Value::Array(schemas)) => self.either(schemas, &mut to)?,
                ("enum", Value::Array(values)) if values.iter().all(Value::is_string) => {
                    to.insert(key.into(), member.clone());
                }
                ("const", Value::String(only)) => drop(to.insert("enum".into(), json!([only]))),
                // The API has these for texts only.
                ("enum" | "const", _) => notes.push(format!("{key}: {member}")),
                ("format", Value::String(format)) if !is_format(format) => notes.push(format!("format: {format}")),
                (key, _) if LIMITS.contains(&key) => notes.push(format!("{key}: {member}")),
                (key, _) if KNOWN.contains(&key) => drop(to.entry(key).or_insert_with(|| member.clone())),
                _ => {}
            }
        }
        // The API refuses names of members that are not there.
        let is_there = |name: &&Value| name.as_str().is_some_and(|name| from.properties.contains_key(name));
        let required: Vec<Value> = from.required.into_iter().filter(is_there).cloned().collect();
        if !required.is_empty() {
            to.insert("required".into(), required.into());
        }
        if !from.properties.is_empty() {
            let mut properties = Map::new();
            for (name, schema) in from.properties {
                properties.insert(name.to_owned(), self.schema(schema)?);
            }
            to.insert("properties".into(), properties.into());
            to.entry("type").or_insert("OBJECT".into());
        }
        if to.contains_key("enum") {
            to.entry("type").or_insert("STRING".into());
        }
        if !notes.is_empty() {
            describe(&mut to, &notes);
        }
        Some(to.into())
    }

    /// Schemas to choose from; of one kind only that is the schema itself, and `null` makes it nullable.
    fn either(&mut self, schemas: &'s [Value], to: &mut Map<String, Value>) -> Option<()> {
        let (null, others): (Vec<_>, Vec<_>) = schemas.iter().partition(|schema| schema["type"] == "null");
        if !null.is_empty() {
            to.insert("nullable".into(), true.into());
        }
        let all: Option<Vec<Value>> = others.into_iter().map(|schema| self.schema(schema)).collect();
        match all?.as_mut_slice() {
            [Value::Object(only)] => to.extend(std::mem::take(only)),
            [] => {}
            all => drop(to.insert("anyOf".into(), all.iter_mut().map(Value::take).collect())),
        }
        Some(())
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

#[cfg(test)]
#[path = "schema_tests.rs"]
mod tests;
