//! The turns of a conversation.

use std::borrow::Cow;

use serde::Deserialize;

use super::content::Content;
use crate::params::wrong;
use crate::peek::PeekError;
use crate::wire::{Raw, Text, record};

/// Whose turn it is.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Instructions.
    System,
    /// Instructions, by their newer name.
    Developer,
    /// The person asking.
    #[default]
    User,
    /// The model.
    Assistant,
    /// The result of a tool call.
    Tool,
    /// The result of a legacy function call.
    Function,
}

record! {
    /// One turn.
    Message {
        /// Whose turn.
        "role" => role: Role,
        /// What is said.
        "content" => content: Option<Content<'a>>,
        /// Who of several speaks; or the legacy function.
        "name" => name: Option<Text<'a>>,
        /// Of the assistant: that it would not answer.
        "refusal" => refusal: Option<Text<'a>>,
        /// Of the assistant: a spoken answer.
        "audio" => audio: Option<Raw<'a>>,
        /// Of the assistant: tools called.
        "tool_calls" => tool_calls: Option<Vec<ToolCall<'a>>>,
        /// Of the assistant: legacy form of a tool call.
        "function_call" => function_call: Option<Raw<'a>>,
        /// Of a tool: the call that this is the result of.
        "tool_call_id" => tool_call_id: Option<Text<'a>>,
        /// Of the assistant: its reasoning, as text.
        "reasoning_content" => reasoning_content: Option<Text<'a>>,
        /// Of the assistant: its reasoning with what the provider needs to accept it again.
        "reasoning_details" => reasoning_details: Option<Vec<Detail<'a>>>,
        /// That the prompt up to here is to be cached; the value is the provider's.
        "cache_control" => cache_control: Option<Raw<'a>>,
    }
}

impl<'a> Message<'a> {
    /// The tools called, none being none.
    pub fn tool_calls(&self) -> &[ToolCall<'a>] {
        self.tool_calls.as_deref().unwrap_or_default()
    }

    /// The reasoning of one provider, by its `format`.
    pub fn details(&self, format: &'static str) -> impl Iterator<Item = &Detail<'a>> {
        let all = self.reasoning_details.as_deref().unwrap_or_default().iter();
        all.filter(move |detail| detail.format.as_deref() == Some(format))
    }
}

record! {
    /// A tool call in an assistant's turn.
    ToolCall {
        /// Which call it is.
        "id" => id: Text<'a>,
        /// `function` or `custom`.
        "type" => kind: Option<Text<'a>>,
        /// The function called.
        "function" => function: Option<Function<'a>>,
        /// The custom tool called: `{"name", "input"}`.
        "custom" => custom: Option<Raw<'a>>,
    }
}

impl ToolCall<'_> {
    /// The function's name and its arguments, which are a JSON object; none at all are an empty one.
    ///
    /// # Errors
    /// What is wrong with the call, to be said behind its place.
    pub(crate) fn called(&self) -> Result<(&str, Raw<'_>), &'static str> {
        let function = self.function.as_ref().ok_or("must be a function call")?;
        let arguments = if function.arguments.trim().is_empty() { "{}" } else { &*function.arguments };
        let arguments: Raw<'_> = serde_json::from_str(arguments).map_err(|_| "must have arguments that are JSON")?;
        if !arguments.get().starts_with('{') {
            return Err("must have arguments that are a JSON object");
        }
        Ok((&function.name, arguments))
    }
}

record! {
    /// A function that was called.
    Function {
        /// Its name.
        "name" => name: Text<'a>,
        /// Its arguments: JSON text, if the model made no mistake.
        "arguments" => arguments: Text<'a>,
    }
}

record! {
    /// A piece of reasoning, in the form that answers of this gateway have it: `reasoning.text` with `text` and
    /// `signature`, or `reasoning.encrypted` with `data`. `format` says whose it is.
    Detail {
        /// `reasoning.text` or `reasoning.encrypted`.
        "type" => kind: Option<Text<'a>>,
        /// Whose it is: no provider takes that of another.
        "format" => format: Option<Text<'a>>,
        /// Its place among the others.
        "index" => index: Option<u64>,
        /// The reasoning.
        "text" => text: Option<Text<'a>>,
        /// The provider's proof that the text is its own.
        "signature" => signature: Option<Text<'a>>,
        /// Reasoning that only the provider can read.
        "data" => data: Option<Text<'a>>,
    }
}

/// A message's place in the request.
#[derive(Clone, Copy)]
pub(crate) struct Place(pub usize);

impl Place {
    /// An error about a member of the message.
    pub fn wrong(self, member: &str, problem: impl Into<Cow<'static, str>>) -> PeekError {
        wrong(format!("messages[{}].{member}", self.0), problem)
    }
}
