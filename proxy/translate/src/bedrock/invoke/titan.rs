//! OpenAI completions ↔ Amazon Titan Text.
//!
//! Source: Amazon Bedrock user guide, "Amazon Titan Text models", and "Use a guardrail with InvokeModel" for what a
//! guardrail adds.

use serde::{Deserialize, Serialize};

use super::{path, usage, wrapped};
use crate::bedrock::error::instead;
use crate::completions;
use crate::error::{Broken, Failure};
use crate::pair::{Back, Cx, Outgoing, Reply};
use crate::peek::PeekError;
use crate::split::Event;
use crate::stream::{Flow, Machine};
use crate::wire::{Members, Raw, Text};
use crate::write::{Choice, Chunks, Completed, Finish};
use crate::{Count, Usage};

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Body<'r> {
    input_text: Text<'r>,
    #[serde(skip_serializing_if = "Config::is_empty")]
    text_generation_config: Config<'r>,
    #[serde(flatten)]
    rest: Members<'r>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Config<'r> {
    #[serde(skip_serializing_if = "Option::is_none")]
    max_token_count: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    temperature: Option<Raw<'r>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    top_p: Option<Raw<'r>>,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    stop_sequences: &'r [Text<'r>],
}

impl Config<'_> {
    fn is_empty(&self) -> bool {
        let Self { max_token_count, temperature, top_p, stop_sequences } = self;
        max_token_count.is_none() && temperature.is_none() && top_p.is_none() && stop_sequences.is_empty()
    }
}

/// Translates a request.
pub(in crate::bedrock) fn request(asked: &completions::Request<'_>, cx: &Cx<'_>) -> Result<Outgoing, PeekError> {
    let config = Config {
        max_token_count: asked.max_tokens.or(cx.default_max_tokens),
        temperature: asked.temperature,
        top_p: asked.top_p,
        stop_sequences: &asked.stop.0,
    };
    let body = Body {
        input_text: asked.single_prompt()?,
        rest: Members::of(&asked.rest, |key| match key {
            "textGenerationConfig" => config.is_empty(),
            key => key != "inputText",
        }),
        text_generation_config: config,
    };
    Outgoing::new(path(cx.model, asked.stream), &body)
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Answer<'a> {
    input_text_token_count: Option<Count>,
    #[serde(borrow)]
    results: Option<Vec<Piece<'a>>>,
    #[serde(borrow, rename = "amazon-bedrock-guardrailAction")]
    guardrail: Option<Text<'a>>,
}

/// A result, or one event of a stream.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Piece<'a> {
    #[serde(borrow)]
    output_text: Option<Text<'a>>,
    #[serde(borrow)]
    completion_reason: Option<Text<'a>>,
    token_count: Option<Count>,
    input_text_token_count: Option<Count>,
    total_output_text_token_count: Option<Count>,
    #[serde(borrow, rename = "amazon-bedrock-guardrailAction")]
    guardrail: Option<Text<'a>>,
}

/// `completionReason` in OpenAI's words; a guardrail that did something says more.
fn finish(reason: Option<&str>, guardrail: Option<&str>) -> Finish {
    match (reason, guardrail) {
        (Some("CONTENT_FILTERED"), _) | (_, Some("INTERVENED")) => Finish::ContentFilter,
        (Some("LENGTH"), _) => Finish::Length,
        _ => Finish::Stop,
    }
}

fn tokens(input: Option<Count>, output: Option<Count>) -> Option<Usage> {
    let count = |count: Option<Count>| count.unwrap_or_default().0;
    let usage = Usage { fresh_input: count(input), output: count(output), ..Usage::default() };
    input.or(output).map(|_| usage)
}

/// Translates an answer.
pub(in crate::bedrock) fn answer<'r>(reply: &Reply<'r>, back: &Back) -> Result<Completed<'r>, Failure> {
    let answer: Answer<'r> = reply.json()?;
    let results = answer.results.ok_or_else(|| instead(reply, &back.secrets, "results"))?;
    let output = results.iter().filter_map(|result| result.token_count).reduce(|a, b| Count(a.0.saturating_add(b.0)));
    let guardrail = answer.guardrail.as_deref();
    let choices = results.into_iter().map(|result| Choice {
        finish: finish(result.completion_reason.as_deref(), guardrail),
        text: result.output_text.unwrap_or_default(),
        ..Choice::default()
    });
    Ok(Completed {
        choices: choices.collect(),
        usage: tokens(answer.input_text_token_count, output).or_else(|| usage(reply)),
        ..Completed::default()
    })
}

#[derive(Default)]
struct Titan {
    input: Option<Count>,
}

/// For one stream.
pub(in crate::bedrock) fn machine(_: &Back) -> Box<dyn Machine> {
    wrapped(Box::new(Titan::default()))
}

impl Machine for Titan {
    fn event(&mut self, event: &Event<'_>, out: &mut Chunks) -> Result<Flow, Failure> {
        let piece: Piece<'_> = serde_json::from_slice(event.data).map_err(|_| Broken::NotJson)?;
        out.text(0, piece.output_text.as_deref().unwrap_or_default());
        self.input = piece.input_text_token_count.or(self.input);
        // A blocked answer ends without a reason, but not without a count.
        if piece.completion_reason.is_none() && piece.total_output_text_token_count.is_none() {
            return Ok(Flow::More);
        }
        if let Some(usage) = tokens(self.input, piece.total_output_text_token_count) {
            out.usage(usage);
        }
        out.finish(0, finish(piece.completion_reason.as_deref(), piece.guardrail.as_deref()));
        Ok(Flow::Done)
    }
}
