//! One look at a request: is it valid, and what does the gateway itself need of it?

use std::borrow::Cow;
use std::collections::HashSet;
use std::fmt;
use std::ops::Range;

use bytes::Bytes;
use serde_json::value::RawValue;
use thiserror::Error;

use crate::Task;
use crate::json::{self, Fault};
use crate::params::{self, Params};
use crate::splice::{self, ObjectEdits};

/// Why a request was refused. Every kind is a 400, and the message says what to change.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum PeekError {
    /// The body is not UTF-8.
    #[error("the request body is not valid UTF-8 (byte {at}); send JSON in UTF-8")]
    Utf8 {
        /// Offset of the first bad byte.
        at: usize,
    },
    /// The body is not JSON.
    #[error("the request body is not valid JSON (line {line}, column {column}); send one JSON object")]
    Json {
        /// Line of the mistake, from 1.
        line: usize,
        /// Column of the mistake, from 1.
        column: usize,
    },
    /// The body is JSON, but no object.
    #[error("the request body must be a JSON object")]
    NotAnObject,
    /// A field is missing, of the wrong type, out of range, or not taken here.
    #[error("`{param}` {problem}")]
    Field {
        /// The field's name.
        param: Cow<'static, str>,
        /// What is wrong with it, as the rest of a sentence.
        problem: Cow<'static, str>,
    },
}

impl PeekError {
    /// The field at fault, for `param` of an OpenAI error body.
    pub fn param(&self) -> Option<&str> {
        match self {
            Self::Field { param, .. } => Some(param),
            _ => None,
        }
    }
}

/// The outgoing `model` member.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Model<'m> {
    /// This name takes the place of the client's, or is added.
    Name(&'m str),
    /// The provider wants none: the client's is removed.
    Remove,
}

/// A valid request, still in the client's bytes.
pub struct Ask<'a> {
    /// `model` as the client gave it; absent and `null` are the same.
    pub model: Option<Cow<'a, str>>,
    /// Whether a stream was asked for.
    pub stream: bool,
    /// Whether usage was asked for in the stream (`stream_options.include_usage`).
    pub include_usage: bool,
    /// `max_completion_tokens`, or else `max_tokens`.
    pub max_tokens: Option<u64>,
    /// Answers asked for, 1 if not given.
    pub n: u64,
    /// Messages of a chat, else 0.
    pub messages: usize,
    /// Characters of text in the prompt; a token id counts as four. For estimates (contract §5.3).
    pub prompt_chars: u64,
    /// `client_request_id`, for the records only; never sent upstream.
    pub client_request_id: Option<Cow<'a, str>>,
    /// `usage_context` as JSON text (an object of strings), for the records only; never sent upstream.
    pub usage_context: Option<&'a str>,
    task: Task,
    body: &'a str,
    members: usize,
    /// Spans of the member `model` and of its value.
    model_at: Option<(Range<usize>, Range<usize>)>,
    /// Spans of the members that are never sent upstream, in order.
    private: Vec<Range<usize>>,
    /// `extra_params` as members ready to be added: key and JSON text.
    extra: Vec<(String, String)>,
}

impl<'a> Ask<'a> {
    /// Reads and validates a request body in one pass, contract §8.1 to §8.4.
    ///
    /// # Errors
    /// [`PeekError`] for a body that is no JSON object, a field given twice among those that the gateway reads, a
    /// field of the wrong type or out of its range, a missing `messages`, `prompt` or `input`, fields of custom
    /// models, and `stream: true` for embeddings.
    pub fn peek(body: &'a [u8], task: Task) -> Result<Self, PeekError> {
        let body = std::str::from_utf8(body).map_err(|error| PeekError::Utf8 { at: error.valid_up_to() })?;
        let mut ask = Self {
            model: None,
            stream: false,
            include_usage: false,
            max_tokens: None,
            n: 1,
            messages: 0,
            prompt_chars: 0,
            client_request_id: None,
            usage_context: None,
            task,
            body,
            members: 0,
            model_at: None,
            private: Vec::new(),
            extra: Vec::new(),
        };
        let mut params = Params::new(task);
        let mut extra_params = None;
        let walk = json::members(body, |member| {
            params.once(&member.key)?;
            match &*member.key {
                "model" => {
                    ask.model = text_or_null("model", member.value)?;
                    ask.model_at = Some((member.span.clone(), member.value_span()));
                }
                params::CLIENT_REQUEST_ID => {
                    ask.client_request_id = text_or_null(params::CLIENT_REQUEST_ID, member.value)?;
                    ask.private.push(member.span);
                }
                params::USAGE_CONTEXT => {
                    ask.usage_context =
                        strings(params::USAGE_CONTEXT, member.value, |_, _| Ok(()))?.then_some(member.value);
                    ask.private.push(member.span);
                }
                params::EXTRA_PARAMS => {
                    extra_params = Some(member.value);
                    ask.private.push(member.span);
                }
                _ => params.read(&member.key, member.value)?,
            }
            Ok(())
        });
        ask.members = walk.map_err(PeekError::from)?;
        if let Some(extra_params) = extra_params {
            ask.extra = merge(body, extra_params, &mut params)?;
        }
        params.check()?;
        ask.stream = params.stream;
        ask.include_usage = params.include_usage;
        ask.max_tokens = params.max_completion_tokens.or(params.max_tokens);
        ask.n = params.n.unwrap_or(1);
        ask.messages = params.messages;
        ask.prompt_chars = params.prompt_chars;
        Ok(ask)
    }

