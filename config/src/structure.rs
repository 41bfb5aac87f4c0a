//! A JSON value against the JSON Schema that schemars derives from a document type, with all problems collected.
//!
//! serde's derive stops at the first error and knows no places; this walk replaces it as the judge of shape, for YAML files and for REST
//! bodies alike. It knows the keywords that our own types produce, not all of JSON Schema. `null` counts as absent (contract §1).

mod left_out;
mod salvage;
mod words;

use std::collections::HashMap;

use regex::Regex;
use serde::de::DeserializeOwned;
use serde_json::{Map, Number, Value};

pub(crate) use self::left_out::LeftOut;
pub(crate) use self::salvage::salvage;
pub(crate) use self::words::closest;
use self::words::{expected, has_type, kind_of, list, quote_hint, span, type_names, unknown_key};
use crate::diagnostic::{Pointer, Problem};

/// The walk ends after about so many findings: a body of megabytes could be wrong everywhere.
const MAX_PROBLEMS: usize = 200;

/// What happens to keys that the schema does not know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UnknownKeys {
    /// An error with a suggestion: files.
    Refuse,
    /// Nothing: REST bodies.
    Ignore,
}

/// A schema made ready for checking.
pub struct Shape {
    schema: Value,
    patterns: HashMap<String, Regex>,
}

impl Shape {
    /// Prepares a schema made by [`crate::schema::of`].
    pub fn new(schema: Value) -> Self {
        let mut patterns = HashMap::new();
        collect_patterns(&schema, &mut patterns);
        Self { schema, patterns }
    }

    /// The schema itself.
    pub fn schema(&self) -> &Value {
        &self.schema
    }

    /// Every structural problem of a value. Never quotes a value except where only fixed words are allowed.
    pub fn check(&self, value: &Value, unknown_keys: UnknownKeys) -> Vec<Problem> {
        let mut walk = Walk { shape: self, unknown_keys, problems: Vec::new() };
        walk.value(&self.schema, value, &Pointer::root());
        walk.problems
    }

    /// Checks a value and reads it into its type. Unknown keys and the like leave a readable value, whose other errors are wanted too, so
    /// there may be problems beside a value; without problems there is one.
    pub fn read<T: DeserializeOwned>(&self, value: Value, unknown_keys: UnknownKeys) -> (Option<T>, Vec<Problem>) {
        let mut problems = self.check(&value, unknown_keys);
        let typed = serde_json::from_value(without_nulls(value));
        if typed.is_err() && problems.is_empty() {
            // serde's own words could quote a secret.
            let message =
                "the schema accepts this document and its type does not: a fault of weirgate, please report it";
            problems.push(Problem::error(Pointer::root(), message));
        }
        (typed.ok(), problems)
    }

    /// Follows `$ref`s; each leads into `$defs`, and a chain longer than their number would be a loop.
    fn resolve<'s>(&'s self, mut schema: &'s Value) -> &'s Value {
        for _ in 0..16 {
            let target = schema.get("$ref").and_then(Value::as_str).and_then(|r| r.strip_prefix('#'));
            match target.and_then(|pointer| self.schema.pointer(pointer)) {
                Some(next) => schema = next,
                None => break,
            }
        }
        schema
    }
}

/// `null` counts as absent (contract §1), also where the type has no option.
fn without_nulls(value: Value) -> Value {
    match value {
        Value::Object(map) => {
            Value::Object(map.into_iter().filter(|(_, v)| !v.is_null()).map(|(k, v)| (k, without_nulls(v))).collect())
        }
        Value::Array(items) => Value::Array(items.into_iter().map(without_nulls).collect()),
        other => other,
    }
}

fn collect_patterns(schema: &Value, patterns: &mut HashMap<String, Regex>) {
    match schema {
        Value::Object(map) => {
            if let Some(Value::String(pattern)) = map.get("pattern")
                && let Ok(regex) = Regex::new(pattern)
            {
                patterns.insert(pattern.clone(), regex);
            }
            map.values().for_each(|value| collect_patterns(value, patterns));
        }
        Value::Array(items) => items.iter().for_each(|value| collect_patterns(value, patterns)),
        _ => {}
    }
}

