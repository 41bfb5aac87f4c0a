//! How the findings of the structural check are put into words.

use serde_json::{Map, Value};

pub(super) fn unknown_key(schema: &Value, key: &str, known: Option<&Map<String, Value>>) -> String {
    let planned = schema.get("x-planned").and_then(Value::as_array).into_iter().flatten();
    if planned.filter_map(Value::as_str).any(|word| word == key) {
        return format!("`{key}` does not work yet; remove it");
    }
    let known: Vec<&str> = known.map_or_else(Vec::new, |properties| properties.keys().map(String::as_str).collect());
    let shown: String = key.escape_debug().take(64).collect();
    if known.is_empty() {
        return format!("unknown key `{shown}`; no keys are allowed here");
    }
    let hint = closest(key, &known).map_or_else(String::new, |word| format!("did you mean `{word}`? "));
    format!("unknown key `{shown}`; {hint}allowed: {}", known.join(", "))
}

/// The allowed word that a typo most likely meant.
pub(crate) fn closest<'w>(word: &str, allowed: &[&'w str]) -> Option<&'w str> {
    let lower = word.to_lowercase();
    let distance = |candidate: &str| strsim::damerau_levenshtein(&lower, &candidate.to_lowercase());
    // Longer input cannot be a typo, and the distance is quadratic.
    if word.len() > 80 {
        return None;
    }
    let best = allowed.iter().min_by_key(|candidate| distance(candidate))?;
    let longest = best.chars().count().max(lower.chars().count());
    (distance(best) * 3 <= longest).then_some(*best)
}

pub(super) fn type_names(schema: &Value) -> Vec<&str> {
    match schema.get("type") {
        Some(Value::String(name)) => vec![name],
        Some(Value::Array(names)) => {
            let names: Vec<&str> = names.iter().filter_map(Value::as_str).collect();
            // Null was dealt with as absence.
            if names == ["null"] { names } else { names.into_iter().filter(|name| *name != "null").collect() }
        }
        _ => Vec::new(),
    }
}

pub(super) fn has_type(value: &Value, name: &str) -> bool {
    match name {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "boolean" => value.is_boolean(),
        "integer" => value.is_u64() || value.is_i64(),
        "number" => value.is_number(),
        "null" => value.is_null(),
        _ => false,
    }
}

pub(super) fn expected(schema: &Value, types: &[&str]) -> String {
    if let Some(text) = schema.get("x-expected").and_then(Value::as_str) {
        return text.to_owned();
    }
    let words: Vec<&str> = types
        .iter()
        .map(|name| match *name {
            "object" => "a mapping",
            "array" => "a list",
            "string" => "text",
            "boolean" => "true or false",
            "integer" => "a whole number",
            "number" => "a number",
            other => other,
        })
        .collect();
    if words.is_empty() { "another value".to_owned() } else { words.join(" or ") }
}

pub(super) fn kind_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "nothing",
        Value::Bool(_) => "true or false",
        Value::Number(number) if number.is_f64() => "a fraction or too large a number",
        Value::Number(_) => "a number",
        Value::String(_) => "text",
        Value::Array(_) => "a list",
        Value::Object(_) => "a mapping",
    }
}

/// Free text that looks like a number or a truth value.
pub(super) fn quote_hint(schema: &Value, types: &[&str], value: &Value) -> &'static str {
    let scalar = value.is_number() || value.is_boolean();
    if scalar && types == ["string"] && schema.get("pattern").is_none() { "; put it in quotes" } else { "" }
}

pub(super) fn span(low: Option<f64>, high: Option<f64>, unit: &str) -> String {
    let text = match (low, high) {
        (Some(low), Some(high)) => format!("{low} to {high}"),
        (Some(low), None) => format!("at least {low}"),
        (None, Some(high)) => format!("at most {high}"),
        (None, None) => String::new(),
    };
    if unit.is_empty() { text } else { format!("{text} {unit}") }
}

pub(super) fn list(words: &[&str]) -> String {
    words.join(", ")
}
