//! Whole answers of chat and completions.

use std::borrow::Cow;

use serde::Serialize;
use serde::ser::{SerializeMap, SerializeSeq, Serializer};
use serde_json::Value;
use serde_json::value::RawValue;

use super::{Finish, Reasoning, call_id};
use crate::wire::{Raw, Text};
use crate::{Fill, Task, Usage};

/// What a provider answered, ready to be written as OpenAI's answer.
#[derive(Clone, Default)]
pub struct Completed<'a> {
    /// The provider's id for the answer.
    pub id: Option<Text<'a>>,
    /// The model that answered, as the provider says it.
    pub model: Option<Text<'a>>,
    /// The answers.
    pub choices: Vec<Choice<'a>>,
    /// The tokens, if the provider says.
    pub usage: Option<Usage>,
}

/// One of the answers.
#[derive(Clone, Default)]
pub struct Choice<'a> {
    /// The text; no text at all and an empty one are the same.
    pub text: Text<'a>,
    /// The reasoning as text.
    pub reasoning: Option<Text<'a>>,
    /// The reasoning as the provider wants it back.
    pub details: Vec<Reasoning<'a>>,
    /// Tools to be called.
    pub calls: Vec<Call<'a>>,
    /// Why it ended.
    pub finish: Finish,
    /// In OpenAI's form.
    pub logprobs: Option<Cow<'a, RawValue>>,
    /// What OpenAI has no member for (citations, safety ratings), under the provider's name.
    pub own: Option<(&'static str, Value)>,
}

/// A tool call.
#[derive(Clone, Default)]
pub struct Call<'a> {
    /// Which call it is; `None` if the provider has no ids.
    pub id: Option<Text<'a>>,
    /// The tool's name.
    pub name: Text<'a>,
    /// Its arguments as JSON text; empty is `{}`.
    pub arguments: Text<'a>,
}

impl Completed<'_> {
    /// Writes the answer.
    pub(crate) fn write(&self, task: Task, fill: &Fill) -> Vec<u8> {
        let mut out = Vec::with_capacity(512 + self.answer_chars() as usize);
        super::json(&mut out, &Written { answer: self, task, fill });
        out
    }

    /// Characters of the answer, for estimates.
    pub(crate) fn answer_chars(&self) -> u64 {
        let chars = |text: &str| text.chars().count() as u64;
        let of_choice = |choice: &Choice<'_>| {
            let calls: u64 = choice.calls.iter().map(|call| chars(&call.name) + chars(&call.arguments)).sum();
            chars(&choice.text) + choice.reasoning.as_deref().map_or(0, chars) + calls
        };
        self.choices.iter().map(of_choice).sum()
    }
}

struct Written<'w> {
    answer: &'w Completed<'w>,
    task: Task,
    fill: &'w Fill,
}

impl Serialize for Written<'_> {
    fn serialize<S: Serializer>(&self, json: S) -> Result<S::Ok, S::Error> {
        let Self { answer, task, fill } = self;
        let filled = |text: &'_ Option<Text<'_>>, instead: &str| {
            text.as_deref().filter(|text| !text.is_empty()).unwrap_or(instead).to_owned()
        };
        let mut map = json.serialize_map(None)?;
        map.serialize_entry("id", &filled(&answer.id, &fill.id))?;
        map.serialize_entry("object", task.answer_object())?;
        map.serialize_entry("created", &fill.created)?;
        map.serialize_entry("model", &filled(&answer.model, &fill.model))?;
        map.serialize_entry("choices", &Choices(self))?;
        if let Some(usage) = &answer.usage {
            map.serialize_entry("usage", usage)?;
        }
        map.end()
    }
}

struct Choices<'w>(&'w Written<'w>);

impl Serialize for Choices<'_> {
    fn serialize<S: Serializer>(&self, json: S) -> Result<S::Ok, S::Error> {
        let Written { answer, task, fill } = self.0;
        let mut seq = json.serialize_seq(Some(answer.choices.len()))?;
        for (index, choice) in answer.choices.iter().enumerate() {
            let message = Message { choice, index: index as u32, fill };
            seq.serialize_element(&match task {
                Task::Chat => WrittenChoice {
                    index,
                    message: Some(message),
                    text: None,
                    logprobs: choice.logprobs.as_deref(),
                    finish_reason: choice.finish,
                },
                Task::Completions | Task::Embeddings => WrittenChoice {
                    index,
                    message: None,
                    text: Some(&choice.text),
                    logprobs: choice.logprobs.as_deref(),
                    finish_reason: choice.finish,
                },
            })?;
        }
        seq.end()
    }
}

#[derive(Serialize)]
struct WrittenChoice<'w> {
    index: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<Message<'w>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    text: Option<&'w str>,
    logprobs: Option<Raw<'w>>,
    finish_reason: Finish,
}

struct Message<'w> {
    choice: &'w Choice<'w>,
    index: u32,
    fill: &'w Fill,
}

impl Serialize for Message<'_> {
    fn serialize<S: Serializer>(&self, json: S) -> Result<S::Ok, S::Error> {
        let choice = self.choice;
        let mut map = json.serialize_map(None)?;
        map.serialize_entry("role", "assistant")?;
        if choice.text.is_empty() && !choice.calls.is_empty() {
            map.serialize_entry("content", &())?;
        } else {
            map.serialize_entry("content", &choice.text)?;
        }
        if let Some(reasoning) = choice.reasoning.as_deref().filter(|text| !text.is_empty()) {
            map.serialize_entry("reasoning_content", reasoning)?;
        }
        if !choice.details.is_empty() {
            map.serialize_entry("reasoning_details", &choice.details)?;
        }
        if !choice.calls.is_empty() {
            let calls = choice.calls.iter().enumerate().map(|(at, call)| {
                let own = call.id.as_deref().filter(|id| !id.is_empty()).map(str::to_owned);
                let arguments = if call.arguments.trim().is_empty() { "{}" } else { &call.arguments };
                WrittenCall {
                    id: own.unwrap_or_else(|| call_id(self.fill, self.index, at)),
                    kind: "function",
                    function: Function { name: &call.name, arguments },
                }
            });
            map.serialize_entry("tool_calls", &calls.collect::<Vec<_>>())?;
        }
        if let Some((provider, own)) = &choice.own {
            map.serialize_entry(provider, own)?;
        }
        map.end()
    }
}

#[derive(Serialize)]
struct WrittenCall<'w> {
    id: String,
    #[serde(rename = "type")]
    kind: &'static str,
    function: Function<'w>,
}

#[derive(Serialize)]
struct Function<'w> {
    name: &'w str,
    arguments: &'w str,
}
