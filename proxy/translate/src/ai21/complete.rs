//! OpenAI completions ↔ the Jurassic-2 Complete API.

use std::borrow::Cow;

use serde::de::IgnoredAny;
use serde::{Deserialize, Serialize};

use super::failure;
use crate::error::Failure;
use crate::pair::{Back, Cx, Outgoing, Reply, segment};
use crate::peek::PeekError;
use crate::wire::{Members, Raw, Text};
use crate::write::{Choice, Completed, Finish};
use crate::{Usage, completions};

/// What is asked of the API, here and on other clouds.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Body<'r> {
    prompt: Text<'r>,
    #[serde(skip_serializing_if = "Option::is_none")]
    num_results: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_tokens: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    temperature: Option<Raw<'r>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    top_p: Option<Raw<'r>>,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    stop_sequences: &'r [Text<'r>],
    #[serde(skip_serializing_if = "Option::is_none")]
    presence_penalty: Option<Penalty<'r>>,
    /// For each time that a token has come, as OpenAI's frequency penalty; `frequencyPenalty` here is by the share of
    /// the text.
    #[serde(skip_serializing_if = "Option::is_none")]
    count_penalty: Option<Penalty<'r>>,
    #[serde(flatten)]
    rest: Members<'r>,
}

#[derive(Serialize)]
struct Penalty<'r> {
    scale: Raw<'r>,
}

/// Translates a request.
pub(super) fn request(asked: &completions::Request<'_>, cx: &Cx<'_>) -> Result<Outgoing, PeekError> {
    Outgoing::new(format!("/{}/complete", segment(cx.model)), &body(asked, asked.max_tokens)?)
}

/// The body of a request for at most so many tokens.
pub(crate) fn body<'r>(asked: &'r completions::Request<'r>, max_tokens: Option<u64>) -> Result<Body<'r>, PeekError> {
    Ok(Body {
        prompt: asked.single_prompt()?,
        num_results: asked.n,
        max_tokens,
        temperature: asked.temperature,
        top_p: asked.top_p,
        stop_sequences: &asked.stop.0,
        presence_penalty: asked.presence_penalty.map(|scale| Penalty { scale }),
        count_penalty: asked.frequency_penalty.map(|scale| Penalty { scale }),
        rest: Members::of(&asked.rest, |key| match key {
            "numResults" => asked.n.is_none(),
            "maxTokens" => max_tokens.is_none(),
            "topP" => asked.top_p.is_none(),
            "stopSequences" => asked.stop.0.is_empty(),
            "presencePenalty" => asked.presence_penalty.is_none(),
            "countPenalty" => asked.frequency_penalty.is_none(),
            _ => true,
        }),
    })
}

#[derive(Deserialize)]
struct Answer<'m> {
    /// A text, or (elsewhere than in AI21 Studio) a number.
    #[serde(borrow)]
    id: Option<Raw<'m>>,
    prompt: Option<Tokens>,
    #[serde(borrow)]
    completions: Option<Vec<Completion<'m>>>,
}

#[derive(Deserialize)]
struct Tokens {
    tokens: Option<Vec<IgnoredAny>>,
}

#[derive(Deserialize)]
struct Completion<'m> {
    #[serde(borrow)]
    data: Data<'m>,
    #[serde(borrow, rename = "finishReason")]
    finish: Option<Reason<'m>>,
}

#[derive(Deserialize)]
struct Data<'m> {
    #[serde(borrow)]
    text: Option<Text<'m>>,
    tokens: Option<Vec<IgnoredAny>>,
}

#[derive(Deserialize)]
struct Reason<'m> {
    #[serde(borrow)]
    reason: Option<Text<'m>>,
}

/// Translates an answer.
pub(super) fn answer<'r>(reply: &Reply<'r>, back: &Back) -> Result<Completed<'r>, Failure> {
    completed(reply, || failure(reply.body, "completions", &back.secrets))
}

/// What an answer says, here and on other clouds; `otherwise` says what one without completions is.
pub(crate) fn completed<'r>(reply: &Reply<'r>, otherwise: impl FnOnce() -> Failure) -> Result<Completed<'r>, Failure> {
    let answer: Answer<'r> = reply.json()?;
    let completions = answer.completions.ok_or_else(otherwise)?;
    let usage = usage(&answer.prompt, &completions);
    let choices = completions.into_iter().map(|completion| {
        let reason = completion.finish.and_then(|finish| finish.reason);
        let finish = if reason.as_deref() == Some("length") { Finish::Length } else { Finish::Stop };
        Choice { text: completion.data.text.unwrap_or_default(), finish, ..Choice::default() }
    });
    let choices = choices.collect();
    let id = answer.id.map(|id| Text(Cow::Borrowed(id.get().trim_matches('"')))).filter(|id| &**id != "null");
    Ok(Completed { id, model: None, choices, usage })
}

/// The API tells no usage, but every token.
fn usage(prompt: &Option<Tokens>, completions: &[Completion<'_>]) -> Option<Usage> {
    let count = |tokens: &Option<Vec<IgnoredAny>>| tokens.as_ref().map(|tokens| tokens.len() as u64);
    let output: Option<u64> = completions.iter().map(|completion| count(&completion.data.tokens)).sum();
    let prompt = count(&prompt.as_ref()?.tokens)?;
    Some(Usage { fresh_input: prompt, output: output?, ..Usage::default() })
}