    /// The body with `extra_params` merged in, still in the client's schema.
    pub(crate) fn text(&self) -> Cow<'_, str> {
        if self.extra.is_empty() {
            return Cow::Borrowed(self.body);
        }
        let merged = self.outgoing(Model::Remove);
        Cow::Owned(String::from_utf8_lossy(&merged).into_owned())
    }

    /// The task it was read for.
    pub fn task(&self) -> Task {
        self.task
    }

    /// The body for a provider of the same schema, in one allocation: `model` set or removed, the gateway's own
    /// fields removed, `extra_params` merged in; all other bytes as the client sent them.
    pub fn outgoing(&self, model: Model<'_>) -> Bytes {
        let open = self.body.find('{').unwrap_or_default();
        let mut edits = ObjectEdits::new(open, self.members);
        match (model, &self.model_at) {
            (Model::Name(name), Some((_, value))) => edits.replace(value.clone(), json::quote(name)),
            (Model::Name(name), None) => edits.insert("model", &json::quote(name)),
            (Model::Remove, Some((member, _))) => edits.remove(member.clone()),
            (Model::Remove, None) => {}
        }
        self.private.iter().for_each(|span| edits.remove(span.clone()));
        self.extra.iter().for_each(|(key, value)| edits.insert(key, value));
        Bytes::from(splice::apply(self.body, edits.into_edits(self.body)))
    }
}

/// Without what people wrote.
impl fmt::Debug for Ask<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut debug = f.debug_struct("Ask");
        debug.field("task", &self.task).field("model", &self.model).field("stream", &self.stream);
        debug.finish_non_exhaustive()
    }
}

impl From<Fault<PeekError>> for PeekError {
    fn from(fault: Fault<Self>) -> Self {
        match fault {
            Fault::Json(error) => Self::Json { line: error.line(), column: error.column() },
            Fault::Kind => Self::NotAnObject,
            Fault::Stopped(error) => error,
        }
    }
}

/// A string field, `null` being the same as absent.
fn text_or_null<'a>(param: &'static str, value: &'a str) -> Result<Option<Cow<'a, str>>, PeekError> {
    if value == "null" {
        return Ok(None);
    }
    json::string(value).map(Some).ok_or(params::wrong(param, "must be a string"))
}

/// Calls `each` for the members of an object of strings; false if it is `null`.
fn strings<'a>(
    param: &'static str,
    value: &'a str,
    mut each: impl FnMut(Cow<'a, str>, Cow<'a, str>) -> Result<(), PeekError>,
) -> Result<bool, PeekError> {
    if value == "null" {
        return Ok(false);
    }
    let rule = || params::wrong(param, "must be an object whose values are strings");
    let walk = json::members(value, |member| {
        let text = json::string(member.value).ok_or_else(rule)?;
        each(member.key, text)
    });
    match walk {
        Ok(_) => Ok(true),
        Err(Fault::Stopped(error)) => Err(error),
        Err(_) => Err(rule()),
    }
}

/// The members that `extra_params` adds, validated like those of the body. Explicit fields of the body win, and what
/// is the gateway's to say (`model`) or to keep for itself is left out.
fn merge(body: &str, extra_params: &str, params: &mut Params) -> Result<Vec<(String, String)>, PeekError> {
    const NEVER: [&str; 4] = ["model", params::CLIENT_REQUEST_ID, params::USAGE_CONTEXT, params::EXTRA_PARAMS];
    let mut explicit = HashSet::new();
    json::members(body, |member| {
        explicit.insert(member.key);
        Ok::<_, PeekError>(())
    })?;
    let mut extra: Vec<(String, String)> = Vec::new();
    strings(params::EXTRA_PARAMS, extra_params, |key, value| {
        if explicit.contains(&key) || NEVER.contains(&&*key) {
            return Ok(());
        }
        explicit.insert(Cow::Owned(key.clone().into_owned()));
        let value = sent_as(&value);
        params.once(&key)?;
        params.read(&key, &value)?;
        extra.push((key.into_owned(), value));
        Ok(())
    })?;
    Ok(extra)
}

/// A value of `extra_params` as JSON: numbers, booleans, arrays and objects as such, all else as a string.
fn sent_as(value: &str) -> String {
    match serde_json::from_str::<&RawValue>(value) {
        Ok(json) if !json.get().starts_with(['"', 'n']) => json.get().to_owned(),
        _ => json::quote(value),
    }
}

#[cfg(test)]
#[path = "peek_tests.rs"]
mod tests;
