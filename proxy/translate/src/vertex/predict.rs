//! The PaLM generation by `predict`: chat-bison for chat, text-bison for completions. Neither streams by this method.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::config::{Config, Setting};
use super::{PROVIDER, error, failure, path, value};
use crate::chat::{self, Content, PartBody, Role};
use crate::completions;
use crate::error::{Broken, Failure};
use crate::pair::{Back, Cx, How, Outgoing, Pair, Reply};
use crate::params::wrong;
use crate::peek::PeekError;
use crate::table::Params;
use crate::wire::{Raw, Rest, Text};
use crate::write::{Choice, Completed, Finish};
use crate::{Count, Usage};

/// `llm/v1/chat` by `predict`.
pub static CHAT_BISON: Pair = Pair {
    provider: PROVIDER,
    api: "predict (chat-bison)",
    params: Params {
        mapped: &[
            "model",
            "messages",
            "frequency_penalty",
            "max_completion_tokens",
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
        dropped: &[
            "metadata",
            "parallel_tool_calls",
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
            "response_format",
            "tool_choice",
            "tools",
            "top_logprobs",
            "web_search_options",
        ],
    },
    how: How::Chat { request: chat_request, answer, stream: None },
    error,
};

/// `llm/v1/completions` by `predict`.
pub static TEXT_BISON: Pair = Pair {
    provider: PROVIDER,
    api: "predict (text-bison)",
    params: Params {
        mapped: &[
            "model",
            "prompt",
            "echo",
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
        refused: &["best_of", "logit_bias", "logprobs", "suffix"],
    },
    how: How::Completions { request: text_request, answer, stream: None },
    error,
};

#[derive(Serialize)]
struct Body<'r, I> {
    instances: [I; 1],
    #[serde(skip_serializing_if = "Config::is_empty")]
    parameters: Config<'r>,
}

#[derive(Serialize)]
struct Conversation<'r> {
    #[serde(skip_serializing_if = "str::is_empty")]
    context: String,
    messages: Vec<Turn<'r>>,
}

#[derive(Serialize)]
struct Turn<'r> {
    author: &'static str,
    content: Text<'r>,
}

#[derive(Serialize)]
struct Prompt<'r> {
    prompt: Text<'r>,
}

/// What the client says in the API's own words is a parameter.
fn with_own<'r>(mut parameters: Config<'r>, rest: &'r Rest<'_>) -> Config<'r> {
    for (key, raw) in rest.iter().filter(|(key, _)| &**key != "instances") {
        parameters.set_raw(&**key, Some(raw));
    }
    parameters
}

fn chat_request(asked: &chat::Request<'_>, cx: &Cx<'_>) -> Result<Outgoing, PeekError> {
    let mut context: Vec<Text<'_>> = Vec::new();
    let mut messages: Vec<Turn<'_>> = Vec::new();
    for (at, message) in asked.messages.iter().enumerate() {
        let refuse = |member: &str, problem: &'static str| wrong(format!("messages[{at}].{member}"), problem);
        if let Some(Content::Parts(parts)) = &message.content {
            let is_text = |part: &chat::Part<'_>| matches!(part.body, PartBody::Text(_) | PartBody::Refusal(_));
            if !parts.iter().all(is_text) {
                return Err(refuse("content", "must be text; the model takes nothing else"));
            }
        }
        if !message.tool_calls().is_empty() || message.function_call.is_some() {
            return Err(refuse("tool_calls", "is not supported; the model has no tools"));
        }
        let text = message.content.as_ref().map(Content::text).unwrap_or_default();
        match message.role {
            Role::System | Role::Developer => context.push(text),
            Role::User => messages.push(Turn { author: "user", content: text }),
            Role::Assistant => messages.push(Turn { author: "bot", content: text }),
            Role::Tool | Role::Function => return Err(refuse("role", "must not be tool; the model has no tools")),
        }
    }
    let context = context.iter().map(|text| &**text).collect::<Vec<_>>().join("\n");
    let parameters = with_own(Config::of_chat(asked, cx), &asked.rest);
    Outgoing::new(
        path("google", cx.model, "predict"),
        &Body { instances: [Conversation { context, messages }], parameters },
    )
}

