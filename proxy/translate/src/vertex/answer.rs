//! `generateContent` → OpenAI answer.

use std::borrow::Cow;

use serde_json::{Map, Value};

use super::PROVIDER;
use super::parts::{Numbers, Piece, Reading};
use super::wire::{Candidate, Reason, blocked, finish, read};
use crate::error::{Broken, Failure};
use crate::pair::{Back, Reply};
use crate::wire::Text;
use crate::write::{self, Choice, Completed, Finish};

/// The member under which citations are kept.
pub(super) const CITATIONS: &str = "citations";

/// Translates an answer.
pub(super) fn answer<'r>(reply: &Reply<'r>, back: &Back) -> Result<Completed<'r>, Failure> {
    let answer = read(reply.body, &back.secrets)?;
    let mut candidates = answer.candidates.unwrap_or_default();
    candidates.sort_by_key(|candidate| candidate.index.unwrap_or_default());
    let mut choices = Vec::with_capacity(candidates.len());
    for (at, candidate) in candidates.into_iter().enumerate() {
        let reading = Reading { choice: at, id: answer.id.as_deref(), json_tool: back.asked.json_tool };
        choices.push(choice(candidate, reading));
    }
    if let Some(feedback) = blocked(answer.feedback) {
        if choices.is_empty() {
            choices.push(Choice { finish: Finish::ContentFilter, ..Choice::default() });
        }
        if let Some(choice) = choices.first_mut() {
            let (_, own) = choice.own.get_or_insert_with(|| (PROVIDER, Value::Object(Map::new())));
            own["promptFeedback"] = feedback;
        }
    }
    if choices.is_empty() {
        return Err(Broken::Lacks("candidates").into());
    }
    let usage = answer.usage.map(|tokens| tokens.usage());
    Ok(Completed { id: answer.id, model: answer.model, choices, usage })
}

fn choice<'r>(candidate: Candidate<'r>, reading: Reading<'_>) -> Choice<'r> {
    let mut choice = Choice::default();
    let mut own = Map::new();
    let mut own_parts = Vec::new();
    let mut numbers = Numbers::default();
    let (mut texts, mut thoughts) = (Vec::new(), Vec::new());
    candidate.own_into(&mut own);
    for part in candidate.content.unwrap_or_default().parts {
        let (piece, detail) = numbers.part(part, reading);
        match piece {
            Some(Piece::Text(text)) => texts.push(text),
            Some(Piece::Thought(text)) => thoughts.push(text),
            Some(Piece::Call { id, name, arguments }) => choice.calls.push(write::Call { id, name, arguments }),
            Some(Piece::Own(mut part)) => own_parts.append(part["parts"].as_array_mut().unwrap_or(&mut Vec::new())),
            None => {}
        }
        choice.details.extend(detail);
    }
    if !own_parts.is_empty() {
        own.insert("parts".into(), own_parts.into());
    }
    let citations = numbers.citations(candidate.citations.map(|all| all.citations).unwrap_or_default());
    if !citations.is_empty() {
        own.insert(CITATIONS.into(), citations.into());
    }
    choice.text = joined(texts);
    choice.reasoning = Some(joined(thoughts));
    let reason = candidate.reason.as_ref().and_then(Reason::name).unwrap_or_default();
    choice.finish = finish(reason, numbers.has_calls());
    let logprobs = candidate.logprobs.and_then(|logprobs| logprobs.written());
    choice.logprobs = logprobs.and_then(|value| serde_json::value::to_raw_value(&value).ok()).map(Cow::Owned);
    choice.own = (!own.is_empty()).then(|| (PROVIDER, own.into()));
    choice
}

/// Several texts with nothing between them (contract §8.6).
fn joined<'m>(mut texts: Vec<Text<'m>>) -> Text<'m> {
    if texts.len() < 2 {
        return texts.pop().unwrap_or_default();
    }
    Text(texts.iter().map(|text| &**text).collect::<String>().into())
}

#[cfg(test)]
#[path = "answer_tests.rs"]
mod tests;