struct Walk<'s> {
    shape: &'s Shape,
    unknown_keys: UnknownKeys,
    problems: Vec<Problem>,
}

impl<'s> Walk<'s> {
    fn error(&mut self, at: &Pointer, message: String) {
        self.problems.push(Problem::error(at.clone(), message));
    }

    fn value(&mut self, schema: &'s Value, value: &Value, at: &Pointer) {
        if self.problems.len() >= MAX_PROBLEMS {
            return;
        }
        let schema = self.not_null(self.shape.resolve(schema));
        if let Some(words) = self.fixed_words(schema) {
            return self.word(schema, &words, value, at);
        }
        if let Some(branches) = schema.get("anyOf").or_else(|| schema.get("oneOf")).and_then(Value::as_array) {
            return self.one_of(branches, value, at);
        }
        let types = type_names(schema);
        if !types.is_empty() && !types.iter().any(|name| has_type(value, name)) {
            let message = format!(
                "expected {}, found {}{}",
                expected(schema, &types),
                kind_of(value),
                quote_hint(schema, &types, value)
            );
            return self.error(at, message);
        }
        match value {
            Value::Object(map) => self.object(schema, map, at),
            Value::Array(items) => self.array(schema, items, at),
            Value::String(text) => self.text(schema, text, at),
            Value::Number(number) => self.number(schema, number, at),
            Value::Null | Value::Bool(_) => {}
        }
    }

