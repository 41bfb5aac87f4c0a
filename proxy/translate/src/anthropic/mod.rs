//! Anthropic: the Messages API for chat, and the legacy Complete API for completions.
//!
//! Sources: Anthropic API reference, "Messages", "Streaming Messages", "Create a Text Completion (Legacy)", "Errors".

mod answer;
mod complete;
pub(crate) mod model;
pub(crate) mod own;
mod request;
pub(crate) mod schema;
mod stream;
pub(crate) mod thinking;
pub(crate) mod tools;
mod turns;

pub use answer::answer;
pub(crate) use complete::{answer as completion, completions, machine as completion_machine};
pub use request::{Host, messages};
use serde::Deserialize;
pub use stream::machine;

use crate::error::{Failure, ProviderError};
use crate::mask::Secrets;
use crate::pair::{How, Pair, Reply, Streaming};
use crate::split::Framing;
use crate::table::Params;
use crate::wire::Raw;
use crate::{Count, Task, Usage};

const PROVIDER: &str = "anthropic";

/// The version of the API that all requests name.
const VERSION: (&str, &str) = ("anthropic-version", "2023-06-01");

/// `format` of reasoning that came from this API, and may go back to it.
const FORMAT: &str = "anthropic-claude-v1";

/// Its pairs.
pub(crate) static PAIRS: &[&Pair] = &[&MESSAGES, &COMPLETE];

/// The pair for a task.
pub(crate) fn pair(task: Task) -> Option<&'static Pair> {
    PAIRS.iter().copied().find(|pair| pair.task() == task)
}

/// `llm/v1/chat` by `/v1/messages`.
pub static MESSAGES: Pair = Pair {
    provider: PROVIDER,
    api: "messages",
    params: Params {
        mapped: &[
            "model",
            "messages",
            "max_completion_tokens",
            "max_tokens",
            "parallel_tool_calls",
            "reasoning_effort",
            "response_format",
            "safety_identifier",
            "service_tier",
            "stop",
            "stream",
            "stream_options",
            "temperature",
            "tool_choice",
            "tools",
            "top_k",
            "top_p",
            "user",
            "web_search_options",
        ],
        dropped: &[
            "frequency_penalty",
            "metadata",
            "prediction",
            "presence_penalty",
            "prompt_cache_key",
            "prompt_cache_retention",
            "seed",
            "store",
            "verbosity",
        ],
        refused: &["audio", "function_call", "functions", "logit_bias", "logprobs", "modalities", "n", "top_logprobs"],
    },
    how: How::Chat { request: request::request, answer, stream: Some(Streaming { framing: Framing::Sse, machine }) },
    error,
};

/// `llm/v1/completions` by `/v1/complete`.
pub static COMPLETE: Pair = Pair {
    provider: PROVIDER,
    api: "complete",
    params: Params {
        mapped: &[
            "model",
            "prompt",
            "max_tokens",
            "stop",
            "stream",
            "stream_options",
            "temperature",
            "top_k",
            "top_p",
            "use_raw_prompt",
            "user",
        ],
        dropped: &["frequency_penalty", "presence_penalty", "seed"],
        refused: &["best_of", "echo", "logit_bias", "logprobs", "n", "suffix"],
    },
    how: How::Completions {
        request: complete::request,
        answer: complete::answer,
        stream: Some(Streaming { framing: Framing::Sse, machine: complete::machine }),
    },
    error,
};

/// `{"type":"error","error":{"type","message"},"request_id"}`, or what a proxy before the API says.
pub fn error(reply: &Reply<'_>, secrets: &Secrets) -> ProviderError {
    let mut error = ProviderError::read(reply.body, secrets);
    if error.request_id.is_none() {
        error.request_id = (reply.header)("request-id").map(Box::from);
    }
    if reply.status < 400 {
        error.status = error.kind.as_deref().and_then(status_of);
    }
    error
}

/// An error in place of an answer, or inside a stream.
fn failure(body: &[u8], secrets: &Secrets) -> Failure {
    Failure::Provider(error(&Reply { status: 200, header: &|_| None, body }, secrets))
}

/// The status with which an error of this type comes when it is not inside a stream.
fn status_of(kind: &str) -> Option<u16> {
    Some(match kind {
        "invalid_request_error" => 400,
        "authentication_error" => 401,
        "billing_error" => 402,
        "permission_error" => 403,
        "not_found_error" => 404,
        "request_too_large" => 413,
        "rate_limit_error" => 429,
        "api_error" => 500,
        "timeout_error" => 504,
        "overloaded_error" => 529,
        _ => return None,
    })
}

/// Token counts as the API writes them. Those of a stream are totals so far, and a later one wins, member by member.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
struct Tokens {
    input_tokens: Option<Count>,
    cache_creation_input_tokens: Option<Count>,
    cache_read_input_tokens: Option<Count>,
    output_tokens: Option<Count>,
    output_tokens_details: Option<OutputDetails>,
}

#[derive(Clone, Copy, Debug, Default, Deserialize)]
struct OutputDetails {
    thinking_tokens: Option<Count>,
}

impl Tokens {
    /// Takes over what newer counts say.
    fn update(&mut self, newer: &Self) {
        self.input_tokens = newer.input_tokens.or(self.input_tokens);
        self.cache_creation_input_tokens = newer.cache_creation_input_tokens.or(self.cache_creation_input_tokens);
        self.cache_read_input_tokens = newer.cache_read_input_tokens.or(self.cache_read_input_tokens);
        self.output_tokens = newer.output_tokens.or(self.output_tokens);
        self.output_tokens_details = newer.output_tokens_details.or(self.output_tokens_details);
    }

    /// `input_tokens` counts neither cache class; `output_tokens` includes thinking.
    fn usage(&self) -> Option<Usage> {
        self.input_tokens.or(self.output_tokens)?;
        let count = |count: Option<Count>| count.unwrap_or_default().0;
        let output = count(self.output_tokens);
        let reasoning = count(self.output_tokens_details.and_then(|details| details.thinking_tokens)).min(output);
        Some(Usage {
            fresh_input: count(self.input_tokens),
            cache_read: count(self.cache_read_input_tokens),
            cache_write: count(self.cache_creation_input_tokens),
            reasoning,
            output: output - reasoning,
        })
    }
}

/// Raw JSON as a value.
fn value(raw: Raw<'_>) -> serde_json::Value {
    serde_json::from_str(raw.get()).unwrap_or_default()
}

#[cfg(test)]
mod recorded_tests;
