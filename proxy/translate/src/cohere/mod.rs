//! Cohere: chat (v2, and v1 for models that lack it), embed (likewise), and the legacy generate for completions.
//!
//! Sources: Cohere API reference, "Chat" (v2 and v1), "Chat with Streaming", "Embed" (v2 and v1), "Generate"; Cohere's
//! guides "Streaming responses", "Structured outputs", "Reasoning", "Citations"; the types of Cohere's Python SDK.

mod answer;
mod chat_v1;
mod embed;
mod generate;
mod lines;
mod reply;
mod request;
mod sampling;
mod stream;
mod tools;
mod turns;

use reply::error;

use crate::Task;
use crate::pair::{How, Pair, Streaming};
use crate::split::Framing;
use crate::table::Params;

const PROVIDER: &str = "cohere";

/// `format` of thinking that came from this API, and may go back to it.
const THINKING: &str = "cohere-thinking-v2";

/// Chat models of the first generation, from before the v2 API.
const V1_CHAT: [&str; 3] = ["command-light", "command-light-nightly", "command-nightly"];

/// Part of the names of embedding models from before the v2 API.
const V1_EMBED: &str = "-v2.0";

/// Its pairs.
pub(crate) static PAIRS: &[&Pair] = &[&CHAT, &CHAT_V1, &GENERATE, &EMBED, &EMBED_V1];

/// The pair for a model.
pub(crate) fn pair(task: Task, model: &str) -> Option<&'static Pair> {
    Some(match task {
        Task::Chat if V1_CHAT.contains(&model) => &CHAT_V1,
        Task::Chat => &CHAT,
        Task::Completions => &GENERATE,
        Task::Embeddings if model.contains(V1_EMBED) => &EMBED_V1,
        Task::Embeddings => &EMBED,
    })
}

/// `llm/v1/chat` by `/v2/chat`.
pub static CHAT: Pair = Pair {
    provider: PROVIDER,
    api: "v2/chat",
    params: Params {
        mapped: &[
            "model",
            "messages",
            "frequency_penalty",
            "logprobs",
            "max_completion_tokens",
            "max_tokens",
            "presence_penalty",
            "reasoning_effort",
            "response_format",
            "seed",
            "stop",
            "stream",
            "stream_options",
            "temperature",
            "tool_choice",
            "tools",
            "top_k",
            "top_p",
        ],
        dropped: DROPPED,
        refused: &[
            "audio",
            "function_call",
            "functions",
            "logit_bias",
            "modalities",
            "n",
            "parallel_tool_calls",
            "top_logprobs",
            "web_search_options",
        ],
    },
    how: How::Chat {
        request: request::request,
        answer: answer::answer,
        stream: Some(Streaming { framing: Framing::Sse, machine: stream::machine }),
    },
    error,
};

/// `llm/v1/chat` by `/v1/chat`.
pub static CHAT_V1: Pair = Pair {
    provider: PROVIDER,
    api: "v1/chat",
    params: Params {
        mapped: &[
            "model",
            "messages",
            "frequency_penalty",
            "max_completion_tokens",
            "max_tokens",
            "presence_penalty",
            "response_format",
            "seed",
            "stop",
            "stream",
            "stream_options",
            "temperature",
            "top_k",
            "top_p",
        ],
        dropped: &[
            "metadata",
            "prediction",
            "prompt_cache_key",
            "prompt_cache_retention",
            "reasoning_effort",
            "safety_identifier",
            "service_tier",
            "store",
            "user",
            "verbosity",
        ],
        refused: &[
            "audio",
            "function_call",
            "functions",
            "logit_bias",
            "logprobs",
            "modalities",
            "n",
            "parallel_tool_calls",
            "tool_choice",
            "tools",
            "top_logprobs",
            "web_search_options",
        ],
    },
    how: How::Chat {
        request: chat_v1::request,
        answer: chat_v1::answer,
        stream: Some(Streaming { framing: Framing::JsonLines, machine: lines::machine }),
    },
    error,
};

/// `llm/v1/completions` by `/v1/generate`.
pub static GENERATE: Pair = Pair {
    provider: PROVIDER,
    api: "v1/generate",
    params: Params {
        mapped: &[
            "model",
            "prompt",
            "frequency_penalty",
            "logit_bias",
            "max_tokens",
            "n",
            "presence_penalty",
            "seed",
            "stop",
            "stream",
            "stream_options",
            "temperature",
            "top_k",
            "top_p",
            "use_raw_prompt",
        ],
        dropped: &["user"],
        refused: &["best_of", "echo", "logprobs", "suffix"],
    },
    how: How::Completions {
        request: generate::request,
        answer: generate::answer,
        stream: Some(Streaming { framing: Framing::JsonLines, machine: lines::machine }),
    },
    error,
};

/// `llm/v1/embeddings` by `/v2/embed`.
pub static EMBED: Pair = Pair {
    provider: PROVIDER,
    api: "v2/embed",
    params: Params {
        mapped: &["model", "input", "dimensions", "encoding_format", "stream"],
        dropped: &["user"],
        refused: &["instruction"],
    },
    how: How::Embeddings { batch: embed::BATCH, request: embed::request, answer: embed::answer },
    error,
};

/// `llm/v1/embeddings` by `/v1/embed`.
pub static EMBED_V1: Pair = Pair {
    provider: PROVIDER,
    api: "v1/embed",
    params: Params {
        mapped: &["model", "input", "encoding_format", "stream"],
        dropped: &["user"],
        refused: &["dimensions", "instruction"],
    },
    how: How::Embeddings { batch: embed::BATCH, request: embed::request_v1, answer: embed::answer },
    error,
};

const DROPPED: &[&str] = &[
    "metadata",
    "prediction",
    "prompt_cache_key",
    "prompt_cache_retention",
    "safety_identifier",
    "service_tier",
    "store",
    "user",
    "verbosity",
];

#[cfg(test)]
mod recorded_tests;
