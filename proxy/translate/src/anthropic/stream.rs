//! Message events → OpenAI chat chunks.

use std::mem;

use serde::Deserialize;
use serde_json::{Value, json};

use super::answer::{Block, finish};
use super::own::{self, Numbers, Stop};
use super::{FORMAT, PROVIDER, Tokens, failure};
use crate::error::{Broken, Failure};
use crate::mask::Secrets;
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
pub fn machine(back: &Back) -> Box<dyn Machine> {
    Box::new(Messages {
        secrets: back.secrets.clone(),
        json_tool: back.asked.json_tool,
        tokens: Tokens::default(),
        numbers: Numbers::default(),
        details: 0,
        open: Vec::new(),
    })
}

struct Messages {
    secrets: Secrets,
    json_tool: bool,
    tokens: Tokens,
    numbers: Numbers,
    /// Pieces of reasoning so far.
    details: usize,
    /// Blocks that have started and not stopped, by their index.
    open: Vec<(u64, Open)>,
}

/// A block that is being streamed.
enum Open {
    /// Text: its characters so far, and what it cites.
    Text { length: usize, citations: Vec<Value> },
    /// Thinking.
    Thinking(Piece),
    /// A tool call, and its arguments if they came with the start.
    Call { call: OpenCall, input: Option<String> },
    /// The answer as a tool's arguments.
    Json { input: Option<String> },
    /// A block of one of the provider's own tools, and its input.
    Own { block: Value, input: String },
}

/// A piece of reasoning that comes in parts.
struct Piece {
    /// Its number.
    index: usize,
    /// Whether a part of it was sent.
    begun: bool,
}

#[derive(Deserialize)]
struct Wire<'e> {
    #[serde(borrow, rename = "type")]
    kind: Text<'e>,
    index: Option<u64>,
    #[serde(borrow)]
    message: Option<Start<'e>>,
    #[serde(borrow)]
    content_block: Option<Raw<'e>>,
    #[serde(borrow)]
    delta: Option<Delta<'e>>,
    usage: Option<Tokens>,
}

#[derive(Deserialize)]
struct Start<'e> {
    #[serde(borrow)]
    id: Option<Text<'e>>,
    #[serde(borrow)]
    model: Option<Text<'e>>,
    usage: Option<Tokens>,
}

/// A piece of a block, or of the message.
#[derive(Deserialize)]
struct Delta<'e> {
    #[serde(borrow, rename = "type")]
    kind: Option<Text<'e>>,
    #[serde(borrow)]
    text: Option<Text<'e>>,
    #[serde(borrow)]
    thinking: Option<Text<'e>>,
    #[serde(borrow)]
    signature: Option<Text<'e>>,
    #[serde(borrow)]
    partial_json: Option<Text<'e>>,
    citation: Option<Value>,
    #[serde(borrow)]
    stop_reason: Option<Text<'e>>,
    #[serde(borrow)]
    stop_sequence: Option<Text<'e>>,
    stop_details: Option<Value>,
}

impl Machine for Messages {
    fn event(&mut self, event: &Event<'_>, out: &mut Chunks) -> Result<Flow, Failure> {
        let wire: Wire<'_> = serde_json::from_slice(event.data).map_err(|_| Broken::NotJson)?;
        match &*wire.kind {
            "message_start" => {
                if let Some(message) = wire.message {
                    out.name(message.id.as_deref(), message.model.as_deref());
                    self.tokens(message.usage, out);
                }
            }
            "content_block_start" => {
                if let Some(block) = wire.content_block {
                    self.start(wire.index.unwrap_or_default(), block, out)?;
                }
            }
            "content_block_delta" => {
                if let Some(delta) = wire.delta {
                    self.delta(wire.index.unwrap_or_default(), delta, out)?;
                }
            }
            "content_block_stop" => {
                let index = wire.index.unwrap_or_default();
                if let Some(at) = self.open.iter().position(|(open, _)| *open == index) {
                    let (_, open) = self.open.swap_remove(at);
                    self.stop(open, out);
                }
            }
            "message_delta" => {
                self.tokens(wire.usage, out);
                if let Some(delta) = wire.delta.filter(|delta| delta.stop_reason.is_some()) {
                    self.finish(delta, out);
                }
            }
            "message_stop" => {
                self.stop_all(out);
                return Ok(Flow::Done);
            }
            "error" => return Err(failure(event.data, &self.secrets)),
            // `ping`, and what the API may add: its versioning policy asks to pass over unknown events.
            _ => {}
        }
        Ok(Flow::More)
    }
}

impl Messages {
    /// Counts are totals so far, so the last ones hold.
    fn tokens(&mut self, tokens: Option<Tokens>, out: &mut Chunks) {
        if let Some(tokens) = tokens {
            self.tokens.update(&tokens);
            if let Some(usage) = self.tokens.usage() {
                out.usage(usage);
            }
        }
    }

