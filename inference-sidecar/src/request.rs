//! Requests that have been checked: what these types hold, the engine can do.

pub mod wire;

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use crate::error::EngineError;
use crate::sample::SamplingParams;
use wire::{Content, EmbeddingBody, GenerationBody, LogprobsField, Message, OneOrMany, PromptField};

/// Choices of one request, over all its prompts.
pub const MAX_CHOICES: usize = 128;
/// Inputs of one embedding request.
pub const MAX_INPUTS: usize = 2048;
/// As OpenAI's.
const MAX_BIASES: usize = 300;
const MAX_STOPS: usize = 16;
const MAX_STOP_BYTES: usize = 1024;
const MAX_LOGPROBS: usize = 20;

/// One input: text, or tokens that the client made itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Prompt {
    /// To be tokenized.
    Text(String),
    /// Taken as they are; special tokens too are the client's affair.
    Tokens(Vec<u32>),
}

/// What chats and completions have in common.
#[derive(Debug, Clone, PartialEq)]
pub struct Generation {
    /// Model that the client named.
    pub model: String,
    /// How to choose tokens.
    pub sampling: Arc<SamplingParams>,
    /// Longest answer in tokens; `None` = as far as the context goes.
    pub max_tokens: Option<usize>,
    /// Strings that end the answer.
    pub stop: Vec<String>,
    /// Go on past the model's own end.
    pub ignore_eos: bool,
    /// Answers for each prompt.
    pub n: usize,
    /// Whether the answer is a stream, and with usage at its end.
    pub stream: Option<Streaming>,
}

/// A stream was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Streaming {
    /// With usage in a last chunk.
    pub include_usage: bool,
}

/// `/v1/chat/completions`.
#[derive(Debug)]
pub struct ChatRequest {
    /// The common part.
    pub generation: Generation,
    /// At least one, each with text content or none.
    pub messages: Vec<Message>,
}

/// `/v1/completions`.
#[derive(Debug)]
pub struct CompletionRequest {
    /// The common part.
    pub generation: Generation,
    /// At least one.
    pub prompts: Vec<Prompt>,
    /// Put the prompt before the answer.
    pub echo: bool,
}

/// `/v1/embeddings`.
#[derive(Debug)]
pub struct EmbeddingRequest {
    /// Model that the client named.
    pub model: String,
    /// At least one.
    pub inputs: Vec<Prompt>,
    /// Answer with base64 of little-endian f32 instead of lists.
    pub base64: bool,
    /// Length of the embedding that the client wants.
    pub dimensions: Option<usize>,
}

fn refused(param: &'static str, message: impl Into<String>) -> EngineError {
    EngineError::Request { param: Some(param), message: message.into() }
}

impl TryFrom<GenerationBody> for ChatRequest {
    type Error = EngineError;

    fn try_from(mut body: GenerationBody) -> Result<Self, EngineError> {
        let logprobs = match (body.logprobs, body.top_logprobs) {
            (Some(LogprobsField::Count(_)), _) => {
                return Err(refused("logprobs", "logprobs must be true or false here"));
            }
            (Some(LogprobsField::Flag(true)), top) => Some(top.unwrap_or(0)),
            (_, Some(top)) if top > 0 => return Err(refused("top_logprobs", "top_logprobs needs logprobs: true")),
            _ => None,
        };
        let messages = body.messages.take().unwrap_or_default();
        if messages.is_empty() {
            return Err(refused("messages", "messages must hold at least one message"));
        }
        let messages = messages.into_iter().map(flat_message).collect::<Result<_, _>>()?;
        Ok(ChatRequest { generation: generation(body, logprobs, "top_logprobs")?, messages })
    }
}

impl TryFrom<GenerationBody> for CompletionRequest {
    type Error = EngineError;

    fn try_from(mut body: GenerationBody) -> Result<Self, EngineError> {
        let logprobs = match body.logprobs {
            Some(LogprobsField::Flag(true)) => return Err(refused("logprobs", "logprobs must be a number here")),
            Some(LogprobsField::Count(top)) => Some(top),
            _ => None,
        };
        let prompt = body.prompt.take().ok_or_else(|| refused("prompt", "prompt is missing"))?;
        let prompts = prompts("prompt", prompt, MAX_CHOICES)?;
        let echo = body.echo.unwrap_or(false);
        if echo && logprobs.is_some() {
            return Err(refused("echo", "echo together with logprobs is not supported; leave one of them out"));
        }
        let generation = generation(body, logprobs, "logprobs")?;
        if prompts.len() * generation.n > MAX_CHOICES {
            let message =
                format!("{} prompts x n = {} is more than {MAX_CHOICES} choices", prompts.len(), generation.n);
            return Err(refused("n", message));
        }
        Ok(CompletionRequest { generation, prompts, echo })
    }
}

