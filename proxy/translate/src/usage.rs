//! Token usage as disjoint classes: no token is counted in two of them.

use serde::Deserialize;
use serde::de::{Deserializer, Visitor};
use std::fmt;

/// Tokens of one request, in classes that do not overlap.
///
/// Sums saturate, so absurd numbers from a provider can not panic or wrap.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Prompt tokens that were neither read from nor written to a cache.
    pub fresh_input: u64,
    /// Prompt tokens read from the provider's cache.
    pub cache_read: u64,
    /// Prompt tokens written to the provider's cache.
    pub cache_write: u64,
    /// Tokens of hidden reasoning.
    pub reasoning: u64,
    /// Tokens of the visible answer.
    pub output: u64,
}

impl Usage {
    /// Reads an OpenAI `usage` object; `None` for anything else, `null` and an object without any count included.
    ///
    /// There `prompt_tokens` includes `prompt_tokens_details.cached_tokens` (and `cache_write_tokens` there, which some
    /// compatible APIs add), and `completion_tokens` includes
    /// `completion_tokens_details.reasoning_tokens`. Without `completion_tokens` it is what `total_tokens` leaves.
    pub fn from_openai(json: &str) -> Option<Self> {
        if !json.starts_with('{') {
            return None;
        }
        let wire: Wire = serde_json::from_str(json).ok()?;
        wire.prompt_tokens.or(wire.completion_tokens).or(wire.total_tokens)?;
        let prompt = wire.prompt_tokens.unwrap_or_default().0;
        let completion = match (wire.completion_tokens, wire.total_tokens) {
            (Some(completion), _) => completion.0,
            (None, total) => total.unwrap_or_default().0.saturating_sub(prompt),
        };
        let details = wire.prompt_tokens_details.unwrap_or_default();
        let cache_read = details.cached_tokens.unwrap_or_default().0.min(prompt);
        let cache_write = details.cache_write_tokens.unwrap_or_default().0.min(prompt - cache_read);
        let reasoning = wire.completion_tokens_details.unwrap_or_default().reasoning_tokens;
        let reasoning = reasoning.unwrap_or_default().0.min(completion);
        Some(Self {
            fresh_input: prompt - cache_read - cache_write,
            cache_read,
            cache_write,
            reasoning,
            output: completion - reasoning,
        })
    }

    /// What is assumed when a provider gives no usage, from the characters of prompt and answer.
    pub fn estimated(prompt_chars: u64, answer_chars: u64) -> Self {
        Self { fresh_input: estimate(prompt_chars), output: estimate(answer_chars), ..Self::default() }
    }

    /// The tokens of both, class by class.
    pub fn plus(&self, other: &Self) -> Self {
        Self {
            fresh_input: self.fresh_input.saturating_add(other.fresh_input),
            cache_read: self.cache_read.saturating_add(other.cache_read),
            cache_write: self.cache_write.saturating_add(other.cache_write),
            reasoning: self.reasoning.saturating_add(other.reasoning),
            output: self.output.saturating_add(other.output),
        }
    }

    /// All tokens of the prompt.
    pub fn input(&self) -> u64 {
        self.fresh_input.saturating_add(self.cache_read).saturating_add(self.cache_write)
    }

    /// All tokens of the answer, reasoning included.
    pub fn completion(&self) -> u64 {
        self.reasoning.saturating_add(self.output)
    }

    /// Prompt and answer together.
    pub fn total(&self) -> u64 {
        self.input().saturating_add(self.completion())
    }
}

/// Tokens assumed for a text of `chars` characters: (characters + 1) / 4, contract §5.3; 0 for no text at all.
pub fn estimate(chars: u64) -> u64 {
    chars.saturating_add(1) / 4
}

#[derive(Deserialize)]
struct Wire {
    prompt_tokens: Option<Count>,
    completion_tokens: Option<Count>,
    total_tokens: Option<Count>,
    prompt_tokens_details: Option<PromptDetails>,
    completion_tokens_details: Option<CompletionDetails>,
}

#[derive(Default, Deserialize)]
struct PromptDetails {
    cached_tokens: Option<Count>,
    cache_write_tokens: Option<Count>,
}

#[derive(Default, Deserialize)]
struct CompletionDetails {
    reasoning_tokens: Option<Count>,
}

/// A count as providers write it: some send floats, and a broken one may send less than nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Count(pub u64);

impl<'de> Deserialize<'de> for Count {
    fn deserialize<D: Deserializer<'de>>(json: D) -> Result<Self, D::Error> {
        struct Number;
        impl Visitor<'_> for Number {
            type Value = Count;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a number of tokens")
            }
            fn visit_u64<E>(self, value: u64) -> Result<Count, E> {
                Ok(Count(value))
            }
            fn visit_i64<E>(self, value: i64) -> Result<Count, E> {
                Ok(Count(value.max(0) as u64))
            }
            fn visit_f64<E>(self, value: f64) -> Result<Count, E> {
                Ok(Count(value as u64))
            }
        }
        json.deserialize_any(Number)
    }
}

#[cfg(test)]
#[path = "usage_tests.rs"]
mod tests;
