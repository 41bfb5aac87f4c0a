//! What `generateContent` answers, whole or one event at a time.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::{failure, value};
use crate::Secrets;
use crate::error::{Broken, Failure};
use crate::wire::{Raw, Text, record};
use crate::write::Finish;
use crate::{Count, Usage};

record! {
    /// An answer, or a piece of one.
    Answer {
        "candidates" => candidates: Option<Vec<Candidate<'a>>>,
        "usageMetadata" => usage: Option<Tokens>,
        "modelVersion" => model: Option<Text<'a>>,
        "responseId" => id: Option<Text<'a>>,
        "promptFeedback" => feedback: Option<Raw<'a>>,
        "error" => error: Option<Raw<'a>>,
    }
}

record! {
    /// One of the answers.
    Candidate {
        "index" => index: Option<u64>,
        "content" => content: Option<Content<'a>>,
        "finishReason" => reason: Option<Reason<'a>>,
        "citationMetadata" => citations: Option<Citations>,
        "logprobsResult" => logprobs: Option<Logprobs<'a>>,
    }
}

#[derive(Clone, Default, Deserialize)]
pub(super) struct Content<'a> {
    /// Absent where all tokens went into thinking, and where something was withheld.
    #[serde(borrow, default)]
    pub parts: Vec<Part<'a>>,
}

record! {
    /// A part; what it holds besides text and calls (code, images, the provider's own tools) is in `rest`.
    Part {
        "text" => text: Option<Text<'a>>,
        "thought" => thought: Option<bool>,
        "thoughtSignature" => signature: Option<Text<'a>>,
        "functionCall" => call: Option<Call<'a>>,
    }
}

#[derive(Clone, Deserialize)]
pub(super) struct Call<'a> {
    #[serde(borrow)]
    pub id: Option<Text<'a>>,
    #[serde(borrow, default)]
    pub name: Text<'a>,
    #[serde(borrow)]
    pub args: Option<Raw<'a>>,
}

/// Named so on one version of the API, and otherwise on another.
#[derive(Clone, Deserialize)]
pub(super) struct Citations {
    #[serde(default, alias = "citationSources")]
    pub citations: Vec<Value>,
}

/// Why a candidate ended: a name, or its number where enums are asked for as such.
#[derive(Clone, Deserialize)]
#[serde(untagged)]
pub(super) enum Reason<'a> {
    Number(u64),
    #[serde(borrow)]
    Name(Cow<'a, str>),
}

impl Reason<'_> {
    /// Its name; `None` if it has not ended.
    pub fn name(&self) -> Option<&str> {
        let name = match self {
            Self::Name(name) => name,
            Self::Number(number) => match number {
                0 => "",
                1 => "STOP",
                2 => "MAX_TOKENS",
                3 => "SAFETY",
                4 => "RECITATION",
                6 => "BLOCKLIST",
                7 => "PROHIBITED_CONTENT",
                8 => "SPII",
                9 => "MALFORMED_FUNCTION_CALL",
                10 => "MODEL_ARMOR",
                _ => "OTHER",
            },
        };
        Some(name).filter(|name| !matches!(*name, "" | "FINISH_REASON_UNSPECIFIED"))
    }
}

/// Why an answer ended, in OpenAI's words. The API says `STOP` where functions are to be called, too.
pub(super) fn finish(reason: &str, has_calls: bool) -> Finish {
    match reason {
        "MAX_TOKENS" => Finish::Length,
        "SAFETY"
        | "RECITATION"
        | "LANGUAGE"
        | "BLOCKLIST"
        | "PROHIBITED_CONTENT"
        | "SPII"
        | "MODEL_ARMOR"
        | "IMAGE_SAFETY"
        | "IMAGE_PROHIBITED_CONTENT"
        | "IMAGE_RECITATION" => Finish::ContentFilter,
        _ if has_calls => Finish::ToolCalls,
        _ => Finish::Stop,
    }
}

