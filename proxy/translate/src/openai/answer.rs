//! Whole answers of providers that speak the client's schema.

use std::convert::Infallible;

use bytes::Bytes;

use super::fields::{Fields, filled, positive, set};
use crate::error::{Broken, Failure, ProviderError};
use crate::json::{self, Fault};
use crate::mask::Secrets;
use crate::splice::{self, Edit, ObjectEdits};
use crate::{Fill, Task, Usage, text};

/// A good answer, ready for the client.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The body: upstream's bytes, if nothing had to be repaired.
    pub body: Bytes,
    /// The provider's usage, if it gave one.
    pub usage: Option<Usage>,
    /// Characters of the answer, for [`Usage::estimated`] where the provider gives no usage.
    pub answer_chars: u64,
}

/// Checks an answer that came with a 2xx status and fills what contract §8.6 names: a missing or empty `id`,
/// `object`, `created`, `model`, and a choice's `message`.
///
/// # Errors
/// [`Failure::Broken`] for a body that is no JSON object or has no `choices` (`data` for embeddings), and
/// [`Failure::Provider`] for an error object in place of an answer. `secrets` are masked in its texts.
pub fn answer(body: &Bytes, task: Task, fill: &Fill, secrets: &Secrets) -> Result<Answer, Failure> {
    let text = std::str::from_utf8(body).map_err(|_| Broken::NotJson)?;
    let fields = Fields::read(text).ok_or(Broken::NotJson)?;
    if fields.is_error() {
        return Err(Failure::Provider(ProviderError::read(body, secrets)));
    }
    let (name, content) = match task {
        Task::Chat | Task::Completions => ("choices", &fields.choices),
        Task::Embeddings => ("data", &fields.data),
    };
    let content = content.as_ref().filter(|content| content.value.starts_with('[')).ok_or(Broken::Lacks(name))?;

    let mut edits = ObjectEdits::new(text.find('{').unwrap_or_default(), fields.count);
    if task != Task::Embeddings {
        if filled(&fields.id).is_none() {
            set(&mut edits, "id", &fields.id, &json::quote(&fill.id));
        }
        if positive(&fields.created).is_none() {
            set(&mut edits, "created", &fields.created, &fill.created.to_string());
        }
    }
    if filled(&fields.object).is_none() {
        set(&mut edits, "object", &fields.object, &json::quote(task.answer_object()));
    }
    if filled(&fields.model).is_none() {
        set(&mut edits, "model", &fields.model, &json::quote(&fill.model));
    }
    let mut edits = edits.into_edits(text);
    if task == Task::Chat {
        fill_messages(text, content.value, &mut edits)?;
    }
    let body = if edits.is_empty() { body.clone() } else { Bytes::from(splice::apply(text, edits)) };
    let usage = fields.usage.as_ref().and_then(|usage| Usage::from_openai(usage.value));
    let answer_chars = if task == Task::Embeddings { 0 } else { text::tally(content.value).chars };
    Ok(Answer { body, usage, answer_chars })
}

/// Gives every choice without a message an empty one, as clients read `choices[0].message.content` unasked.
fn fill_messages(text: &str, choices: &str, edits: &mut Vec<Edit<'static>>) -> Result<(), Failure> {
    const EMPTY: &str = r#"{"role":"assistant","content":""}"#;
    let walk = json::elements(choices, |choice| {
        let mut message = None;
        let at = json::offset(text, choice);
        let count = json::members(choice, |member| {
            if member.key == "message" {
                message = Some((member.value, member.value_span()));
            }
            Ok::<_, Infallible>(())
        })
        .map_err(|_| Broken::Lacks("choices"))?;
        match message {
            None => {
                let mut choice = ObjectEdits::new(at, count);
                choice.insert("message", EMPTY);
                edits.extend(choice.into_edits(text));
            }
            Some(("null" | "{}", span)) => edits.push(Edit::replace(at + span.start..at + span.end, EMPTY)),
            Some(_) => {}
        }
        Ok(())
    });
    match walk {
        Err(Fault::Stopped(broken)) => Err(Failure::Broken(broken)),
        Err(_) => Err(Broken::NotJson.into()),
        Ok(_) => Ok(()),
    }
}

#[cfg(test)]
#[path = "answer_tests.rs"]
mod tests;
