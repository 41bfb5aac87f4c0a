//! OpenAI completions ↔ Cohere Command.
//!
//! Source: Amazon Bedrock user guide, "Cohere Command models".

use serde::{Deserialize, Serialize};

use super::{path, usage, wrapped};
use crate::bedrock::error::instead;
use crate::completions;
use crate::error::{Broken, Failure, ProviderError};
use crate::pair::{Back, Cx, Outgoing, Reply};
use crate::peek::PeekError;
use crate::split::Event;
use crate::stream::{Flow, Machine};
use crate::wire::{Members, Raw, Text};
use crate::write::{Choice, Chunks, Completed, Finish};

#[derive(Serialize)]
struct Body<'r> {
    prompt: Text<'r>,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_tokens: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    temperature: Option<Raw<'r>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    p: Option<Raw<'r>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    k: Option<Raw<'r>>,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    stop_sequences: &'r [Text<'r>],
    #[serde(skip_serializing_if = "Option::is_none")]
    num_generations: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    logit_bias: Option<Raw<'r>>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    stream: bool,
    #[serde(flatten)]
    rest: Members<'r>,
}

/// Translates a request.
pub(in crate::bedrock) fn request(asked: &completions::Request<'_>, cx: &Cx<'_>) -> Result<Outgoing, PeekError> {
    let body = Body {
        prompt: asked.single_prompt()?,
        max_tokens: asked.max_tokens.or(cx.default_max_tokens),
        temperature: asked.temperature,
        p: asked.top_p,
        k: asked.top_k,
        stop_sequences: &asked.stop.0,
        num_generations: asked.n,
        logit_bias: asked.logit_bias,
        stream: asked.stream == Some(true),
        rest: Members::of(&asked.rest, |key| match key {
            "p" => asked.top_p.is_none(),
            "k" => asked.top_k.is_none(),
            "num_generations" => asked.n.is_none(),
            key => key != "stop_sequences" || asked.stop.0.is_empty(),
        }),
    };
    Outgoing::new(path(cx.model, asked.stream), &body)
}

#[derive(Deserialize)]
struct Answer<'a> {
    #[serde(borrow)]
    id: Option<Text<'a>>,
    #[serde(borrow)]
    generations: Option<Vec<Generation<'a>>>,
}

/// A generation, or one event of a stream.
#[derive(Deserialize)]
struct Generation<'a> {
    index: Option<u32>,
    #[serde(borrow)]
    text: Option<Text<'a>>,
    #[serde(borrow)]
    finish_reason: Option<Text<'a>>,
    #[serde(default)]
    is_finished: bool,
}

/// `finish_reason` in OpenAI's words.
fn finish(reason: Option<&str>) -> Result<Finish, Failure> {
    match reason {
        Some("MAX_TOKENS") => Ok(Finish::Length),
        Some("ERROR_TOXIC") => Ok(Finish::ContentFilter),
        Some("ERROR") => Err(Failure::Provider(ProviderError {
            message: "the model failed while it answered".into(),
            kind: Some("ERROR".into()),
            status: Some(502),
            ..ProviderError::default()
        })),
        _ => Ok(Finish::Stop),
    }
}

/// Translates an answer.
pub(in crate::bedrock) fn answer<'r>(reply: &Reply<'r>, back: &Back) -> Result<Completed<'r>, Failure> {
    let answer: Answer<'r> = reply.json()?;
    let generations = answer.generations.ok_or_else(|| instead(reply, &back.secrets, "generations"))?;
    let choices = generations.into_iter().map(|generation| {
        let finish = finish(generation.finish_reason.as_deref())?;
        Ok(Choice { text: generation.text.unwrap_or_default(), finish, ..Choice::default() })
    });
    let choices: Result<_, Failure> = choices.collect();
    Ok(Completed { id: answer.id, choices: choices?, usage: usage(reply), ..Completed::default() })
}

/// The last event is the one with Bedrock's metrics: with several answers each has an end of its own.
struct Command;

/// For one stream.
pub(in crate::bedrock) fn machine(_: &Back) -> Box<dyn Machine> {
    wrapped(Box::new(Command))
}

impl Machine for Command {
    fn event(&mut self, event: &Event<'_>, out: &mut Chunks) -> Result<Flow, Failure> {
        let piece: Generation<'_> = serde_json::from_slice(event.data).map_err(|_| Broken::NotJson)?;
        let choice = piece.index.unwrap_or_default();
        if !piece.is_finished {
            out.text(choice, piece.text.as_deref().unwrap_or_default());
        } else {
            out.finish(choice, finish(piece.finish_reason.as_deref())?);
        }
        Ok(Flow::More)
    }
}
