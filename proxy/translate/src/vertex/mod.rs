//! Google Vertex AI: Gemini (`generateContent`), the `predict` models of the PaLM generation, embeddings, and Claude.
//!
//! Paths begin with `/publishers/`: the proxy's base URL ends in `/v1/projects/{project}/locations/{region}`.
//!
//! Sources: Vertex AI REST reference v1, `projects.locations.publishers.models` (`generateContent`, `predict`,
//! `embedContent`) and the type `Content`; "PaLM 2 for text" and "for chat"; "Get text embeddings"; "Thought
//! signatures"; "Claude on Vertex AI".

mod answer;
mod claude;
mod config;
mod embed;
mod media;
mod model;
mod parts;
mod predict;
mod request;
mod schema;
mod sign;
mod stream;
mod tools;
mod turns;
mod wire;

use serde::Deserialize;

use crate::Task;
use crate::error::{Failure, ProviderError};
use crate::mask::Secrets;
use crate::pair::{How, Pair, Reply, Streaming, segment};
use crate::split::Framing;
use crate::table::Params;
use crate::wire::Raw;

pub use claude::CLAUDE;
pub use embed::{EMBED_CONTENT, PREDICT_EMBEDDING, PREDICT_EMBEDDINGS, PREDICT_GECKO};
pub use predict::{CHAT_BISON, TEXT_BISON};

const PROVIDER: &str = "google-cloud-vertex-ai";

/// Its pairs.
pub(crate) static PAIRS: &[&Pair] = &[
    &GENERATE,
    &GENERATE_TEXT,
    &CHAT_BISON,
    &TEXT_BISON,
    &CLAUDE,
    &PREDICT_GECKO,
    &PREDICT_EMBEDDINGS,
    &PREDICT_EMBEDDING,
    &EMBED_CONTENT,
];

/// The pair for a model. Models that are not known are taken for Gemini, or for a newer embedding model.
pub(crate) fn pair(task: Task, model: &str) -> Option<&'static Pair> {
    let has = |parts: &[&str]| parts.iter().any(|part| model.contains(part));
    Some(match task {
        Task::Chat if model.starts_with("claude") => &CLAUDE,
        Task::Chat if has(&["chat-bison"]) => &CHAT_BISON,
        Task::Chat => &GENERATE,
        Task::Completions if has(&["-bison", "-unicorn", "code-gecko"]) => &TEXT_BISON,
        Task::Completions => &GENERATE_TEXT,
        Task::Embeddings if has(&["gecko"]) => &PREDICT_GECKO,
        Task::Embeddings if has(&["gemini-embedding-001", "gemini-embedding-exp"]) => &PREDICT_EMBEDDING,
        Task::Embeddings if has(&["gemini-embedding"]) => &EMBED_CONTENT,
        Task::Embeddings => &PREDICT_EMBEDDINGS,
    })
}

const STREAMING: Streaming = Streaming { framing: Framing::Sse, machine: stream::machine };

/// `llm/v1/chat` by `generateContent`.
pub static GENERATE: Pair = Pair {
    provider: PROVIDER,
    api: "generateContent",
    params: Params {
        mapped: &[
            "model",
            "messages",
            "frequency_penalty",
            "logprobs",
            "max_completion_tokens",
            "max_tokens",
            "modalities",
            "n",
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
            "top_logprobs",
            "top_p",
            "web_search_options",
        ],
        dropped: &[
            "metadata",
            "parallel_tool_calls",
            "prediction",
            "prompt_cache_key",
            "prompt_cache_retention",
            "safety_identifier",
            "service_tier",
            "store",
            "user",
            "verbosity",
        ],
        refused: &["audio", "function_call", "functions", "logit_bias"],
    },
    how: How::Chat { request: request::chat, answer: answer::answer, stream: Some(STREAMING) },
    error,
};

/// `llm/v1/completions` by `generateContent`: the prompt is the only turn.
pub static GENERATE_TEXT: Pair = Pair {
    provider: PROVIDER,
    api: "generateContent",
    params: Params {
        mapped: &[
            "model",
            "prompt",
            "frequency_penalty",
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
        ],
        dropped: &["use_raw_prompt", "user"],
        refused: &["best_of", "echo", "logit_bias", "logprobs", "suffix"],
    },
    how: How::Completions { request: request::completion, answer: answer::answer, stream: Some(STREAMING) },
    error,
};

/// What comes after the base URL, for a model and what is to be done with it.
fn path(publisher: &str, model: &str, method: &str) -> String {
    format!("/publishers/{publisher}/models/{}:{method}", segment(model))
}

/// `{"error":{"code":429,"message","status":"RESOURCE_EXHAUSTED"}}`; a stream that was not asked for as events comes
/// as a JSON array, with the error as its element.
fn error(reply: &Reply<'_>, secrets: &Secrets) -> ProviderError {
    let elements: Option<Vec<Raw<'_>>> = serde_json::from_slice(reply.body).ok();
    let body = elements.and_then(|elements| elements.first().map(|raw| raw.get().as_bytes())).unwrap_or(reply.body);
    let mut error = ProviderError::read(body, secrets);
    if error.kind.is_none() {
        error.kind = serde_json::from_slice::<Status>(body).ok().map(|body| body.error.status);
    }
    error
}

#[derive(Deserialize)]
struct Status {
    error: StatusName,
}

#[derive(Deserialize)]
struct StatusName {
    status: String,
}

/// An error in place of an answer, or inside a stream.
fn failure(body: &[u8], secrets: &Secrets) -> Failure {
    Failure::Provider(error(&Reply { status: 200, header: &|_| None, body }, secrets))
}

/// Raw JSON as a value.
fn value(raw: Raw<'_>) -> serde_json::Value {
    serde_json::from_str(raw.get()).unwrap_or_default()
}

#[cfg(test)]
mod recorded_tests;