    fn object(&mut self, schema: &'s Value, map: &Map<String, Value>, at: &Pointer) {
        let known = schema.get("properties").and_then(Value::as_object);
        let others = schema.get("additionalProperties");
        self.length(schema, ["minProperties", "maxProperties"], map.len(), "entries", at);
        let longest = schema.pointer("/propertyNames/maxLength").and_then(Value::as_u64);
        for (key, value) in map {
            match known.and_then(|properties| properties.get(key)) {
                Some(_) if value.is_null() => {}
                Some(property) => self.value(property, value, &at.key(key)),
                None if others == Some(&Value::Bool(false)) => {
                    if self.unknown_keys == UnknownKeys::Refuse {
                        let message = unknown_key(schema, key, known);
                        self.problems.push(Problem::error(at.key(key), message).on_key());
                    }
                }
                None => {
                    if longest.is_some_and(|longest| key.chars().count() as u64 > longest) {
                        let span = span(None, longest.map(|longest| longest as f64), "characters");
                        self.error(
                            at,
                            format!("a name in it has {} characters; allowed is {span}", key.chars().count()),
                        );
                        continue;
                    }
                    if let Some(other) = others {
                        self.value(other, value, &at.key(key));
                    }
                }
            }
        }
        for key in schema.get("required").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str) {
            if map.get(key).is_none_or(Value::is_null) {
                let property =
                    known.and_then(|properties| properties.get(key)).map(|p| self.not_null(self.shape.resolve(p)));
                let form = property.map_or_else(String::new, |p| {
                    let words = self.fixed_words(p).map(|words| format!("one of {}", list(&words)));
                    format!("; expected {}", words.unwrap_or_else(|| expected(p, &type_names(p))))
                });
                self.error(at, format!("`{key}` is missing{form}"));
            }
        }
    }

    fn array(&mut self, schema: &'s Value, items: &[Value], at: &Pointer) {
        self.length(schema, ["minItems", "maxItems"], items.len(), "entries", at);
        if let Some(item_schema) = schema.get("items") {
            for (index, item) in items.iter().enumerate() {
                self.value(item_schema, item, &at.index(index));
            }
        }
    }

    fn text(&mut self, schema: &'s Value, text: &str, at: &Pointer) {
        self.length(schema, ["minLength", "maxLength"], text.chars().count(), "characters", at);
        let pattern = schema.get("pattern").and_then(Value::as_str).and_then(|p| self.shape.patterns.get(p));
        if pattern.is_some_and(|regex| !regex.is_match(text)) {
            self.error(at, format!("expected {}", expected(schema, &type_names(schema))));
        }
    }

    fn number(&mut self, schema: &'s Value, number: &Number, at: &Pointer) {
        let bound = |name: &str| schema.get(name).and_then(Value::as_f64);
        // schemars gives Rust's width as a format, and bounds for small types only.
        let (width, fits) = match schema.get("format").and_then(Value::as_str) {
            Some("uint32") => ((Some(0.0), Some(f64::from(u32::MAX))), true),
            Some("int32") => ((Some(f64::from(i32::MIN)), Some(f64::from(i32::MAX))), true),
            Some("int64") => ((Some(i64::MIN as f64), Some(i64::MAX as f64)), number.is_i64()),
            _ => ((None, None), true),
        };
        let (low, high) = (bound("minimum").or(width.0), bound("maximum").or(width.1));
        let value = number.as_f64().unwrap_or(f64::NAN);
        if !fits || low.is_some_and(|low| value < low) || high.is_some_and(|high| value > high) {
            self.error(at, format!("out of range; allowed is {}", span(low, high, "")));
        }
    }

    fn length(&mut self, schema: &Value, names: [&str; 2], length: usize, unit: &str, at: &Pointer) {
        let [low, high] = names.map(|name| schema.get(name).and_then(Value::as_f64));
        if low.is_some_and(|low| (length as f64) < low) || high.is_some_and(|high| length as f64 > high) {
            self.error(at, format!("has {length} {unit}; allowed is {}", span(low, high, unit)));
        }
    }

    /// An optional type is `anyOf: [T, null]`; the `T` of it.
    fn not_null(&self, schema: &'s Value) -> &'s Value {
        match schema.get("anyOf").and_then(Value::as_array).map(Vec::as_slice) {
            Some([branch, null]) if type_names(null) == ["null"] => self.shape.resolve(branch),
            _ => schema,
        }
    }

    /// Of alternatives the one that fits, else the one of the same JSON type, is reported.
    fn one_of(&mut self, branches: &'s [Value], value: &Value, at: &Pointer) {
        let branches: Vec<&Value> = branches.iter().map(|b| self.shape.resolve(b)).collect();
        let mut closest: Option<Vec<Problem>> = None;
        for branch in &branches {
            let mut attempt = Walk { shape: self.shape, unknown_keys: self.unknown_keys, problems: Vec::new() };
            attempt.value(branch, value, at);
            if attempt.problems.is_empty() {
                return;
            }
            if type_names(branch).iter().any(|name| has_type(value, name)) {
                closest.get_or_insert(attempt.problems);
            }
        }
        match closest {
            Some(problems) => self.problems.extend(problems),
            None => {
                let forms: Vec<String> = branches.iter().map(|b| expected(b, &type_names(b))).collect();
                self.error(at, format!("expected {}, found {}", forms.join(" or "), kind_of(value)));
            }
        }
    }

    /// The allowed words of an enum: `enum`, `const`, or `oneOf` of such.
    fn fixed_words(&self, schema: &'s Value) -> Option<Vec<&'s str>> {
        if let Some(word) = schema.get("const") {
            return word.as_str().map(|word| vec![word]);
        }
        if let Some(words) = schema.get("enum").and_then(Value::as_array) {
            return Some(words.iter().filter_map(Value::as_str).collect());
        }
        let branches = schema.get("oneOf").or_else(|| schema.get("anyOf")).and_then(Value::as_array)?;
        let mut words = Vec::new();
        for branch in branches.iter().map(|b| self.shape.resolve(b)) {
            words.extend(self.fixed_words(branch)?);
        }
        Some(words)
    }

    fn word(&mut self, schema: &Value, words: &[&str], value: &Value, at: &Pointer) {
        let Some(text) = value.as_str() else {
            return self.error(at, format!("expected one of {}, found {}", list(words), kind_of(value)));
        };
        let any_case = schema.get("x-any-case") == Some(&Value::Bool(true));
        if words.iter().any(|word| *word == text || any_case && word.eq_ignore_ascii_case(text)) {
            return;
        }
        // Long text is no misspelt word; it may be something pasted by mistake.
        let quoted = if text.len() <= 40 { format!("`{}`", text.escape_debug()) } else { "this text".to_owned() };
        let hint = closest(text, words).map_or_else(String::new, |word| format!("did you mean `{word}`? "));
        self.error(at, format!("{quoted} is not allowed here; {hint}allowed: {}", list(words)));
    }
}

#[cfg(test)]
#[path = "structure_tests.rs"]
pub(crate) mod tests;
