//! ConverseStream's events → OpenAI chat chunks.

use std::mem;

use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::answer::ToolUse;
use super::{About, FORMAT, finish};
use crate::anthropic::own::{self, Numbers};
use crate::bedrock::PROVIDER;
use crate::error::{Broken, Failure};
use crate::pair::{Back, JSON_TOOL};
use crate::split::{Event, MAX_EVENT};
use crate::stream::{Flow, Machine};
use crate::wire::{Raw, Text};
use crate::write::{Chunks, OpenCall, Reasoning};

/// Most blocks that are open at once; the API opens one at a time.
const MOST_OPEN: usize = 64;
/// Most citations of one block.
const MOST_CITATIONS: usize = 1024;

/// For one stream.
pub(in crate::bedrock) fn machine(back: &Back) -> Box<dyn Machine> {
    Box::new(Converse { json_tool: back.asked.json_tool, ..Converse::default() })
}

#[derive(Default)]
struct Converse {
    json_tool: bool,
    numbers: Numbers,
    /// Pieces of reasoning so far.
    details: usize,
    /// Blocks that have begun and not stopped, by their index.
    open: Vec<(u64, Open)>,
    /// `stopReason`, which is told after what comes behind it.
    stop: Option<String>,
    /// What OpenAI has no member for, of the event with `stopReason`.
    own: Map<String, Value>,
}

