//! What a chat request of OpenAI's schema says, read once for providers with a schema of their own.
//!
//! Source: OpenAI API reference, "Create chat completion", with `top_k` of contract §8.2 and the extensions that
//! clients of several providers use: `cache_control` on parts, messages and tools, `reasoning_content` and
//! `reasoning_details` in assistant turns.

mod content;
mod message;
mod tool;

pub use content::{Content, DataUrl, File, ImageUrl, InputAudio, Part, PartBody};
pub(crate) use message::Place;
pub use message::{Detail, Function, Message, Role, ToolCall};
pub use tool::{Choice, Definition, JsonSchema, ResponseFormat, Tool};

use crate::wire::{Raw, Rest, Text, Texts, request};

request! {
    /// A chat request. Numbers that a provider takes as they are stay JSON text, so that `1` does not become `1.0`.
    Request {
        /// The endpoint's name; a provider gets its own name for the model.
        "model" => model: Option<Text<'a>>,
        /// The conversation.
        "messages" => messages: Vec<Message<'a>>,
        /// Spoken output.
        "audio" => audio: Option<Raw<'a>>,
        /// From -2 to 2.
        "frequency_penalty" => frequency_penalty: Option<Raw<'a>>,
        /// Legacy form of `tool_choice`.
        "function_call" => function_call: Option<Raw<'a>>,
        /// Legacy form of `tools`.
        "functions" => functions: Option<Raw<'a>>,
        /// Token ids and what is added to their logits.
        "logit_bias" => logit_bias: Option<Raw<'a>>,
        /// Whether the answer tells probabilities.
        "logprobs" => logprobs: Option<bool>,
        /// Most tokens of the answer, reasoning included.
        "max_completion_tokens" => max_completion_tokens: Option<u64>,
        /// Older name of `max_completion_tokens`.
        "max_tokens" => max_tokens: Option<u64>,
        /// Labels for the provider's records.
        "metadata" => metadata: Option<Raw<'a>>,
        /// Kinds of output.
        "modalities" => modalities: Option<Vec<Text<'a>>>,
        /// Number of answers.
        "n" => n: Option<u64>,
        /// Whether several tools may be called at once.
        "parallel_tool_calls" => parallel_tool_calls: Option<bool>,
        /// What the answer will probably look like.
        "prediction" => prediction: Option<Raw<'a>>,
        /// From -2 to 2.
        "presence_penalty" => presence_penalty: Option<Raw<'a>>,
        /// Which requests share a cache.
        "prompt_cache_key" => prompt_cache_key: Option<Raw<'a>>,
        /// How long a cache lives.
        "prompt_cache_retention" => prompt_cache_retention: Option<Raw<'a>>,
        /// `none`, `minimal`, `low`, `medium`, `high`, `xhigh`.
        "reasoning_effort" => reasoning_effort: Option<Text<'a>>,
        /// Text, any JSON, or JSON by a schema.
        "response_format" => response_format: Option<ResponseFormat<'a>>,
        /// The end user, for the provider's abuse detection.
        "safety_identifier" => safety_identifier: Option<Text<'a>>,
        /// For repeatable sampling.
        "seed" => seed: Option<Raw<'a>>,
        /// How urgently it is processed.
        "service_tier" => service_tier: Option<Text<'a>>,
        /// Texts that end the answer.
        "stop" => stop: Texts<'a>,
        /// Whether the provider keeps the answer.
        "store" => store: Option<bool>,
        /// Whether a stream is asked for.
        "stream" => stream: Option<bool>,
        /// Read by [`crate::Ask::peek`].
        "stream_options" => stream_options: Option<Raw<'a>>,
        /// From 0 to 2.
        "temperature" => temperature: Option<Raw<'a>>,
        /// Whether and which tools are to be called.
        "tool_choice" => tool_choice: Option<Choice<'a>>,
        /// Tools that the model may call.
        "tools" => tools: Option<Vec<Tool<'a>>>,
        /// A whole number.
        "top_k" => top_k: Option<Raw<'a>>,
        /// Alternatives told per token.
        "top_logprobs" => top_logprobs: Option<u64>,
        /// From 0 to 1.
        "top_p" => top_p: Option<Raw<'a>>,
        /// The end user; older name of `safety_identifier`.
        "user" => user: Option<Text<'a>>,
        /// `low`, `medium`, `high`.
        "verbosity" => verbosity: Option<Text<'a>>,
        /// Options of the provider's web search.
        "web_search_options" => web_search_options: Option<Raw<'a>>,
    }
}

impl<'a> Request<'a> {
    /// Most tokens of the answer, by either name.
    pub fn max_tokens(&self) -> Option<u64> {
        self.max_completion_tokens.or(self.max_tokens)
    }

    /// The tools, none being none.
    pub fn tools(&self) -> &[Tool<'a>] {
        self.tools.as_deref().unwrap_or_default()
    }

    /// Whether a parameter that was given says nothing but what holds without it.
    pub(crate) fn says_nothing(&self, param: &str) -> bool {
        let zero = |raw: Option<Raw<'_>>| raw.is_some_and(|raw| raw.get().parse() == Ok(0.0_f64));
        match param {
            "n" => self.n == Some(1),
            "frequency_penalty" => zero(self.frequency_penalty),
            "presence_penalty" => zero(self.presence_penalty),
            "logprobs" => self.logprobs == Some(false),
            "top_logprobs" => self.top_logprobs == Some(0),
            "logit_bias" => self.logit_bias.is_some_and(is_empty),
            "store" => self.store == Some(false),
            "parallel_tool_calls" => self.parallel_tool_calls == Some(true),
            "modalities" => self.modalities.as_deref().is_some_and(|kinds| kinds.iter().all(|kind| &**kind == "text")),
            "response_format" => matches!(self.response_format, Some(ResponseFormat::Text)),
            "tools" => self.tools().is_empty(),
            "tool_choice" => self.tools().is_empty() && matches!(self.tool_choice, Some(Choice::Auto | Choice::None)),
            "functions" => self.functions.is_some_and(is_empty),
            "stream" | "stream_options" | "model" => true,
            _ => false,
        }
    }
}

/// Whether JSON text is `{}` or `[]`.
fn is_empty(raw: Raw<'_>) -> bool {
    matches!(raw.get(), "{}" | "[]")
}

/// The value of a member that no field is for.
pub fn unknown<'r, 'a>(rest: &'r Rest<'a>, key: &str) -> Option<&'r Raw<'a>> {
    rest.iter().rev().find(|(name, _)| &**name == key).map(|(_, value)| value)
}

#[cfg(test)]
#[path = "chat_tests.rs"]
mod tests;
