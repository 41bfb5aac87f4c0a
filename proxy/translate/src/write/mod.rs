//! Writing answers of OpenAI's schema, whole and streamed, from what a provider's API says.

mod chunks;
mod completed;
mod vectors;

pub use chunks::{Chunks, OpenCall};
pub use completed::{Call, Choice, Completed};
use serde::Serialize;
use serde::ser::{SerializeMap, Serializer};
pub use vectors::Vectors;
pub(crate) use vectors::{usage as vectors_usage, write as vectors};

use crate::wire::Text;
use crate::{Fill, Usage};

/// Why an answer ended, contract §8.6.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Finish {
    /// The end of the turn, or a stop sequence.
    #[default]
    Stop,
    /// The limit of tokens, or of the context.
    Length,
    /// Tools are to be called.
    ToolCalls,
    /// Something was withheld.
    ContentFilter,
}

/// A piece of reasoning that the provider wants back in the next turn, as [`crate::chat::Detail`] reads it.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Reasoning<'a> {
    /// Its place among the pieces of this answer.
    pub index: usize,
    /// `reasoning.text` or `reasoning.encrypted`; of a piece that comes in parts, in the first.
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    pub kind: Option<&'static str>,
    /// Whose it is; of a piece that comes in parts, in the first.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub format: Option<&'static str>,
    /// The reasoning.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub text: Option<Text<'a>>,
    /// The provider's proof that the text is its own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub signature: Option<Text<'a>>,
    /// Reasoning that only the provider can read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub data: Option<Text<'a>>,
}

impl Reasoning<'_> {
    /// The `type` of readable reasoning.
    pub const TEXT: &'static str = "reasoning.text";
    /// The `type` of reasoning that only the provider can read.
    pub const ENCRYPTED: &'static str = "reasoning.encrypted";
}

/// The id of a tool call of a provider that gives none: the same whether the answer is streamed or not.
fn call_id(fill: &Fill, choice: u32, call: usize) -> String {
    let request = fill.id.split_once('-').map_or(&*fill.id, |(_, id)| id);
    if choice == 0 { format!("call_{request}_{call}") } else { format!("call_{request}_{choice}_{call}") }
}

/// [`Usage`] as OpenAI writes it.
impl Serialize for Usage {
    fn serialize<S: Serializer>(&self, json: S) -> Result<S::Ok, S::Error> {
        let mut map = json.serialize_map(Some(5))?;
        map.serialize_entry("prompt_tokens", &self.input())?;
        map.serialize_entry("completion_tokens", &self.completion())?;
        map.serialize_entry("total_tokens", &self.total())?;
        map.serialize_entry(
            "prompt_tokens_details",
            &PromptDetails { cached_tokens: self.cache_read, cache_write_tokens: self.cache_write },
        )?;
        map.serialize_entry("completion_tokens_details", &CompletionDetails { reasoning_tokens: self.reasoning })?;
        map.end()
    }
}

#[derive(Serialize)]
struct PromptDetails {
    cached_tokens: u64,
    /// No member of OpenAI's, but some compatible APIs have it.
    #[serde(skip_serializing_if = "is_zero")]
    cache_write_tokens: u64,
}

#[derive(Serialize)]
struct CompletionDetails {
    reasoning_tokens: u64,
}

fn is_zero(number: &u64) -> bool {
    *number == 0
}

/// Adds JSON text to `out`.
fn json(out: &mut Vec<u8>, value: &(impl Serialize + ?Sized)) {
    let before = out.len();
    if serde_json::to_writer(&mut *out, value).is_err() {
        // Nothing written here has keys that are no strings, which is all that can fail.
        out.truncate(before);
        out.extend_from_slice(b"null");
    }
}

#[cfg(test)]
#[path = "write_tests.rs"]
mod tests;