/// A block that is being streamed.
enum Open {
    /// Text: its characters so far, and what it cites.
    Text { length: usize, citations: Vec<Value> },
    /// A piece of reasoning: its number, and whether a part of it was sent.
    Thought { index: usize, begun: bool },
    /// A tool call.
    Call(OpenCall),
    /// The answer as a tool's arguments; whether there were any.
    Json(bool),
    /// A call of one of the provider's own tools: how it began, and its input.
    Own { start: Map<String, Value>, input: String },
    /// Any other block: how it began, with all that was added.
    Other { block: Map<String, Value>, size: usize },
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Wire<'e> {
    #[serde(default)]
    content_block_index: u64,
    #[serde(borrow)]
    start: Option<Raw<'e>>,
    #[serde(borrow)]
    delta: Option<Raw<'e>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Start<'e> {
    #[serde(borrow)]
    tool_use: Option<ToolUse<'e>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Delta<'e> {
    #[serde(borrow)]
    text: Option<Text<'e>>,
    #[serde(borrow)]
    tool_use: Option<Input<'e>>,
    #[serde(borrow)]
    reasoning_content: Option<Thought<'e>>,
    citation: Option<Value>,
}

#[derive(Deserialize)]
struct Input<'e> {
    #[serde(borrow)]
    input: Option<Text<'e>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Thought<'e> {
    #[serde(borrow)]
    text: Option<Text<'e>>,
    #[serde(borrow)]
    signature: Option<Text<'e>>,
    #[serde(borrow)]
    redacted_content: Option<Text<'e>>,
}

impl Machine for Converse {
    fn event(&mut self, event: &Event<'_>, out: &mut Chunks) -> Result<Flow, Failure> {
        match event.name {
            "contentBlockStart" => {
                let wire: Wire<'_> = read(event.data)?;
                if let Some(start) = wire.start {
                    self.start(wire.content_block_index, start, out)?;
                }
            }
            "contentBlockDelta" => {
                let wire: Wire<'_> = read(event.data)?;
                if let Some(delta) = wire.delta {
                    self.delta(wire.content_block_index, delta, out)?;
                }
            }
            "contentBlockStop" => {
                let wire: Wire<'_> = read(event.data)?;
                if let Some(at) = self.at(wire.content_block_index) {
                    let (_, open) = self.open.swap_remove(at);
                    self.block_end(open, out);
                }
            }
            "messageStop" => {
                for (_, open) in mem::take(&mut self.open) {
                    self.block_end(open, out);
                }
                let about: About<'_> = read(event.data)?;
                self.stop = about.stop_reason.as_deref().map(str::to_owned);
                about.into_own(&mut self.own);
            }
            // Usage comes behind the end of the message, and is the end of the stream.
            "metadata" => {
                let about: About<'_> = read(event.data)?;
                if let Some(usage) = about.usage.and_then(|tokens| tokens.usage()) {
                    out.usage(usage);
                }
                let stop = self.stop.take().ok_or(Broken::Truncated)?;
                let mut own = mem::take(&mut self.own);
                about.into_own(&mut own);
                if !own.is_empty() {
                    out.own(0, PROVIDER, &own.into());
                }
                out.finish(0, finish(Some(&stop), out.has_calls(0)));
                return Ok(Flow::Done);
            }
            // `messageStart`, and what the API may add.
            _ => {}
        }
        Ok(Flow::More)
    }
}

impl Converse {
    fn at(&self, index: u64) -> Option<usize> {
        self.open.iter().position(|(open, _)| *open == index)
    }

    fn start(&mut self, index: u64, raw: Raw<'_>, out: &mut Chunks) -> Result<(), Failure> {
        let start: Start<'_> = read(raw.get().as_bytes())?;
        let open = match start.tool_use {
            Some(call) if call.is_for_the_client() => {
                let name = call.name.as_deref().unwrap_or_default();
                match self.json_tool && name == JSON_TOOL {
                    true => Open::Json(false),
                    false => Open::Call(out.call(0, call.tool_use_id.as_deref(), name)),
                }
            }
            Some(_) => Open::Own { start: members(raw), input: String::new() },
            None => Open::Other { block: members(raw), size: 0 },
        };
        self.open(index, open).map(drop)
    }

    fn delta(&mut self, index: u64, raw: Raw<'_>, out: &mut Chunks) -> Result<(), Failure> {
        let delta: Delta<'_> = read(raw.get().as_bytes())?;
        let at = match self.at(index) {
            Some(at) => at,
            // Only tool calls need a start; other blocks begin with their first piece.
            None => {
                let open = match &delta {
                    Delta { text: Some(_), .. } | Delta { citation: Some(_), .. } => {
                        Open::Text { length: 0, citations: Vec::new() }
                    }
                    Delta { reasoning_content: Some(_), .. } => {
                        self.details += 1;
                        Open::Thought { index: self.details - 1, begun: false }
                    }
                    Delta { tool_use: Some(_), .. } => return Ok(()),
                    _ => Open::Other { block: Map::new(), size: 0 },
                };
                self.open(index, open)?
            }
        };
        let Some((_, open)) = self.open.get_mut(at) else { return Ok(()) };
        let input = delta.tool_use.as_ref().and_then(|tool_use| tool_use.input.as_deref()).unwrap_or_default();
        match open {
            Open::Text { length, citations } => {
                let text = delta.text.unwrap_or_default();
                out.text(0, &text);
                *length += self.numbers.text(&text);
                if citations.len() == MOST_CITATIONS {
                    return Err(Broken::TooLong.into());
                }
                citations.extend(delta.citation);
            }
            Open::Thought { index, begun } => {
                if let Some(thought) = delta.reasoning_content {
                    piece(*index, begun, thought, out);
                }
            }
            Open::Call(call) => out.arguments(call, input),
            Open::Json(begun) => {
                *begun |= !input.is_empty();
                self.numbers.text(input);
                out.text(0, input);
            }
            Open::Own { input: held, .. } => {
                if held.len() + input.len() > MAX_EVENT {
                    return Err(Broken::TooLong.into());
                }
                held.push_str(input);
            }
            Open::Other { block, size } => {
                *size += raw.get().len();
                if *size > MAX_EVENT {
                    return Err(Broken::TooLong.into());
                }
                extend(block, members(raw));
            }
        }
        Ok(())
    }

    fn open(&mut self, index: u64, open: Open) -> Result<usize, Failure> {
        if self.open.len() == MOST_OPEN {
            return Err(Broken::TooLong.into());
        }
        self.open.push((index, open));
        Ok(self.open.len() - 1)
    }

    fn block_end(&mut self, open: Open, out: &mut Chunks) {
        match open {
            Open::Text { length, citations } => {
                for citation in citations {
                    let entry = self.numbers.citation(length, citation);
                    out.own(0, PROVIDER, &json!({ own::CITATIONS: [entry] }));
                }
            }
            Open::Call(call) => out.call_end(call),
            Open::Json(false) => out.text(0, "{}"),
            Open::Json(true) | Open::Thought { .. } => {}
            Open::Own { mut start, input } => {
                if let Some(Value::Object(call)) = start.get_mut("toolUse") {
                    call.insert("input".into(), serde_json::from_str(&input).unwrap_or_else(|_| json!({})));
                }
                self.own_block(start.into(), out);
            }
            Open::Other { block, .. } => self.own_block(block.into(), out),
        }
    }

    fn own_block(&mut self, block: Value, out: &mut Chunks) {
        let entry = self.numbers.block(block);
        out.own(0, PROVIDER, &json!({ own::BLOCKS: [entry] }));
    }
}

/// Sends a part of a piece of reasoning: text for people, and all of it in the form that comes back.
fn piece(index: usize, begun: &mut bool, thought: Thought<'_>, out: &mut Chunks) {
    let text = thought.text.filter(|text| !text.is_empty());
    let signature = thought.signature.filter(|text| !text.is_empty());
    let data = thought.redacted_content.filter(|text| !text.is_empty());
    if text.is_none() && signature.is_none() && data.is_none() {
        return;
    }
    if let Some(text) = &text {
        out.reasoning(0, text);
    }
    let first = !mem::replace(begun, true);
    let kind = if data.is_some() { Reasoning::ENCRYPTED } else { Reasoning::TEXT };
    let (kind, format) = (first.then_some(kind), first.then_some(FORMAT));
    out.reasoning_detail(0, &Reasoning { index, kind, format, text, signature, data });
}

/// Adds a piece to a block that has no rule of its own: the pieces of a tool's result are its content.
fn extend(block: &mut Map<String, Value>, delta: Map<String, Value>) {
    for (key, piece) in delta {
        match (block.entry(key).or_insert(Value::Null), piece) {
            (Value::Object(members), Value::Array(pieces)) => {
                if let Value::Array(content) = members.entry("content").or_insert_with(|| json!([])) {
                    content.extend(pieces);
                }
            }
            (Value::Object(members), Value::Object(more)) => members.extend(more),
            (member, piece) => *member = piece,
        }
    }
}

fn read<'e, T: Deserialize<'e>>(json: &'e [u8]) -> Result<T, Broken> {
    serde_json::from_slice(json).map_err(|_| Broken::NotJson)
}

fn members(raw: Raw<'_>) -> Map<String, Value> {
    serde_json::from_str(raw.get()).unwrap_or_default()
}

#[cfg(test)]
#[path = "stream_tests.rs"]
mod tests;
