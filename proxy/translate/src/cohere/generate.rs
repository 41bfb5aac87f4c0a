//! OpenAI completions ↔ the legacy generate.

use serde::{Deserialize, Serialize};

use super::reply::{End, Metered, failure};
use super::sampling::Sampling;
use crate::completions;
use crate::error::Failure;
use crate::pair::{Back, Cx, Outgoing, Reply};
use crate::peek::PeekError;
use crate::wire::{Members, Raw, Text};
use crate::write::{Choice, Completed};

#[derive(Serialize)]
struct Body<'r> {
    model: &'r str,
    prompt: Text<'r>,
    #[serde(skip_serializing_if = "Option::is_none")]
    num_generations: Option<u64>,
    #[serde(flatten)]
    sampling: Sampling<'r>,
    #[serde(skip_serializing_if = "Option::is_none")]
    logit_bias: Option<Raw<'r>>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    raw_prompting: bool,
    #[serde(flatten)]
    rest: Members<'r>,
}

/// Translates a request.
pub(super) fn request(asked: &completions::Request<'_>, cx: &Cx<'_>) -> Result<Outgoing, PeekError> {
    let sampling = Sampling::of_completion(asked);
    let raw_prompting = asked.use_raw_prompt == Some(true);
    let ours: &[&str] = match (asked.n.is_some(), raw_prompting) {
        (false, false) => &[],
        (true, false) => &["num_generations"],
        (false, true) => &["raw_prompting"],
        (true, true) => &["num_generations", "raw_prompting"],
    };
    let body = Body {
        model: cx.model,
        prompt: asked.single_prompt()?,
        num_generations: asked.n,
        logit_bias: asked.logit_bias,
        raw_prompting,
        rest: sampling.others(&asked.rest, ours),
        sampling,
    };
    Outgoing::new("/v1/generate", &body)
}

/// An answer, also as the end of a stream repeats it.
#[derive(Deserialize)]
struct Answer<'m> {
    #[serde(borrow)]
    id: Option<Text<'m>>,
    #[serde(borrow)]
    generations: Option<Vec<Generation<'m>>>,
    meta: Option<Metered>,
}

#[derive(Deserialize)]
struct Generation<'m> {
    #[serde(borrow)]
    text: Option<Text<'m>>,
    #[serde(borrow)]
    finish_reason: Option<Text<'m>>,
}

/// Translates an answer.
pub(super) fn answer<'r>(reply: &Reply<'r>, back: &Back) -> Result<Completed<'r>, Failure> {
    let answer: Answer<'r> = reply.json()?;
    let Some(generations) = answer.generations else { return Err(failure(reply.body, "generations", &back.secrets)) };
    let choices = generations.into_iter().map(|generation| {
        let end = End { reason: generation.finish_reason.as_deref(), ..End::default() };
        let finish = end.finish(false, &back.secrets)?;
        Ok(Choice { text: generation.text.unwrap_or_default(), finish, ..Choice::default() })
    });
    let choices = choices.collect::<Result<_, Failure>>()?;
    Ok(Completed { id: answer.id, model: None, choices, usage: answer.meta.and_then(|meta| meta.usage()) })
}