impl TryFrom<EmbeddingBody> for EmbeddingRequest {
    type Error = EngineError;

    fn try_from(body: EmbeddingBody) -> Result<Self, EngineError> {
        let base64 = match body.encoding_format.as_deref() {
            None | Some("float") => false,
            Some("base64") => true,
            Some(other) => {
                return Err(refused(
                    "encoding_format",
                    format!("encoding_format is {other:?}; it can be float or base64"),
                ));
            }
        };
        if body.stream == Some(true) {
            return Err(refused("stream", "embeddings are not streamed"));
        }
        if body.truncate_prompt_tokens.is_some() {
            return Err(refused("truncate_prompt_tokens", "truncate_prompt_tokens is not supported by this engine"));
        }
        let inputs = prompts("input", body.input, MAX_INPUTS)?;
        Ok(EmbeddingRequest { model: body.model, inputs, base64, dimensions: body.dimensions })
    }
}

/// Who can speak in a chat (contract §8.2).
const ROLES: [&str; 5] = ["system", "user", "assistant", "tool", "developer"];

/// Content parts become one text: templates of text models take nothing else.
fn flat_message(mut message: Message) -> Result<Message, EngineError> {
    if !ROLES.contains(&message.role.as_str()) {
        let role: String = message.role.chars().take(32).collect();
        return Err(refused("messages", format!("role {role:?} is not known; there are {}", ROLES.join(", "))));
    }
    if let Some(Content::Parts(parts)) = message.content {
        let texts = parts.into_iter().map(|part| match part.text {
            Some(text) if part.kind == "text" => Ok(text),
            _ => {
                Err(refused("messages", format!("a content part of type {:?} is not supported, only text", part.kind)))
            }
        });
        message.content = Some(Content::Text(texts.collect::<Result<Vec<_>, _>>()?.join("\n")));
    }
    Ok(message)
}

fn prompts(param: &'static str, field: PromptField, most: usize) -> Result<Vec<Prompt>, EngineError> {
    let prompts: Vec<Prompt> = match field {
        PromptField::Text(text) => vec![Prompt::Text(text)],
        PromptField::Texts(texts) => texts.into_iter().map(Prompt::Text).collect(),
        PromptField::Tokens(tokens) => vec![Prompt::Tokens(tokens)],
        PromptField::TokenLists(lists) => lists.into_iter().map(Prompt::Tokens).collect(),
    };
    if prompts.is_empty() || prompts.contains(&Prompt::Tokens(Vec::new())) {
        return Err(refused(param, format!("{param} must not be empty")));
    }
    if prompts.len() > most {
        return Err(refused(param, format!("{param} holds {} entries; {most} is the most", prompts.len())));
    }
    Ok(prompts)
}

fn generation(
    body: GenerationBody,
    logprobs: Option<usize>,
    logprobs_param: &'static str,
) -> Result<Generation, EngineError> {
    refuse_what_is_not_done(&body)?;
    let n = body.n.unwrap_or(1);
    if !(1..=MAX_CHOICES).contains(&n) {
        return Err(refused("n", format!("n is {n}; it must be 1 to {MAX_CHOICES}")));
    }
    if logprobs.is_some_and(|top| top > MAX_LOGPROBS) {
        return Err(refused(logprobs_param, format!("{logprobs_param} must be 0 to {MAX_LOGPROBS}")));
    }
    let max_tokens = body.max_completion_tokens.or(body.max_tokens);
    if max_tokens == Some(0) {
        return Err(refused("max_tokens", "max_tokens must be at least 1"));
    }
    let streaming = body.stream.unwrap_or(false);
    if body.stream_options.is_some() && !streaming {
        return Err(refused("stream_options", "stream_options needs stream: true"));
    }
    let stream = streaming.then(|| Streaming { include_usage: body.stream_options.unwrap_or_default().include_usage });
    let sampling = SamplingParams {
        temperature: within("temperature", body.temperature, 1.0, 0.0, 2.0)?,
        top_p: within("top_p", body.top_p, 1.0, 0.0, 1.0)?,
        top_k: top_k(body.top_k)?,
        min_p: within("min_p", body.min_p, 0.0, 0.0, 1.0)?,
        presence_penalty: within("presence_penalty", body.presence_penalty, 0.0, -2.0, 2.0)?,
        frequency_penalty: within("frequency_penalty", body.frequency_penalty, 0.0, -2.0, 2.0)?,
        repetition_penalty: within("repetition_penalty", body.repetition_penalty, 1.0, 0.01, 100.0)?,
        logit_bias: logit_bias(body.logit_bias.unwrap_or_default())?,
        seed: body.seed.map(i64::cast_unsigned),
        logprobs,
    };
    let ignore_eos = body.ignore_eos.unwrap_or(false);
    let (sampling, stop) = (Arc::new(sampling), stops(body.stop)?);
    Ok(Generation { model: body.model, sampling, max_tokens, stop, ignore_eos, n, stream })
}

