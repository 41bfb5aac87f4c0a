//! What all answers have in common: errors, how they end, what they used, citations.

use serde::Deserialize;
use serde_json::{Value, json};

use crate::error::{Broken, Failure, ProviderError};
use crate::mask::Secrets;
use crate::pair::Reply;
use crate::write::Finish;
use crate::{Count, Usage};

/// The list of citations under the provider's name.
pub(super) const CITATIONS: &str = "citations";

/// `{"id","message"}`, or what a proxy before the API says.
pub(super) fn error(reply: &Reply<'_>, secrets: &Secrets) -> ProviderError {
    #[derive(Deserialize)]
    struct Id {
        id: String,
    }
    let mut error = ProviderError::read(reply.body, secrets);
    if error.request_id.is_none() {
        let id = reply.json::<Id>().map(|id| id.id).ok().filter(|id| !id.is_empty() && id.len() <= 128);
        let id = id.or_else(|| (reply.header)("x-debug-trace-id").map(str::to_owned));
        error.request_id = id.map(String::into_boxed_str);
    }
    error
}

/// What an answer or an event without its member `lacks` is: an error under a good status, or nothing known.
pub(super) fn failure(body: &[u8], lacks: &'static str, secrets: &Secrets) -> Failure {
    #[derive(Deserialize)]
    struct Said {
        #[serde(rename = "message")]
        _message: String,
    }
    match serde_json::from_slice::<Said>(body) {
        Ok(_) => Failure::Provider(error(&Reply { status: 200, header: &|_| None, body }, secrets)),
        Err(_) => Broken::Lacks(lacks).into(),
    }
}

/// How an answer ended.
#[derive(Clone, Copy, Default)]
pub(super) struct End<'e> {
    pub reason: Option<&'e str>,
    /// What went wrong, if something did.
    pub error: Option<&'e str>,
    pub error_type: Option<&'e str>,
}

impl End<'_> {
    /// `finish_reason` in OpenAI's words.
    ///
    /// # Errors
    /// [`Failure::Provider`] if the answer failed: the API says that with status 200.
    pub fn finish(&self, has_calls: bool, secrets: &Secrets) -> Result<Finish, Failure> {
        let (status, what) = match self.reason {
            Some("MAX_TOKENS" | "ERROR_LIMIT") => return Ok(Finish::Length),
            Some("ERROR_TOXIC") => return Ok(Finish::ContentFilter),
            Some("ERROR") => (502, "the model failed to finish its answer"),
            Some("TIMEOUT") => (504, "the model did not finish its answer in time"),
            Some("USER_CANCEL") => (502, "the answer was cancelled"),
            _ if has_calls => return Ok(Finish::ToolCalls),
            _ => return Ok(Finish::Stop),
        };
        let message = self.error.filter(|message| !message.is_empty()).unwrap_or(what);
        let body = json!({"error": {"message": message, "type": self.error_type.or(self.reason)}}).to_string();
        let mut error = ProviderError::read(body.as_bytes(), secrets);
        error.status = Some(status);
        Err(Failure::Provider(error))
    }
}

/// What was used: `usage` of v2, `meta` of v1.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
pub(super) struct Metered {
    tokens: Option<Units>,
    billed_units: Option<Units>,
    cached_tokens: Option<Count>,
}

#[derive(Clone, Copy, Debug, Default, Deserialize)]
struct Units {
    input_tokens: Option<Count>,
    output_tokens: Option<Count>,
    /// Not among `input_tokens`.
    image_tokens: Option<Count>,
}

impl Metered {
    /// `tokens` is what the model saw; `billed_units` leaves out what the provider itself adds to the prompt.
    pub fn usage(&self) -> Option<Usage> {
        let says = |units: &Units| units.input_tokens.or(units.output_tokens).is_some();
        let units = self.tokens.filter(says).or(self.billed_units.filter(says))?;
        let count = |count: Option<Count>| count.unwrap_or_default().0;
        let input = count(units.input_tokens).saturating_add(count(units.image_tokens));
        let cache_read = count(self.cached_tokens).min(input);
        Some(Usage {
            fresh_input: input - cache_read,
            cache_read,
            output: count(units.output_tokens),
            ..Usage::default()
        })
    }
}

/// A citation with its number: clients put the lists of a stream together by `index`.
pub(super) fn citation(index: usize, citation: Value) -> Value {
    let mut entry = json!({"index": index});
    match (&mut entry, citation) {
        (Value::Object(entry), Value::Object(members)) => entry.extend(members),
        (entry, other) => entry["citation"] = other,
    }
    entry
}
