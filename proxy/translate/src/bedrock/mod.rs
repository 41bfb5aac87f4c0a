//! Amazon Bedrock: Converse for chat, and InvokeModel in the makers' own schemas for what Converse does not serve.
//!
//! Credentials are the proxy's: a request here has no signature yet.
//!
//! Source: Amazon Bedrock API reference, "Amazon Bedrock Runtime", and the user guide's "Inference request parameters
//! and response fields for foundation models".

mod converse;
mod error;
mod models;

use error::error;
use models::Family;
pub(crate) use models::pair;

use crate::Task;
use crate::pair::{How, Pair, Streaming, segment};
use crate::split::Framing;
use crate::table::Params;

const PROVIDER: &str = "amazon-bedrock";

/// Its pairs.
pub(crate) static PAIRS: &[&Pair] = &[
    &CONVERSE_CLAUDE,
    &CONVERSE_NOVA,
    &CONVERSE_COHERE,
    &CONVERSE_MISTRAL,
    &CONVERSE_OPENAI,
    &CONVERSE_AI21,
    &CONVERSE,
];

/// `llm/v1/chat` by Converse for one family: what all of them take, and what only this one does.
macro_rules! converse {
    ($(#[$doc:meta])* $name:ident, $api:literal, $family:ident, mapped: [$($mapped:literal),*], dropped: [$($dropped:literal),*]) => {
        $(#[$doc])*
        pub static $name: Pair = Pair {
            provider: PROVIDER,
            api: $api,
            params: Params {
                mapped: &[
                    "model", "messages", "max_completion_tokens", "max_tokens", "metadata", "response_format",
                    "service_tier", "stop", "stream", "stream_options", "temperature", "tool_choice", "tools", "top_p",
                    $($mapped),*
                ],
                dropped: &[
                    "prediction", "prompt_cache_key", "prompt_cache_retention", "safety_identifier", "store", "user",
                    "verbosity", $($dropped),*
                ],
                refused: &[
                    "audio", "function_call", "functions", "logit_bias", "logprobs", "modalities", "n",
                    "top_logprobs", "web_search_options",
                ],
            },
            how: How::Chat {
                request: |asked, cx| converse::request(asked, cx, Family::$family),
                answer: converse::answer,
                stream: Some(Streaming { framing: Framing::EventStream, machine: converse::machine }),
            },
            error,
        };
    };
}

converse! {
    /// Anthropic's models from Claude 3 on.
    CONVERSE_CLAUDE, "converse (anthropic)", Claude,
    mapped: ["parallel_tool_calls", "reasoning_effort", "top_k"],
    dropped: ["frequency_penalty", "presence_penalty", "seed"]
}
converse! {
    /// Amazon's Nova.
    CONVERSE_NOVA, "converse (amazon nova)", Nova,
    mapped: ["reasoning_effort", "top_k"],
    dropped: ["frequency_penalty", "parallel_tool_calls", "presence_penalty", "seed"]
}
converse! {
    /// Cohere's Command R.
    CONVERSE_COHERE, "converse (cohere)", Cohere,
    mapped: ["frequency_penalty", "presence_penalty", "seed", "top_k"],
    dropped: ["parallel_tool_calls", "reasoning_effort"]
}
converse! {
    /// Mistral's models.
    CONVERSE_MISTRAL, "converse (mistral)", Mistral,
    mapped: ["top_k"],
    dropped: ["frequency_penalty", "parallel_tool_calls", "presence_penalty", "reasoning_effort", "seed"]
}
converse! {
    /// OpenAI's open models.
    CONVERSE_OPENAI, "converse (openai)", OpenAi,
    mapped: ["reasoning_effort"],
    dropped: ["frequency_penalty", "parallel_tool_calls", "presence_penalty", "seed", "top_k"]
}
converse! {
    /// AI21's Jamba.
    CONVERSE_AI21, "converse (ai21labs)", Ai21,
    mapped: ["frequency_penalty", "presence_penalty"],
    dropped: ["parallel_tool_calls", "reasoning_effort", "seed", "top_k"]
}
converse! {
    /// All other models: Titan, Llama, DeepSeek, Qwen and so on.
    CONVERSE, "converse", Other,
    mapped: [],
    dropped: ["frequency_penalty", "parallel_tool_calls", "presence_penalty", "reasoning_effort", "seed", "top_k"]
}

/// The path of a model's API.
fn path(model: &str, api: &str) -> String {
    format!("/model/{}/{api}", segment(model))
}

#[cfg(test)]
mod recorded_tests;
