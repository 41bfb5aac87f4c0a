//! What the parts of an answer say.

use serde_json::{Map, Value, json};

use super::sign::{self, Place};
use super::value;
use super::wire::{Call, Part};
use crate::pair::JSON_TOOL;
use crate::wire::Text;
use crate::write::Reasoning;

/// What the parts of a candidate are read with.
#[derive(Clone, Copy)]
pub(super) struct Reading<'a> {
    /// The number of the candidate.
    pub choice: usize,
    /// The answer's id.
    pub id: Option<&'a str>,
    /// Whether the call of the function [`JSON_TOOL`] is the answer itself.
    pub json_tool: bool,
}

impl Reading<'_> {
    /// An id for a call that has none: no other answer has the same, and a stream has it as the whole answer does.
    fn call_id(self, call: usize) -> Option<Text<'static>> {
        let id = self.id.filter(|id| !id.is_empty())?;
        let choice = self.choice;
        Some(Text(if choice == 0 { format!("call_{id}_{call}") } else { format!("call_{id}_{choice}_{call}") }.into()))
    }
}

/// What a part says.
pub(super) enum Piece<'a> {
    Thought(Text<'a>),
    Text(Text<'a>),
    Call {
        id: Option<Text<'a>>,
        name: Text<'a>,
        arguments: Text<'a>,
    },
    /// Under the provider's name.
    Own(Value),
}

/// Numbers what a choice has of each kind: clients put the lists of a stream together by `index`.
#[derive(Default)]
pub(super) struct Numbers {
    details: usize,
    parts: usize,
    calls: usize,
    citations: usize,
}

impl Numbers {
    /// Reads a part: what it says, and its signature.
    pub fn part<'a>(
        &mut self,
        part: Part<'a>,
        reading: Reading<'_>,
    ) -> (Option<Piece<'a>>, Option<Reasoning<'static>>) {
        let is_json = |call: &Call<'_>| reading.json_tool && &*call.name == JSON_TOOL;
        let (piece, place) = match (part.call, part.text) {
            (Some(call), _) => {
                let arguments = call.args.map_or("{}", |args| args.get()).into();
                if is_json(&call) {
                    (Some(Piece::Text(arguments)), Place::Text)
                } else {
                    let number = self.calls;
                    self.calls += 1;
                    let id = call.id.filter(|id| !id.is_empty()).or_else(|| reading.call_id(number));
                    (Some(Piece::Call { id, name: call.name, arguments }), Place::Call(number))
                }
            }
            (None, Some(text)) if part.thought == Some(true) => (Some(Piece::Thought(text)), Place::Thought),
            (None, Some(text)) if !text.is_empty() => (Some(Piece::Text(text)), Place::Text),
            (None, None) if !part.rest.is_empty() => {
                let mut own: Map<String, Value> =
                    part.rest.iter().map(|(key, raw)| ((**key).to_owned(), value(raw))).collect();
                if let Some(signature) = part.signature.as_deref() {
                    own.insert("thoughtSignature".into(), signature.into());
                }
                self.parts += 1;
                return (Some(Piece::Own(json!({"parts": [{"index": self.parts - 1, "part": own}]}))), None);
            }
            (None, _) => (None, Place::End),
        };
        let detail = part.signature.filter(|signature| !signature.is_empty()).map(|signature| {
            self.details += 1;
            sign::detail(self.details - 1, place, &signature)
        });
        (piece, detail)
    }

    /// Citations as they are kept.
    pub fn citations(&mut self, citations: Vec<Value>) -> Vec<Value> {
        let first = self.citations;
        self.citations += citations.len();
        let numbered = citations.into_iter().enumerate();
        numbered.map(|(at, citation)| json!({"index": first + at, "citation": citation})).collect()
    }

    /// Whether functions are to be called.
    pub fn has_calls(&self) -> bool {
        self.calls > 0
    }
}
