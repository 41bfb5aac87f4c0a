//! What OpenAI has no member for, kept under `anthropic`: citations with the place in the text that they are for,
//! blocks of the provider's own tools, and why the answer ended where OpenAI's word for it says less.

use serde_json::{Map, Value, json};

use crate::wire::Text;

pub(crate) const CITATIONS: &str = "citations";
pub(crate) const BLOCKS: &str = "content";

/// Numbers the elements of the lists: clients put the lists of a stream together by `index`.
#[derive(Default)]
pub(crate) struct Numbers {
    /// Characters of text so far.
    chars: usize,
    citations: usize,
    blocks: usize,
}

impl Numbers {
    /// Text of the answer; returns its characters.
    pub fn text(&mut self, text: &str) -> usize {
        let length = text.chars().count();
        self.chars += length;
        length
    }

    /// A citation for the last `length` characters.
    pub fn citation(&mut self, length: usize, citation: Value) -> Value {
        let start = self.chars.saturating_sub(length);
        let entry = json!({"index": self.citations, "start": start, "end": self.chars, "citation": citation});
        self.citations += 1;
        entry
    }

    /// A block that is neither text, thinking nor a tool call.
    pub fn block(&mut self, block: Value) -> Value {
        let entry = json!({"index": self.blocks, "block": block});
        self.blocks += 1;
        entry
    }
}

/// Adds an element to a list of the whole answer's.
pub(crate) fn add(own: &mut Map<String, Value>, list: &str, entry: Value) {
    if let Value::Array(list) = own.entry(list).or_insert_with(|| Value::Array(Vec::new())) {
        list.push(entry);
    }
}

/// Why an answer ended.
#[derive(Default)]
pub(crate) struct Stop<'m> {
    pub reason: Option<Text<'m>>,
    pub sequence: Option<Text<'m>>,
    pub details: Option<Value>,
}

impl Stop<'_> {
    /// What OpenAI's `finish_reason` does not say of it.
    pub fn into_own(self) -> Map<String, Value> {
        let mut own = Map::new();
        let reason = self.reason.as_deref().unwrap_or_default();
        if matches!(reason, "pause_turn" | "refusal" | "model_context_window_exceeded") {
            own.insert("stop_reason".into(), reason.into());
        }
        if let Some(sequence) = self.sequence.as_deref() {
            own.insert("stop_sequence".into(), sequence.into());
        }
        if let Some(details) = self.details.filter(|details| !details.is_null()) {
            own.insert("stop_details".into(), details);
        }
        own
    }
}