    fn start(&mut self, index: u64, raw: Raw<'_>, out: &mut Chunks) -> Result<(), Failure> {
        let block: Block<'_> = serde_json::from_str(raw.get()).map_err(|_| Broken::NotJson)?;
        // What a start has besides empty texts: some compatible servers send a block whole.
        let input = block.input.map(|input| input.get()).filter(|input| !matches!(*input, "{}" | "null" | "\"\""));
        let open = match &*block.kind {
            "text" => {
                let text = block.text.unwrap_or_default();
                out.text(0, &text);
                let length = self.numbers.text(&text);
                Open::Text { length, citations: block.citations.unwrap_or_default() }
            }
            "thinking" => {
                let mut piece = Piece { index: self.details, begun: false };
                self.details += 1;
                piece.part(block.thinking, None, out);
                piece.part(None, block.signature, out);
                Open::Thinking(piece)
            }
            "redacted_thinking" => {
                let detail = Reasoning {
                    index: self.details,
                    kind: Some(Reasoning::ENCRYPTED),
                    format: Some(FORMAT),
                    data: block.data,
                    ..Reasoning::default()
                };
                self.details += 1;
                out.reasoning_detail(0, &detail);
                return Ok(());
            }
            "tool_use" if self.json_tool && block.name.as_deref() == Some(JSON_TOOL) => {
                Open::Json { input: Some(input.unwrap_or("{}").to_owned()) }
            }
            "tool_use" => {
                let call = out.call(0, block.id.as_deref(), block.name.as_deref().unwrap_or_default());
                Open::Call { call, input: input.map(str::to_owned) }
            }
            _ => Open::Own { block: super::value(raw), input: String::new() },
        };
        if self.open.len() == MOST_OPEN {
            return Err(Broken::TooLong.into());
        }
        self.open.push((index, open));
        Ok(())
    }

    fn delta(&mut self, index: u64, delta: Delta<'_>, out: &mut Chunks) -> Result<(), Failure> {
        let Some((_, open)) = self.open.iter_mut().find(|(open, _)| *open == index) else { return Ok(()) };
        let json = delta.partial_json.as_deref().unwrap_or_default();
        match (open, delta.kind.as_deref().unwrap_or_default()) {
            (Open::Text { length, .. }, "text_delta") => {
                let text = delta.text.unwrap_or_default();
                out.text(0, &text);
                *length += self.numbers.text(&text);
            }
            (Open::Text { citations, .. }, "citations_delta") => {
                if citations.len() == MOST_CITATIONS {
                    return Err(Broken::TooLong.into());
                }
                citations.extend(delta.citation);
            }
            (Open::Thinking(piece), "thinking_delta") => piece.part(delta.thinking, None, out),
            (Open::Thinking(piece), "signature_delta") => piece.part(None, delta.signature, out),
            (Open::Call { call, input }, "input_json_delta") if !json.is_empty() => {
                *input = None;
                out.arguments(call, json);
            }
            (Open::Json { input }, "input_json_delta") if !json.is_empty() => {
                *input = None;
                out.text(0, json);
            }
            (Open::Own { input, .. }, "input_json_delta") => {
                if input.len() + json.len() > MAX_EVENT {
                    return Err(Broken::TooLong.into());
                }
                input.push_str(json);
            }
            _ => {}
        }
        Ok(())
    }

    fn stop(&mut self, open: Open, out: &mut Chunks) {
        match open {
            Open::Text { length, citations } => {
                for citation in citations {
                    let entry = self.numbers.citation(length, citation);
                    out.own(0, PROVIDER, &json!({ own::CITATIONS: [entry] }));
                }
            }
            Open::Thinking(_) => {}
            Open::Call { mut call, input } => {
                out.arguments(&mut call, &input.unwrap_or_default());
                out.call_end(call);
            }
            Open::Json { input } => out.text(0, &input.unwrap_or_default()),
            Open::Own { mut block, input } => {
                if let Ok(input) = serde_json::from_str::<Value>(&input) {
                    block["input"] = input;
                }
                let entry = self.numbers.block(block);
                out.own(0, PROVIDER, &json!({ own::BLOCKS: [entry] }));
            }
        }
    }

    /// What a compatible server left open.
    fn stop_all(&mut self, out: &mut Chunks) {
        for (_, open) in mem::take(&mut self.open) {
            self.stop(open, out);
        }
    }

    fn finish(&mut self, delta: Delta<'_>, out: &mut Chunks) {
        self.stop_all(out);
        let finish = finish(delta.stop_reason.as_deref(), out.has_calls(0));
        let stop = Stop { reason: delta.stop_reason, sequence: delta.stop_sequence, details: delta.stop_details };
        let own = stop.into_own();
        if !own.is_empty() {
            out.own(0, PROVIDER, &own.into());
        }
        out.finish(0, finish);
    }
}

impl Piece {
    /// Sends a part: text for people, and all of it in the form that comes back.
    fn part(&mut self, text: Option<Text<'_>>, signature: Option<Text<'_>>, out: &mut Chunks) {
        let (text, signature) = (text.filter(|text| !text.is_empty()), signature.filter(|text| !text.is_empty()));
        if text.is_none() && signature.is_none() {
            return;
        }
        if let Some(text) = &text {
            out.reasoning(0, text);
        }
        let first = !mem::replace(&mut self.begun, true);
        let detail = Reasoning {
            index: self.index,
            kind: first.then_some(Reasoning::TEXT),
            format: first.then_some(FORMAT),
            text,
            signature,
            data: None,
        };
        out.reasoning_detail(0, &detail);
    }
}

#[cfg(test)]
#[path = "stream_tests.rs"]
mod tests;
