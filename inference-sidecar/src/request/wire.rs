//! Request bodies as clients send them. Fields that are not here are ignored.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Body of `/v1/chat/completions` (with `messages`) and `/v1/completions` (with `prompt`).
#[derive(Debug, Default, Deserialize)]
#[expect(missing_docs, reason = "the names are OpenAI's")]
pub struct GenerationBody {
    pub model: String,
    pub messages: Option<Vec<Message>>,
    pub prompt: Option<PromptField>,
    pub max_tokens: Option<usize>,
    pub max_completion_tokens: Option<usize>,
    pub temperature: Option<f32>,
    pub top_p: Option<f32>,
    pub top_k: Option<i64>,
    pub min_p: Option<f32>,
    pub presence_penalty: Option<f32>,
    pub frequency_penalty: Option<f32>,
    pub repetition_penalty: Option<f32>,
    pub logit_bias: Option<BTreeMap<String, f32>>,
    pub seed: Option<i64>,
    pub n: Option<usize>,
    pub stop: Option<OneOrMany>,
    pub ignore_eos: Option<bool>,
    pub stream: Option<bool>,
    pub stream_options: Option<StreamOptions>,
    pub logprobs: Option<LogprobsField>,
    pub top_logprobs: Option<usize>,
    pub echo: Option<bool>,
    // Not done yet: refused by name, since ignoring them would change what the answer means.
    pub best_of: Option<usize>,
    pub suffix: Option<Value>,
    pub tools: Option<Value>,
    pub tool_choice: Option<Value>,
    pub functions: Option<Value>,
    pub function_call: Option<Value>,
    pub response_format: Option<Value>,
    pub modalities: Option<Vec<String>>,
    pub audio: Option<Value>,
    pub continue_final_message: Option<bool>,
    pub prompt_logprobs: Option<Value>,
    pub structured_outputs: Option<Value>,
    pub guided_json: Option<Value>,
    pub guided_regex: Option<Value>,
    pub guided_choice: Option<Value>,
    pub guided_grammar: Option<Value>,
    pub stop_token_ids: Option<Value>,
    pub min_tokens: Option<usize>,
    pub allowed_token_ids: Option<Value>,
    pub bad_words: Option<Value>,
    pub include_stop_str_in_output: Option<bool>,
    pub add_generation_prompt: Option<bool>,
    pub skip_special_tokens: Option<bool>,
    pub use_raw_prompt: Option<bool>,
    pub truncate_prompt_tokens: Option<Value>,
}

/// Body of `/v1/embeddings`.
#[derive(Debug, Deserialize)]
#[expect(missing_docs, reason = "the names are OpenAI's")]
pub struct EmbeddingBody {
    pub model: String,
    pub input: PromptField,
    pub encoding_format: Option<String>,
    pub dimensions: Option<usize>,
    pub stream: Option<bool>,
    pub truncate_prompt_tokens: Option<Value>,
}

/// One message of a chat. What is left out stays undefined in the template.
#[derive(Debug, Clone, Deserialize, Serialize)]
#[expect(missing_docs, reason = "the names are OpenAI's")]
pub struct Message {
    pub role: String,
    pub content: Option<Content>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    /// In the template's own type, which keeps the order of keys.
    pub tool_calls: Option<minijinja::Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tool_call_id: Option<String>,
}

/// A message's content.
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(untagged, expecting = "expected a string or a list of content parts")]
pub enum Content {
    /// Plain text.
    Text(String),
    /// Parts, each with a `type`.
    Parts(Vec<Part>),
}

/// One part of a message's content.
#[derive(Debug, Clone, Deserialize, Serialize)]
pub struct Part {
    /// `text` is the one that this engine reads.
    #[serde(rename = "type")]
    pub kind: String,
    /// The text of a `text` part.
    pub text: Option<String>,
}

/// The four forms of a prompt or an embedding's input.
#[derive(Debug, Deserialize)]
#[serde(untagged, expecting = "expected a string, a list of strings, a list of token ids or a list of such lists")]
pub enum PromptField {
    /// One text.
    Text(String),
    /// Token ids of one text. Before `Texts`: an empty list is refused either way.
    Tokens(Vec<u32>),
    /// Several texts.
    Texts(Vec<String>),
    /// Token ids of several texts.
    TokenLists(Vec<Vec<u32>>),
}

/// A string or a list of strings.
#[derive(Debug, Deserialize)]
#[serde(untagged, expecting = "expected a string or a list of strings")]
pub enum OneOrMany {
    /// One.
    One(String),
    /// Several.
    Many(Vec<String>),
}

/// `logprobs` is a flag for chats and a number for completions.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(untagged, expecting = "expected true or false (chat) or a number (completions)")]
pub enum LogprobsField {
    /// Chat.
    Flag(bool),
    /// Completions.
    Count(usize),
}

/// What a stream is to hold besides the text.
#[derive(Debug, Default, Clone, Copy, Deserialize)]
pub struct StreamOptions {
    /// A last chunk with the usage.
    #[serde(default)]
    pub include_usage: bool,
}