/// Token counts. Each event of a stream has totals so far; the last one's hold.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Tokens {
    prompt_token_count: Option<Count>,
    cached_content_token_count: Option<Count>,
    tool_use_prompt_token_count: Option<Count>,
    candidates_token_count: Option<Count>,
    thoughts_token_count: Option<Count>,
}

impl Tokens {
    /// `promptTokenCount` includes what was cached, but not what the provider's own tools added; `candidatesTokenCount`
    /// does not include thoughts.
    pub fn usage(&self) -> Usage {
        let count = |count: Option<Count>| count.unwrap_or_default().0;
        let prompt = count(self.prompt_token_count);
        let cache_read = count(self.cached_content_token_count).min(prompt);
        Usage {
            fresh_input: (prompt - cache_read).saturating_add(count(self.tool_use_prompt_token_count)),
            cache_read,
            cache_write: 0,
            reasoning: count(self.thoughts_token_count),
            output: count(self.candidates_token_count),
        }
    }
}

/// Probabilities of the tokens of one answer or event.
#[derive(Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Logprobs<'a> {
    #[serde(borrow)]
    chosen_candidates: Vec<Token<'a>>,
    #[serde(borrow)]
    top_candidates: Vec<Top<'a>>,
}

#[derive(Clone, Deserialize)]
struct Top<'a> {
    #[serde(borrow, default)]
    candidates: Vec<Token<'a>>,
}

#[derive(Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Token<'a> {
    #[serde(borrow, default)]
    token: Text<'a>,
    #[serde(default)]
    log_probability: f64,
}

impl Logprobs<'_> {
    /// In OpenAI's form; `None` if there are none.
    pub fn written(&self) -> Option<Value> {
        let one = |token: &Token<'_>| json!({"token": &*token.token, "logprob": token.log_probability, "bytes": token.token.as_bytes()});
        let tokens = self.chosen_candidates.iter().enumerate().map(|(at, token)| {
            let mut written = one(token);
            let top = self.top_candidates.get(at).map(|top| &*top.candidates).unwrap_or_default();
            written["top_logprobs"] = top.iter().map(one).collect();
            written
        });
        (!self.chosen_candidates.is_empty()).then(|| json!({"content": tokens.collect::<Vec<_>>(), "refusal": null}))
    }
}

impl Candidate<'_> {
    /// Adds what OpenAI has no member for: safety ratings, grounding, and what the API may add. What says nothing does
    /// not replace what came before.
    pub fn own_into(&self, own: &mut Map<String, Value>) {
        for (key, raw) in &self.rest {
            // A mean of the probabilities is not worth its bytes in every answer.
            if !matches!(raw.get(), "{}" | "[]" | "null") && **key != *"avgLogprobs" {
                own.insert((**key).to_owned(), value(raw));
            }
        }
        let reason = self.reason.as_ref().and_then(Reason::name);
        if let Some(reason) = reason.filter(|reason| !matches!(*reason, "STOP" | "MAX_TOKENS")) {
            own.insert("finishReason".into(), reason.into());
        }
    }
}

/// Reads an answer, or a piece of one.
///
/// # Errors
/// [`Failure::Provider`] for an error in its place, be it alone or in an array.
pub(super) fn read<'a>(body: &'a [u8], secrets: &Secrets) -> Result<Answer<'a>, Failure> {
    match serde_json::from_slice::<Answer<'a>>(body) {
        Ok(answer) if answer.error.is_none() => Ok(answer),
        Ok(_) => Err(failure(body, secrets)),
        Err(_) => match serde_json::from_slice::<[Answer<'_>; 1]>(body) {
            Ok([Answer { error: Some(_), .. }]) => Err(failure(body, secrets)),
            _ => Err(Broken::NotJson.into()),
        },
    }
}

/// What is said of a prompt that was not answered; `None` if nothing is.
pub(super) fn blocked(feedback: Option<Raw<'_>>) -> Option<Value> {
    feedback.map(value).filter(|feedback| feedback.get("blockReason").is_some_and(|reason| !reason.is_null()))
}
