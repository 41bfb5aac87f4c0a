//! v2 chat events → OpenAI chat chunks.

use std::mem;

use serde::Deserialize;
use serde_json::{Value, json};

use super::answer::{Block, Logprobs, Piece, ToolCall};
use super::reply::{CITATIONS, End, Metered, citation, failure};
use super::{PROVIDER, THINKING};
use crate::error::{Broken, Failure};
use crate::mask::Secrets;
use crate::pair::{Back, JSON_TOOL};
use crate::split::Event;
use crate::stream::{Flow, Machine};
use crate::wire::{Raw, Text};
use crate::write::{Chunks, OpenCall, Reasoning};

/// Most tool calls that are open at once; the API opens one at a time.
const MOST_OPEN: usize = 64;

/// For one stream.
pub(super) fn machine(back: &Back) -> Box<dyn Machine> {
    Box::new(Chat {
        secrets: back.secrets.clone(),
        json_tool: back.asked.json_tool,
        details: 0,
        thinks: false,
        citations: 0,
        open: Vec::new(),
    })
}

struct Chat {
    secrets: Secrets,
    json_tool: bool,
    /// Blocks of thinking that have begun.
    details: usize,
    /// Whether the last of them is still going on.
    thinks: bool,
    citations: usize,
    /// Tool calls that have started and not ended, by their index.
    open: Vec<(u64, Open)>,
}

enum Open {
    Call(OpenCall),
    /// The answer as a tool's arguments, and whether some have come.
    Json(bool),
}

#[derive(Deserialize)]
struct Wire<'e> {
    #[serde(borrow, rename = "type")]
    kind: Option<Text<'e>>,
    #[serde(borrow)]
    id: Option<Text<'e>>,
    index: Option<u64>,
    #[serde(borrow)]
    delta: Option<Raw<'e>>,
    #[serde(borrow)]
    logprobs: Option<Piece<'e>>,
}

#[derive(Default, Deserialize)]
struct Delta<'e> {
    #[serde(borrow)]
    message: Option<Message<'e>>,
    #[serde(borrow)]
    finish_reason: Option<Text<'e>>,
    usage: Option<Metered>,
    #[serde(borrow)]
    error: Option<Text<'e>>,
    #[serde(borrow)]
    error_type: Option<Text<'e>>,
}

#[derive(Default, Deserialize)]
struct Message<'e> {
    #[serde(borrow)]
    content: Option<Block<'e>>,
    #[serde(borrow)]
    tool_plan: Option<Text<'e>>,
    #[serde(borrow)]
    tool_calls: Option<ToolCall<'e>>,
    citations: Option<Value>,
}

impl Machine for Chat {
    fn event(&mut self, event: &Event<'_>, out: &mut Chunks) -> Result<Flow, Failure> {
        let wire: Wire<'_> = serde_json::from_slice(event.data).map_err(|_| Broken::NotJson)?;
        let Some(kind) = wire.kind else { return Err(failure(event.data, "type", &self.secrets)) };
        if &*kind == "message-start" {
            // Its message has lists where those of all others have one element.
            out.name(wire.id.as_deref(), None);
            return Ok(Flow::More);
        }
        let delta: Delta<'_> = match wire.delta {
            Some(delta) => serde_json::from_str(delta.get()).map_err(|_| Broken::NotJson)?,
            None => Delta::default(),
        };
        let index = wire.index.unwrap_or_default();
        match &*kind {
            "content-start" | "content-delta" => {
                if &*kind == "content-start" {
                    self.thinks = false;
                }
                if let Some(block) = delta.message.and_then(|message| message.content) {
                    self.content(&block, wire.logprobs, out);
                }
            }
            "tool-plan-delta" => {
                out.reasoning(0, delta.message.and_then(|message| message.tool_plan).as_deref().unwrap_or_default());
            }
            "tool-call-start" => {
                if let Some(call) = delta.message.and_then(|message| message.tool_calls) {
                    self.start(index, &call, out)?;
                }
            }
            "tool-call-delta" => {
                if let Some(call) = delta.message.and_then(|message| message.tool_calls) {
                    self.arguments(index, &call, out);
                }
            }
            "tool-call-end" => {
                if let Some(at) = self.open.iter().position(|(open, _)| *open == index) {
                    let (_, open) = self.open.swap_remove(at);
                    open.end(out);
                }
            }
            "citation-start" => {
                if let Some(one) = delta.message.and_then(|message| message.citations) {
                    let entry = citation(self.citations, one);
                    self.citations += 1;
                    out.own(0, PROVIDER, &json!({ CITATIONS: [entry] }));
                }
            }
            "message-end" => {
                self.end_all(out);
                if let Some(usage) = delta.usage.and_then(|usage| usage.usage()) {
                    out.usage(usage);
                }
                let end = End {
                    reason: delta.finish_reason.as_deref(),
                    error: delta.error.as_deref(),
                    error_type: delta.error_type.as_deref(),
                };
                let finish = end.finish(out.has_calls(0), &self.secrets)?;
                out.finish(0, finish);
                return Ok(Flow::Done);
            }
            // `content-end`, `citation-end`, `debug`, and what the API may add.
            _ => {}
        }
        Ok(Flow::More)
    }
}

impl Chat {
    fn content(&mut self, block: &Block<'_>, logprobs: Option<Piece<'_>>, out: &mut Chunks) {
        if let Some(text) = block.thinking.as_ref().filter(|text| !text.is_empty()) {
            out.reasoning(0, text);
            let first = !mem::replace(&mut self.thinks, true);
            self.details += usize::from(first);
            let detail = Reasoning {
                index: self.details - 1,
                kind: first.then_some(Reasoning::TEXT),
                format: first.then_some(THINKING),
                text: Some(text.clone()),
                ..Reasoning::default()
            };
            out.reasoning_detail(0, &detail);
        }
        let text = block.text.as_deref().unwrap_or_default();
        out.text(0, text);
        if let Some(piece) = logprobs.filter(|_| !text.is_empty()) {
            out.logprobs(0, &Logprobs::of(&[piece]));
        }
    }

    fn start(&mut self, index: u64, call: &ToolCall<'_>, out: &mut Chunks) -> Result<(), Failure> {
        if self.open.len() == MOST_OPEN {
            return Err(Broken::TooLong.into());
        }
        let name = call.function.as_ref().and_then(|function| function.name.as_deref()).unwrap_or_default();
        let open = if self.json_tool && name == JSON_TOOL {
            Open::Json(false)
        } else {
            Open::Call(out.call(0, call.id.as_deref(), name))
        };
        self.open.push((index, open));
        self.arguments(index, call, out);
        Ok(())
    }

    fn arguments(&mut self, index: u64, call: &ToolCall<'_>, out: &mut Chunks) {
        let text = call.function.as_ref().and_then(|function| function.arguments.as_deref()).unwrap_or_default();
        match self.open.iter_mut().find(|(open, _)| *open == index) {
            Some((_, Open::Call(call))) => out.arguments(call, text),
            Some((_, Open::Json(some))) => {
                *some |= !text.is_empty();
                out.text(0, text);
            }
            None => {}
        }
    }

    fn end_all(&mut self, out: &mut Chunks) {
        for (_, open) in mem::take(&mut self.open) {
            open.end(out);
        }
    }
}

impl Open {
    fn end(self, out: &mut Chunks) {
        match self {
            Self::Call(call) => out.call_end(call),
            Self::Json(true) => {}
            Self::Json(false) => out.text(0, "{}"),
        }
    }
}

#[cfg(test)]
#[path = "stream_tests.rs"]
mod tests;
