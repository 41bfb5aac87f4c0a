//! AI21 Labs: chat completions (Jamba), and the legacy complete of the Jurassic-2 models for completions.
//!
//! Sources: AI21 Studio documentation, "Chat request", "Chat response", "Jurassic-2 Complete API".

mod answer;
pub(crate) mod complete;
mod request;
mod stream;

use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::{Value, json};

use crate::Task;
use crate::error::{Broken, Failure, ProviderError};
use crate::mask::Secrets;
use crate::pair::{How, Pair, Reply, Streaming};
use crate::split::Framing;
use crate::table::Params;

const PROVIDER: &str = "ai21labs";

/// Its pairs.
pub(crate) static PAIRS: &[&Pair] = &[&CHAT, &COMPLETE];

/// The pair for a model.
pub(crate) fn pair(task: Task, _model: &str) -> Option<&'static Pair> {
    PAIRS.iter().copied().find(|pair| pair.task() == task)
}

/// `llm/v1/chat` by `/chat/completions`.
pub static CHAT: Pair = Pair {
    provider: PROVIDER,
    api: "chat",
    params: Params {
        mapped: &[
            "model",
            "messages",
            "max_completion_tokens",
            "max_tokens",
            "n",
            "response_format",
            "seed",
            "stop",
            "stream",
            "stream_options",
            "temperature",
            "tool_choice",
            "tools",
            "top_p",
        ],
        dropped: &[
            "frequency_penalty",
            "metadata",
            "prediction",
            "presence_penalty",
            "prompt_cache_key",
            "prompt_cache_retention",
            "reasoning_effort",
            "safety_identifier",
            "service_tier",
            "store",
            "top_k",
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

/// `llm/v1/completions` by `/{model}/complete`, which does not stream.
pub static COMPLETE: Pair = Pair {
    provider: PROVIDER,
    api: "complete",
    params: Params {
        mapped: &[
            "model",
            "prompt",
            "frequency_penalty",
            "max_tokens",
            "n",
            "presence_penalty",
            "stop",
            "stream",
            "stream_options",
            "temperature",
            "top_p",
            "use_raw_prompt",
        ],
        dropped: &["seed", "top_k", "user"],
        refused: &["best_of", "echo", "logit_bias", "logprobs", "suffix"],
    },
    how: How::Completions { request: complete::request, answer: complete::answer, stream: None },
    error,
};

/// `{"detail"}`, a text or a list of what is wrong where.
fn error(reply: &Reply<'_>, secrets: &Secrets) -> ProviderError {
    let mut error = match reply.json::<Faults>() {
        Ok(Faults { detail }) if !detail.is_empty() => {
            let message: Vec<&str> = detail.iter().map(|fault| &*fault.msg).collect();
            let param = detail.first().and_then(|fault| fault.loc.iter().rev().find_map(Value::as_str));
            let body = json!({"error": {"message": message.join("; "), "param": param}}).to_string();
            ProviderError::read(body.as_bytes(), secrets)
        }
        _ => ProviderError::read(reply.body, secrets),
    };
    if error.request_id.is_none() {
        error.request_id = (reply.header)("x-request-id").map(Box::from);
    }
    error
}

#[derive(Deserialize)]
struct Faults {
    detail: Vec<Fault>,
}

#[derive(Deserialize)]
struct Fault {
    msg: String,
    #[serde(default)]
    loc: Vec<Value>,
}

/// What an answer or an event without its member `lacks` is: an error under a good status, or nothing known.
fn failure(body: &[u8], lacks: &'static str, secrets: &Secrets) -> Failure {
    #[derive(Deserialize)]
    struct Said {
        #[serde(rename = "detail", alias = "error", alias = "message")]
        _what: IgnoredAny,
    }
    match serde_json::from_slice::<Said>(body) {
        Ok(_) => Failure::Provider(error(&Reply { status: 200, header: &|_| None, body }, secrets)),
        Err(_) => Broken::Lacks(lacks).into(),
    }
}

#[cfg(test)]
mod recorded_tests;
#[cfg(test)]
mod tests;