fn text_request(asked: &completions::Request<'_>, cx: &Cx<'_>) -> Result<Outgoing, PeekError> {
    let mut parameters = Config::of_completion(asked, cx);
    parameters.set("echo", asked.echo.filter(|echo| *echo).map(Setting::Bool));
    let parameters = with_own(parameters, &asked.rest);
    Outgoing::new(
        path("google", cx.model, "predict"),
        &Body { instances: [Prompt { prompt: asked.single_prompt()? }], parameters },
    )
}

#[derive(Deserialize)]
struct Answer<'a> {
    #[serde(borrow)]
    predictions: Option<Vec<Prediction<'a>>>,
    metadata: Option<Metadata>,
    #[serde(borrow)]
    error: Option<Raw<'a>>,
}

/// Of chat several candidates, with lists of what is said of each; of text one, with what is said of it.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Prediction<'a> {
    #[serde(borrow)]
    candidates: Option<Vec<Candidate<'a>>>,
    #[serde(borrow)]
    content: Option<Text<'a>>,
    #[serde(borrow)]
    safety_attributes: Option<Raw<'a>>,
    #[serde(borrow)]
    citation_metadata: Option<Raw<'a>>,
}

#[derive(Deserialize)]
struct Candidate<'a> {
    #[serde(borrow, default)]
    content: Text<'a>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Metadata {
    token_metadata: Option<Tokens>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Tokens {
    input_token_count: Option<Total>,
    output_token_count: Option<Total>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Total {
    total_tokens: Option<Count>,
}

impl Tokens {
    fn usage(&self) -> Usage {
        let count = |total: &Option<Total>| total.as_ref().and_then(|total| total.total_tokens).unwrap_or_default().0;
        Usage {
            fresh_input: count(&self.input_token_count),
            output: count(&self.output_token_count),
            ..Usage::default()
        }
    }
}

fn answer<'r>(reply: &Reply<'r>, back: &Back) -> Result<Completed<'r>, Failure> {
    let answer: Answer<'r> = reply.json()?;
    if answer.error.is_some() {
        return Err(failure(reply.body, &back.secrets));
    }
    let mut choices = Vec::new();
    for prediction in answer.predictions.unwrap_or_default() {
        let said = |raw: Option<Raw<'_>>| raw.map(value).unwrap_or_default();
        let (safety, citations) = (said(prediction.safety_attributes), said(prediction.citation_metadata));
        match (prediction.candidates, prediction.content) {
            (Some(candidates), _) => {
                let all = candidates.into_iter().enumerate();
                choices.extend(all.map(|(at, candidate)| choice(candidate.content, &safety[at], &citations[at])));
            }
            (None, Some(content)) => choices.push(choice(content, &safety, &citations)),
            (None, None) => {}
        }
    }
    if choices.is_empty() {
        return Err(Broken::Lacks("predictions").into());
    }
    let usage = answer.metadata.and_then(|metadata| metadata.token_metadata).map(|tokens| tokens.usage());
    Ok(Completed { id: None, model: None, choices, usage })
}

fn choice<'r>(text: Text<'r>, safety: &Value, citations: &Value) -> Choice<'r> {
    let finish = if safety["blocked"] == true { Finish::ContentFilter } else { Finish::Stop };
    let mut own = Map::new();
    if safety.is_object() {
        own.insert("safetyAttributes".into(), safety.clone());
    }
    if citations["citations"].as_array().is_some_and(|citations| !citations.is_empty()) {
        own.insert("citationMetadata".into(), citations.clone());
    }
    Choice { text, finish, own: (!own.is_empty()).then(|| (PROVIDER, own.into())), ..Choice::default() }
}

#[cfg(test)]
#[path = "predict_tests.rs"]
mod tests;
