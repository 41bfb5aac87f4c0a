//! What chat and generate take in the same words.

use serde::Serialize;
use serde_json::value::RawValue;

use crate::wire::{Members, Raw, Rest, Text};
use crate::{chat, completions};

/// The least and the most of the API's `p`; all of the probability mass is what OpenAI's clients ask for by 1.
const LEAST_P: &str = "0.01";
const MOST_P: &str = "0.99";

/// Limits and sampling, to be flattened into a request.
#[derive(Serialize)]
pub(super) struct Sampling<'r> {
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    stream: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_tokens: Option<u64>,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    stop_sequences: &'r [Text<'r>],
    #[serde(skip_serializing_if = "Option::is_none")]
    temperature: Option<Raw<'r>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    k: Option<Raw<'r>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    p: Option<Raw<'r>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    seed: Option<Raw<'r>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    frequency_penalty: Option<Raw<'r>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    presence_penalty: Option<Raw<'r>>,
}

/// From a request of either task: both name these members alike.
macro_rules! sampling {
    ($asked:ident, $max_tokens:expr) => {
        Self {
            stream: $asked.stream == Some(true),
            max_tokens: $max_tokens,
            stop_sequences: &$asked.stop.0,
            temperature: $asked.temperature,
            k: $asked.top_k,
            p: $asked.top_p.map(fitting),
            seed: $asked.seed,
            frequency_penalty: $asked.frequency_penalty,
            presence_penalty: $asked.presence_penalty,
        }
    };
}

impl<'r> Sampling<'r> {
    pub fn of_chat(asked: &'r chat::Request<'_>) -> Self {
        sampling!(asked, asked.max_tokens())
    }

    pub fn of_completion(asked: &'r completions::Request<'_>) -> Self {
        sampling!(asked, asked.max_tokens)
    }

    /// What the client says in Cohere's own words, apart from what was said in OpenAI's already; `ours` are more
    /// members that the request has.
    pub fn others(&self, rest: &'r Rest<'_>, ours: &[&str]) -> Members<'r> {
        Members::of(rest, |key| match key {
            "stop_sequences" => self.stop_sequences.is_empty(),
            "k" => self.k.is_none(),
            "p" => self.p.is_none(),
            key => !ours.contains(&key),
        })
    }
}

/// `top_p` within what the API takes.
fn fitting(top_p: Raw<'_>) -> Raw<'_> {
    match top_p.get().parse::<f64>() {
        Ok(p) if p > 0.99 => constant(MOST_P),
        Ok(p) if p < 0.01 => constant(LEAST_P),
        _ => top_p,
    }
}

/// JSON text of ours as raw JSON.
pub(super) fn constant(json: &'static str) -> Raw<'static> {
    serde_json::from_str(json).unwrap_or(RawValue::NULL)
}
