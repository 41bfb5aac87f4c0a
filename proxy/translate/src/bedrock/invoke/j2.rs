//! OpenAI completions ↔ AI21 Jurassic-2.
//!
//! Source: Amazon Bedrock user guide, "AI21 Labs Jurassic-2 models".

use serde::{Deserialize, Serialize};

use super::{path, usage};
use crate::bedrock::error::instead;
use crate::completions;
use crate::error::Failure;
use crate::pair::{Back, Cx, Outgoing, Reply};
use crate::peek::PeekError;
use crate::wire::{Members, Raw, Text};
use crate::write::{Choice, Completed, Finish};

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Body<'r> {
    prompt: Text<'r>,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_tokens: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    num_results: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    temperature: Option<Raw<'r>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    top_p: Option<Raw<'r>>,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    stop_sequences: &'r [Text<'r>],
    #[serde(skip_serializing_if = "Option::is_none")]
    frequency_penalty: Option<Penalty<'r>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    presence_penalty: Option<Penalty<'r>>,
    #[serde(flatten)]
    rest: Members<'r>,
}

#[derive(Serialize)]
struct Penalty<'r> {
    scale: Raw<'r>,
}

/// Translates a request.
pub(in crate::bedrock) fn request(asked: &completions::Request<'_>, cx: &Cx<'_>) -> Result<Outgoing, PeekError> {
    let body = Body {
        prompt: asked.single_prompt()?,
        max_tokens: asked.max_tokens.or(cx.default_max_tokens),
        num_results: asked.n,
        temperature: asked.temperature,
        top_p: asked.top_p,
        stop_sequences: &asked.stop.0,
        frequency_penalty: asked.frequency_penalty.map(|scale| Penalty { scale }),
        presence_penalty: asked.presence_penalty.map(|scale| Penalty { scale }),
        rest: Members::of(&asked.rest, |key| match key {
            "maxTokens" => asked.max_tokens.or(cx.default_max_tokens).is_none(),
            "numResults" => asked.n.is_none(),
            "topP" => asked.top_p.is_none(),
            "stopSequences" => asked.stop.0.is_empty(),
            "frequencyPenalty" => asked.frequency_penalty.is_none(),
            "presencePenalty" => asked.presence_penalty.is_none(),
            _ => true,
        }),
    };
    Outgoing::new(path(cx.model, None), &body)
}

#[derive(Deserialize)]
struct Answer<'a> {
    #[serde(borrow)]
    completions: Option<Vec<Completion<'a>>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Completion<'a> {
    #[serde(borrow)]
    data: Data<'a>,
    #[serde(borrow)]
    finish_reason: Option<Reason<'a>>,
}

#[derive(Deserialize)]
struct Data<'a> {
    #[serde(borrow)]
    text: Text<'a>,
}

#[derive(Deserialize)]
struct Reason<'a> {
    #[serde(borrow)]
    reason: Option<Text<'a>>,
}

/// Translates an answer. Its `id` is the same for all.
pub(in crate::bedrock) fn answer<'r>(reply: &Reply<'r>, back: &Back) -> Result<Completed<'r>, Failure> {
    let answer: Answer<'r> = reply.json()?;
    let completions = answer.completions.ok_or_else(|| instead(reply, &back.secrets, "completions"))?;
    let choices = completions.into_iter().map(|completion| {
        let reason = completion.finish_reason.and_then(|reason| reason.reason);
        let finish = if reason.as_deref() == Some("length") { Finish::Length } else { Finish::Stop };
        Choice { text: completion.data.text, finish, ..Choice::default() }
    });
    Ok(Completed { choices: choices.collect(), usage: usage(reply), ..Completed::default() })
}
