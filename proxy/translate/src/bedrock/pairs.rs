//! The pairs, and what becomes of each parameter there.

use super::invoke::{claude, command, embed, j2, titan};
use super::models::Family;
use super::{PROVIDER, converse, error};
use crate::Back;
use crate::pair::{How, Pair, Streaming};
use crate::split::Framing;
use crate::stream::Machine;
use crate::table::Params;

const fn streaming(machine: fn(&Back) -> Box<dyn Machine>) -> Option<Streaming> {
    Some(Streaming { framing: Framing::EventStream, machine })
}

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
                stream: streaming(converse::machine),
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
    how: How::Chat { request: claude::messages, answer: claude::message, stream: streaming(claude::messages_machine) },
    error,
};

/// `llm/v1/completions` by InvokeModel: what all makers take, and what only this one does.
macro_rules! completions {
    ($(#[$doc:meta])* $name:ident, $api:literal, $how:expr, mapped: [$($mapped:literal),*], dropped: [$($dropped:literal),*], refused: [$($refused:literal),*]) => {
        $(#[$doc])*
        pub static $name: Pair = Pair {
            provider: PROVIDER,
            api: $api,
            params: Params {
                mapped: &[
                    "model", "prompt", "max_tokens", "stop", "stream", "stream_options", "temperature", "top_p",
                    "use_raw_prompt", $($mapped),*
                ],
                dropped: &["seed", "user", $($dropped),*],
                refused: &["best_of", "echo", "logprobs", "suffix", $($refused),*],
            },
            how: $how,
            error,
        };
    };
}

completions! {
    /// Anthropic's legacy text completions.
    INVOKE_CLAUDE, "invoke (anthropic)",
    How::Completions { request: claude::text, answer: claude::completion, stream: streaming(claude::text_machine) },
    mapped: ["top_k"],
    dropped: ["frequency_penalty", "presence_penalty"],
    refused: ["logit_bias", "n"]
}
completions! {
    /// Cohere's Command.
    INVOKE_COMMAND, "invoke (cohere)",
    How::Completions { request: command::request, answer: command::answer, stream: streaming(command::machine) },
    mapped: ["logit_bias", "n", "top_k"],
    dropped: ["frequency_penalty", "presence_penalty"],
    refused: []
}
completions! {
    /// AI21's Jurassic-2, which does not stream.
    INVOKE_J2, "invoke (ai21labs)",
    How::Completions { request: j2::request, answer: j2::answer, stream: None },
    mapped: ["frequency_penalty", "n", "presence_penalty"],
    dropped: ["top_k"],
    refused: ["logit_bias"]
}
completions! {
    /// Amazon's Titan Text.
    INVOKE_TITAN, "invoke (amazon titan)",
    How::Completions { request: titan::request, answer: titan::answer, stream: streaming(titan::machine) },
    mapped: [],
    dropped: ["frequency_penalty", "presence_penalty", "top_k"],
    refused: ["logit_bias", "n"]
}

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
