//! Amazon Bedrock: Converse for chat, and InvokeModel in the makers' own schemas for what Converse does not serve.
//!
//! Credentials are the proxy's: a request here has no signature yet.
//!
//! Source: Amazon Bedrock API reference, "Amazon Bedrock Runtime", and the user guide's "Inference request parameters
//! and response fields for foundation models".

mod converse;
mod error;
mod invoke;
mod models;

use error::error;
use invoke::{claude, command, embed, j2, titan};
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
    &INVOKE_MESSAGES,
    &INVOKE_CLAUDE,
    &INVOKE_COMMAND,
    &INVOKE_J2,
    &INVOKE_TITAN,
    &EMBED_COHERE,
    &EMBED_TITAN,
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

/// `llm/v1/chat` by Anthropic's Messages: Claude 2 and what was before it.
pub static INVOKE_MESSAGES: Pair = Pair {
    provider: PROVIDER,
    api: "invoke (anthropic messages)",
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
            "stop",
            "stream",
            "stream_options",
            "temperature",
            "tool_choice",
            "tools",
            "top_k",
            "top_p",
            "user",
        ],
        dropped: &[
            "frequency_penalty",
            "metadata",
            "prediction",
            "presence_penalty",
            "prompt_cache_key",
            "prompt_cache_retention",
            "seed",
            "service_tier",
            "store",
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
            "top_logprobs",
            "web_search_options",
        ],
    },
    how: How::Chat {
        request: claude::messages,
        answer: claude::message,
        stream: Some(Streaming { framing: Framing::EventStream, machine: claude::messages_machine }),
    },
    error,
};

/// `llm/v1/completions` by Anthropic's legacy text completions.
pub static INVOKE_CLAUDE: Pair = Pair {
    provider: PROVIDER,
    api: "invoke (anthropic)",
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
        ],
        dropped: &["frequency_penalty", "presence_penalty", "seed", "user"],
        refused: &["best_of", "echo", "logit_bias", "logprobs", "n", "suffix"],
    },
    how: How::Completions {
        request: claude::text,
        answer: claude::completion,
        stream: Some(Streaming { framing: Framing::EventStream, machine: claude::text_machine }),
    },
    error,
};

/// `llm/v1/completions` by Cohere's Command.
pub static INVOKE_COMMAND: Pair = Pair {
    provider: PROVIDER,
    api: "invoke (cohere)",
    params: Params {
        mapped: &[
            "model",
            "prompt",
            "logit_bias",
            "max_tokens",
            "n",
            "stop",
            "stream",
            "stream_options",
            "temperature",
            "top_k",
            "top_p",
            "use_raw_prompt",
        ],
        dropped: &["frequency_penalty", "presence_penalty", "seed", "user"],
        refused: &["best_of", "echo", "logprobs", "suffix"],
    },
    how: How::Completions {
        request: command::request,
        answer: command::answer,
        stream: Some(Streaming { framing: Framing::EventStream, machine: command::machine }),
    },
    error,
};

/// `llm/v1/completions` by AI21's Jurassic-2, which does not stream.
pub static INVOKE_J2: Pair = Pair {
    provider: PROVIDER,
    api: "invoke (ai21labs)",
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
    how: How::Completions { request: j2::request, answer: j2::answer, stream: None },
    error,
};

/// `llm/v1/completions` by Amazon's Titan Text.
pub static INVOKE_TITAN: Pair = Pair {
    provider: PROVIDER,
    api: "invoke (amazon titan)",
    params: Params {
        mapped: &[
            "model",
            "prompt",
            "max_tokens",
            "stop",
            "stream",
            "stream_options",
            "temperature",
            "top_p",
            "use_raw_prompt",
        ],
        dropped: &["frequency_penalty", "presence_penalty", "seed", "top_k", "user"],
        refused: &["best_of", "echo", "logit_bias", "logprobs", "n", "suffix"],
    },
    how: How::Completions {
        request: titan::request,
        answer: titan::answer,
        stream: Some(Streaming { framing: Framing::EventStream, machine: titan::machine }),
    },
    error,
};

/// What both embedding APIs take.
const EMBEDDINGS: Params = Params {
    mapped: &["model", "input", "dimensions", "encoding_format", "stream"],
    dropped: &["user"],
    refused: &["instruction"],
};

/// `llm/v1/embeddings` by Cohere's Embed.
pub static EMBED_COHERE: Pair = Pair {
    provider: PROVIDER,
    api: "invoke (cohere)",
    params: EMBEDDINGS,
    how: How::Embeddings { batch: 96, request: embed::cohere, answer: embed::cohere_answer },
    error,
};

/// `llm/v1/embeddings` by Amazon's Titan Embeddings, which take one text at a time.
pub static EMBED_TITAN: Pair = Pair {
    provider: PROVIDER,
    api: "invoke (amazon titan)",
    params: EMBEDDINGS,
    how: How::Embeddings { batch: 1, request: embed::titan, answer: embed::titan_answer },
    error,
};

/// The path of a model's API.
fn path(model: &str, api: &str) -> String {
    format!("/model/{}/{api}", segment(model))
}

#[cfg(test)]
mod recorded_tests;
