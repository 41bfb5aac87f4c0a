//! AI21's chat answer → OpenAI's, whose form it nearly has.

use serde::Deserialize;

use super::failure;
use crate::error::Failure;
use crate::pair::{Back, JSON_TOOL, Reply};
use crate::wire::{Raw, Text};
use crate::write::{Call, Choice, Completed, Finish};
use crate::{Count, Usage};

/// An answer, or one event of a stream. It has neither `object` nor `created`.
#[derive(Deserialize)]
pub(super) struct Answer<'m> {
    #[serde(borrow)]
    pub id: Option<Text<'m>>,
    #[serde(borrow)]
    pub model: Option<Text<'m>>,
    #[serde(borrow)]
    pub choices: Option<Vec<Answered<'m>>>,
    #[serde(borrow)]
    usage: Option<Raw<'m>>,
}

impl Answer<'_> {
    pub fn usage(&self) -> Option<Usage> {
        self.usage.and_then(|usage| Usage::from_openai(usage.get()))
    }
}

#[derive(Deserialize)]
pub(super) struct Answered<'m> {
    pub index: Option<Count>,
    /// In a stream `delta`.
    #[serde(borrow, alias = "delta")]
    pub message: Option<Said<'m>>,
    #[serde(borrow)]
    pub finish_reason: Option<Text<'m>>,
}

#[derive(Default, Deserialize)]
pub(super) struct Said<'m> {
    #[serde(borrow)]
    pub content: Option<Text<'m>>,
    #[serde(borrow)]
    pub tool_calls: Option<Vec<SaidCall<'m>>>,
}

#[derive(Deserialize)]
pub(super) struct SaidCall<'m> {
    pub index: Option<Count>,
    #[serde(borrow)]
    pub id: Option<Text<'m>>,
    #[serde(borrow)]
    pub function: Option<SaidFunction<'m>>,
}

#[derive(Deserialize)]
pub(super) struct SaidFunction<'m> {
    #[serde(borrow)]
    pub name: Option<Text<'m>>,
    #[serde(borrow)]
    pub arguments: Option<Text<'m>>,
}

/// Translates an answer.
pub(super) fn answer<'r>(reply: &Reply<'r>, back: &Back) -> Result<Completed<'r>, Failure> {
    let answer: Answer<'r> = reply.json()?;
    let usage = answer.usage();
    let Some(mut answered) = answer.choices else { return Err(failure(reply.body, "choices", &back.secrets)) };
    answered.sort_by_key(|choice| choice.index);
    let choices = answered.into_iter().map(|answered| choice(answered, back.asked.json_tool)).collect();
    Ok(Completed { id: answer.id, model: answer.model, choices, usage })
}

fn choice(answered: Answered<'_>, json_tool: bool) -> Choice<'_> {
    let said = answered.message.unwrap_or_default();
    let mut choice = Choice { text: said.content.unwrap_or_default(), ..Choice::default() };
    for call in said.tool_calls.unwrap_or_default() {
        let Some(SaidFunction { name, arguments }) = call.function else { continue };
        let (name, arguments) = (name.unwrap_or_default(), arguments.unwrap_or_default());
        if json_tool && &*name == JSON_TOOL {
            choice.text = Text(format!("{}{}", &*choice.text, &*arguments).into());
        } else {
            choice.calls.push(Call { id: call.id, name, arguments });
        }
    }
    choice.finish = finish(answered.finish_reason.as_deref(), !choice.calls.is_empty());
    choice
}

/// `finish_reason` is OpenAI's; a call that was the answer itself is none to make.
pub(super) fn finish(reason: Option<&str>, has_calls: bool) -> Finish {
    match reason {
        Some("length") => Finish::Length,
        Some("content_filter") => Finish::ContentFilter,
        _ if has_calls => Finish::ToolCalls,
        _ => Finish::Stop,
    }
}
