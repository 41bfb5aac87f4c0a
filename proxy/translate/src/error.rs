//! What goes wrong upstream: errors that a provider words itself, and answers that are broken.

use std::borrow::Cow;

use serde::Serialize;
use serde_json::Value;
use thiserror::Error;

use crate::mask::{self, Secrets};

/// Most bytes of a provider's error body that are read.
const MAX_BODY: usize = 64 * 1024;
/// Most characters of a provider's message that are passed on.
const MAX_MESSAGE: usize = 4096;
/// Most characters of a type, code or parameter name that are passed on.
const MAX_NAME: usize = 128;

/// A provider's error, in OpenAI's terms. Credentials are masked, sizes bounded.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct ProviderError {
    /// Text for people, at most 4096 characters; empty if the provider said nothing.
    pub message: String,
    /// Such as `invalid_request_error`.
    #[serde(rename = "type")]
    pub kind: Option<String>,
    /// The request parameter at fault.
    pub param: Option<String>,
    /// Such as `model_not_found`; numeric codes as digits.
    pub code: Option<String>,
}

impl ProviderError {
    /// Reads an error body of OpenAI's shape (`{"error":{…}}`), Databricks' (`{"error_code","message"}`), vLLM's
    /// (`{"object":"error",…}`), FastAPI's (`{"detail":…}`), or else as text, HTML included. Never fails.
    pub fn read(body: &[u8], secrets: &Secrets) -> Self {
        let text = |value: &Value| plain(value, secrets, MAX_MESSAGE);
        let Some(json) = parsed(body) else {
            return Self { message: words(body, secrets), ..Self::default() };
        };
        let fields = match json.get("error") {
            Some(error @ Value::Object(_)) => error,
            Some(Value::String(message)) if json.get("message").is_none() => {
                return Self { message: cap(&mask::clean(message, secrets), MAX_MESSAGE), ..Self::default() };
            }
            _ => &json,
        };
        let name = |key: &str| fields.get(key).and_then(|value| plain(value, secrets, MAX_NAME));
        let message = ["message", "detail", "msg", "error"].iter().find_map(|key| fields.get(key)).and_then(text);
        Self {
            message: message.or_else(|| text(&json)).unwrap_or_default(),
            kind: name("type"),
            param: name("param"),
            code: name("code").or_else(|| name("error_code")),
        }
    }

    /// The HTTP status that an error *inside a stream* stands for, by its code and type; 502 if they say nothing.
    pub fn implied_status(&self) -> u16 {
        let code = self.code.as_deref().unwrap_or_default();
        if let Some(status) = code.parse().ok().filter(|status| (400..600).contains(status)) {
            return status;
        }
        match (code, self.kind.as_deref().unwrap_or_default()) {
            ("rate_limit_exceeded" | "REQUEST_LIMIT_EXCEEDED" | "insufficient_quota", _) => 429,
            (_, "rate_limit_error" | "rate_limit_exceeded") => 429,
            ("invalid_api_key" | "PERMISSION_DENIED", _) | (_, "authentication_error" | "permission_error") => 403,
            ("BAD_REQUEST" | "INVALID_PARAMETER_VALUE", _) | (_, "invalid_request_error" | "BadRequestError") => 400,
            _ => 502,
        }
    }
}

/// A provider's error body to be quoted (contract §8.7): its JSON, or its text, cleaned and bounded as in
/// [`ProviderError`].
pub fn masked(body: &[u8], secrets: &Secrets) -> Value {
    match parsed(body) {
        Some(json) => cleaned(json, secrets),
        None => Value::from(words(body, secrets)),
    }
}

/// An answer that is not what the provider's schema says. To a client it is a 502.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum Broken {
    /// An event or answer is not a JSON object.
    #[error("the provider's answer is not a JSON object; check that its base URL is that of an OpenAI-compatible API")]
    NotJson,
    /// A whole answer has neither `choices` nor `data`, whichever its task needs.
    #[error("the provider's answer has no `{0}`; check that the endpoint's task fits the model")]
    Lacks(&'static str),
    /// The stream ended before `[DONE]`.
    #[error("the provider's stream ended early; the answer above is not complete")]
    Truncated,
    /// One event is larger than is held back.
    #[error("one event of the provider's stream is larger than 1 MiB")]
    TooLong,
}

/// Why there is no good answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Failure {
    /// The provider said so itself, though with status 200.
    Provider(ProviderError),
    /// The answer is broken.
    Broken(Broken),
}

impl Failure {
    /// The HTTP status it stands for.
    pub fn status(&self) -> u16 {
        match self {
            Self::Provider(error) => error.implied_status(),
            Self::Broken(_) => 502,
        }
    }
}

impl From<Broken> for Failure {
    fn from(broken: Broken) -> Self {
        Self::Broken(broken)
    }
}

fn parsed(body: &[u8]) -> Option<Value> {
    if body.len() <= MAX_BODY { serde_json::from_slice(body).ok() } else { None }
}

/// A body that is no JSON, as a short clean text.
fn words(body: &[u8], secrets: &Secrets) -> String {
    let text = String::from_utf8_lossy(body.get(..MAX_BODY).unwrap_or(body));
    cap(&mask::clean(&squeeze(&text), secrets), MAX_MESSAGE)
}

/// The value with every string in it clean.
fn cleaned(value: Value, secrets: &Secrets) -> Value {
    match value {
        Value::String(text) => Value::from(mask::clean(&text, secrets).into_owned()),
        Value::Array(values) => values.into_iter().map(|value| cleaned(value, secrets)).collect(),
        Value::Object(members) => members.into_iter().map(|(key, value)| (key, cleaned(value, secrets))).collect(),
        other => other,
    }
}

/// A JSON value as clean text; `None` for `null`.
fn plain(value: &Value, secrets: &Secrets, max: usize) -> Option<String> {
    let text = match value {
        Value::Null => return None,
        Value::String(text) => Cow::Borrowed(text.as_str()),
        other => Cow::Owned(other.to_string()),
    };
    Some(cap(&mask::clean(&text, secrets), max))
}

/// The first `max` characters.
fn cap(text: &str, max: usize) -> String {
    match text.char_indices().nth(max) {
        Some((at, _)) => format!("{}…", text.get(..at).unwrap_or_default()),
        None => text.to_owned(),
    }
}

/// Text without HTML tags and runs of whitespace.
fn squeeze(text: &str) -> String {
    let html = text.trim_start().starts_with('<');
    let mut tag = false;
    let bare = text.chars().map(|c| match c {
        '<' if html => {
            tag = true;
            ' '
        }
        '>' if html => {
            tag = false;
            ' '
        }
        _ if tag => ' ',
        c => c,
    });
    let bare: String = bare.collect();
    bare.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
#[path = "error_tests.rs"]
mod tests;