fn within(param: &'static str, value: Option<f32>, default: f32, least: f32, most: f32) -> Result<f32, EngineError> {
    let value = value.unwrap_or(default);
    if (least..=most).contains(&value) {
        return Ok(value);
    }
    Err(refused(param, format!("{param} is {value}; it must be {least} to {most}")))
}

/// vLLM's clients send -1 for "all".
fn top_k(value: Option<i64>) -> Result<usize, EngineError> {
    match value {
        None | Some(-1) => Ok(0),
        Some(k) => usize::try_from(k).map_err(|_| refused("top_k", format!("top_k is {k}; it must be -1 or more"))),
    }
}

fn logit_bias(field: BTreeMap<String, f32>) -> Result<Vec<(u32, f32)>, EngineError> {
    if field.len() > MAX_BIASES {
        return Err(refused(
            "logit_bias",
            format!("logit_bias holds {} tokens; {MAX_BIASES} is the most", field.len()),
        ));
    }
    let mut seen = HashSet::new();
    let entry = |(key, bias): (String, f32)| {
        let token = key.parse().map_err(|_| refused("logit_bias", format!("{key:?} is not a token id")))?;
        if !seen.insert(token) {
            return Err(refused("logit_bias", format!("logit_bias names token {token} twice")));
        }
        Ok((token, within("logit_bias", Some(bias), 0.0, -100.0, 100.0)?))
    };
    field.into_iter().map(entry).collect()
}

fn stops(field: Option<OneOrMany>) -> Result<Vec<String>, EngineError> {
    let stops = match field {
        None => Vec::new(),
        Some(OneOrMany::One(stop)) => vec![stop],
        Some(OneOrMany::Many(stops)) => stops,
    };
    if stops.len() > MAX_STOPS {
        return Err(refused("stop", format!("stop holds {} strings; {MAX_STOPS} is the most", stops.len())));
    }
    if stops.iter().any(|stop| stop.is_empty() || stop.len() > MAX_STOP_BYTES) {
        return Err(refused("stop", format!("a stop string must have 1 to {MAX_STOP_BYTES} bytes")));
    }
    Ok(stops)
}

fn refuse_what_is_not_done(body: &GenerationBody) -> Result<(), EngineError> {
    let not_empty = |value: &serde_json::Value| !value.as_array().is_some_and(Vec::is_empty);
    let no_tools = |value: &serde_json::Value| value == "none" || !not_empty(value);
    let asked: [(&'static str, bool); 25] = [
        ("tools", body.tools.as_ref().is_some_and(|v| !no_tools(v))),
        ("tool_choice", body.tool_choice.as_ref().is_some_and(|v| v != "none" && v != "auto")),
        ("functions", body.functions.as_ref().is_some_and(|v| !no_tools(v))),
        ("function_call", body.function_call.as_ref().is_some_and(|v| v != "none" && v != "auto")),
        ("response_format", body.response_format.as_ref().is_some_and(|v| v["type"] != "text")),
        ("modalities", body.modalities.as_ref().is_some_and(|m| m.iter().any(|mode| mode != "text"))),
        ("audio", body.audio.is_some()),
        ("best_of", body.best_of.is_some_and(|best| best != body.n.unwrap_or(1))),
        ("suffix", body.suffix.as_ref().is_some_and(|v| v != "")),
        ("continue_final_message", body.continue_final_message == Some(true)),
        ("prompt_logprobs", body.prompt_logprobs.is_some()),
        ("structured_outputs", body.structured_outputs.is_some()),
        ("guided_json", body.guided_json.is_some()),
        ("guided_grammar", body.guided_grammar.is_some()),
        ("guided_regex", body.guided_regex.is_some()),
        ("guided_choice", body.guided_choice.is_some()),
        ("stop_token_ids", body.stop_token_ids.as_ref().is_some_and(not_empty)),
        ("min_tokens", body.min_tokens.is_some_and(|least| least > 0)),
        ("allowed_token_ids", body.allowed_token_ids.is_some()),
        ("bad_words", body.bad_words.as_ref().is_some_and(not_empty)),
        ("include_stop_str_in_output", body.include_stop_str_in_output == Some(true)),
        ("add_generation_prompt", body.add_generation_prompt == Some(false)),
        ("skip_special_tokens", body.skip_special_tokens == Some(false)),
        ("use_raw_prompt", body.use_raw_prompt == Some(true)),
        ("truncate_prompt_tokens", body.truncate_prompt_tokens.is_some()),
    ];
    match asked.iter().find(|(_, asked)| *asked) {
        Some((param, _)) => Err(refused(param, format!("{param} is not supported by this engine"))),
        None => Ok(()),
    }
}

#[cfg(test)]
#[path = "request_tests.rs"]
mod tests;
