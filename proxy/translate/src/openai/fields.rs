//! The members of answers and chunks that are looked at, and their repair.

use std::ops::Range;

use crate::json::{self, Fault, Member};
use crate::splice::ObjectEdits;

/// A member's value and where it and its member lie.
#[derive(Clone, Debug)]
pub(crate) struct Found<'a> {
    pub value: &'a str,
    pub member: Range<usize>,
    pub value_span: Range<usize>,
}

/// What is looked at in the outermost object of an answer or a chunk.
#[derive(Debug, Default)]
pub(crate) struct Fields<'a> {
    pub count: usize,
    pub id: Option<Found<'a>>,
    pub object: Option<Found<'a>>,
    pub created: Option<Found<'a>>,
    pub model: Option<Found<'a>>,
    pub choices: Option<Found<'a>>,
    pub data: Option<Found<'a>>,
    pub usage: Option<Found<'a>>,
    pub error: Option<Found<'a>>,
    pub error_code: Option<Found<'a>>,
}

impl<'a> Fields<'a> {
    /// Reads the object; `None` if the text is none. Of a member given twice the last counts, as it does to clients.
    pub fn read(text: &'a str) -> Option<Self> {
        let mut fields = Self::default();
        let walk = json::members(text, |member| {
            fields.put(member);
            Ok::<_, ()>(())
        });
        match walk {
            Ok(count) => fields.count = count,
            Err(Fault::Json(_) | Fault::Kind | Fault::Stopped(())) => return None,
        }
        Some(fields)
    }

    fn put(&mut self, member: Member<'a>) {
        let slot = match &*member.key {
            "id" => &mut self.id,
            "object" => &mut self.object,
            "created" => &mut self.created,
            "model" => &mut self.model,
            "choices" => &mut self.choices,
            "data" => &mut self.data,
            "usage" => &mut self.usage,
            "error" => &mut self.error,
            "error_code" => &mut self.error_code,
            _ => return,
        };
        *slot = Some(Found { value: member.value, value_span: member.value_span(), member: member.span });
    }

    /// Whether this is an error object in place of an answer: OpenAI's, vLLM's or Databricks'.
    pub fn is_error(&self) -> bool {
        let nothing = |found: &Found<'_>| matches!(found.value, "null" | "\"\"" | "{}" | "false");
        self.error.as_ref().is_some_and(|error| !nothing(error))
            || self.object.as_ref().is_some_and(|object| object.value == "\"error\"")
            || self.choices.is_none() && self.data.is_none() && self.error_code.is_some()
    }
}

/// The value if it is a string with something in it.
pub(crate) fn filled<'f>(found: &'f Option<Found<'_>>) -> Option<&'f str> {
    found.as_ref().map(|found| found.value).filter(|value| value.len() > 2 && value.starts_with('"'))
}

/// The value if it is a positive whole number.
pub(crate) fn positive(found: &Option<Found<'_>>) -> Option<u64> {
    found.as_ref().and_then(|found| found.value.parse().ok()).filter(|number| *number > 0)
}

/// Gives a member its value, whether it is there or not.
pub(crate) fn set(edits: &mut ObjectEdits<'_>, key: &str, found: &Option<Found<'_>>, value: &str) {
    match found {
        Some(found) => edits.replace(found.value_span.clone(), value.to_owned()),
        None => edits.insert(key, value),
    }
}
