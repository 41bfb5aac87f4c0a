//! Cohere: chat (v2, and v1 for models that lack it), embed (likewise), and the legacy generate for completions.
//!
//! Sources: Cohere API reference, "Chat" (v2 and v1), "Chat with Streaming", "Embed" (v2 and v1), "Generate"; Cohere's
//! guides "Streaming responses", "Structured outputs", "Reasoning", "Citations"; the types of Cohere's Python SDK.

mod answer;
mod chat_v1;
mod embed;
mod generate;
mod lines;
mod request;
mod sampling;
mod stream;
mod tools;
mod turns;

use serde::Deserialize;
use serde_json::{Value, json};

use crate::error::{Broken, Failure, ProviderError};
use crate::mask::Secrets;
use crate::pair::{How, Pair, Reply, Streaming};
use crate::split::Framing;
use crate::table::Params;
use crate::write::Finish;
use crate::{Count, Task, Usage};

const PROVIDER: &str = "cohere";

/// `format` of thinking that came from this API, and may go back to it.
const THINKING: &str = "cohere-thinking-v2";

/// The list of citations under the provider's name.
const CITATIONS: &str = "citations";

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

/// `{"id","message"}`, or what a proxy before the API says.
fn error(reply: &Reply<'_>, secrets: &Secrets) -> ProviderError {
    #[derive(Deserialize)]
    struct Id {
        id: String,
    }
    let mut error = ProviderError::read(reply.body, secrets);
    if error.request_id.is_none() {
        let id = reply.json::<Id>().map(|id| id.id).ok().filter(|id| !id.is_empty() && id.len() <= 128);
        let id = id.or_else(|| (reply.header)("x-debug-trace-id").map(str::to_owned));
        error.request_id = id.map(String::into_boxed_str);
    }
    error
}

/// What an answer or an event without its member `lacks` is: an error under a good status, or nothing known.
fn failure(body: &[u8], lacks: &'static str, secrets: &Secrets) -> Failure {
    #[derive(Deserialize)]
    struct Said {
        #[serde(rename = "message")]
        _message: String,
    }
    match serde_json::from_slice::<Said>(body) {
        Ok(_) => Failure::Provider(error(&Reply { status: 200, header: &|_| None, body }, secrets)),
        Err(_) => Broken::Lacks(lacks).into(),
    }
}

/// How an answer ended.
#[derive(Clone, Copy, Default)]
struct End<'e> {
    reason: Option<&'e str>,
    /// What went wrong, if something did.
    error: Option<&'e str>,
    error_type: Option<&'e str>,
}

impl End<'_> {
    /// `finish_reason` in OpenAI's words.
    ///
    /// # Errors
    /// [`Failure::Provider`] if the answer failed: the API says that with status 200.
    fn finish(&self, has_calls: bool, secrets: &Secrets) -> Result<Finish, Failure> {
        let (status, what) = match self.reason {
            Some("MAX_TOKENS" | "ERROR_LIMIT") => return Ok(Finish::Length),
            Some("ERROR_TOXIC") => return Ok(Finish::ContentFilter),
            Some("ERROR") => (502, "the model failed to finish its answer"),
            Some("TIMEOUT") => (504, "the model did not finish its answer in time"),
            Some("USER_CANCEL") => (502, "the answer was cancelled"),
            _ if has_calls => return Ok(Finish::ToolCalls),
            _ => return Ok(Finish::Stop),
        };
        let message = self.error.filter(|message| !message.is_empty()).unwrap_or(what);
        let body = json!({"error": {"message": message, "type": self.error_type.or(self.reason)}}).to_string();
        let mut error = ProviderError::read(body.as_bytes(), secrets);
        error.status = Some(status);
        Err(Failure::Provider(error))
    }
}

/// What was used: `usage` of v2, `meta` of v1.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
struct Metered {
    tokens: Option<Units>,
    billed_units: Option<Units>,
    cached_tokens: Option<Count>,
}

#[derive(Clone, Copy, Debug, Default, Deserialize)]
struct Units {
    input_tokens: Option<Count>,
    output_tokens: Option<Count>,
    /// Not among `input_tokens`.
    image_tokens: Option<Count>,
}

impl Metered {
    /// `tokens` is what the model saw; `billed_units` leaves out what the provider itself adds to the prompt.
    fn usage(&self) -> Option<Usage> {
        let says = |units: &Units| units.input_tokens.or(units.output_tokens).is_some();
        let units = self.tokens.filter(says).or(self.billed_units.filter(says))?;
        let count = |count: Option<Count>| count.unwrap_or_default().0;
        let input = count(units.input_tokens).saturating_add(count(units.image_tokens));
        let cache_read = count(self.cached_tokens).min(input);
        Some(Usage {
            fresh_input: input - cache_read,
            cache_read,
            output: count(units.output_tokens),
            ..Usage::default()
        })
    }
}

/// A citation with its number: clients put the lists of a stream together by `index`.
fn citation(index: usize, citation: Value) -> Value {
    let mut entry = json!({"index": index});
    match (&mut entry, citation) {
        (Value::Object(entry), Value::Object(members)) => entry.extend(members),
        (entry, other) => entry["citation"] = other,
    }
    entry
}

#[cfg(test)]
mod recorded_tests;
