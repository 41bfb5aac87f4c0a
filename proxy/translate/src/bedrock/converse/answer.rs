//! Converse's answer → OpenAI chat answer.

use serde::Deserialize;
use serde_json::{Map, Value};

use super::{About, FORMAT, finish};
use crate::anthropic::own::{self, Numbers};
use crate::bedrock::PROVIDER;
use crate::bedrock::error::instead;
use crate::error::{Broken, Failure};
use crate::pair::{Back, JSON_TOOL, Reply};
use crate::wire::{Raw, Text};
use crate::write::{Call, Choice, Completed, Reasoning};

#[derive(Deserialize)]
struct Wire<'a> {
    #[serde(borrow)]
    output: Option<Output<'a>>,
    #[serde(borrow, flatten)]
    about: About<'a>,
}

#[derive(Deserialize)]
struct Output<'a> {
    #[serde(borrow)]
    message: Option<Message<'a>>,
}

#[derive(Deserialize)]
struct Message<'a> {
    #[serde(borrow)]
    content: Option<Vec<Raw<'a>>>,
}

/// A content block: one of its members.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Block<'a> {
    #[serde(borrow)]
    text: Option<Text<'a>>,
    #[serde(borrow)]
    tool_use: Option<ToolUse<'a>>,
    #[serde(borrow)]
    reasoning_content: Option<Thought<'a>>,
    #[serde(borrow)]
    citations_content: Option<Cited<'a>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ToolUse<'a> {
    #[serde(borrow)]
    pub tool_use_id: Option<Text<'a>>,
    #[serde(borrow)]
    pub name: Option<Text<'a>>,
    #[serde(borrow)]
    pub input: Option<Raw<'a>>,
    /// `server_tool_use` for what the provider runs itself.
    #[serde(borrow, rename = "type")]
    pub kind: Option<Text<'a>>,
}

impl ToolUse<'_> {
    /// Whether the client is to run it.
    pub fn is_for_the_client(&self) -> bool {
        self.kind.as_deref().is_none_or(|kind| kind == "tool_use")
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Thought<'a> {
    #[serde(borrow)]
    reasoning_text: Option<ReasoningText<'a>>,
    #[serde(borrow)]
    redacted_content: Option<Text<'a>>,
}

#[derive(Deserialize)]
struct ReasoningText<'a> {
    #[serde(borrow)]
    text: Option<Text<'a>>,
    #[serde(borrow)]
    signature: Option<Text<'a>>,
}

#[derive(Deserialize)]
struct Cited<'a> {
    #[serde(borrow)]
    content: Option<Vec<CitedText<'a>>>,
    citations: Option<Vec<Value>>,
}

#[derive(Deserialize)]
struct CitedText<'a> {
    #[serde(borrow)]
    text: Option<Text<'a>>,
}

/// Translates an answer.
pub(in crate::bedrock) fn answer<'r>(reply: &Reply<'r>, back: &Back) -> Result<Completed<'r>, Failure> {
    let wire: Wire<'r> = reply.json()?;
    let content = wire.output.and_then(|output| output.message).and_then(|message| message.content);
    let blocks = content.ok_or_else(|| instead(reply, &back.secrets, "output.message.content"))?;
    let mut read = Read::default();
    for raw in blocks {
        read.block(raw, back.asked.json_tool)?;
    }
    let Read { mut choice, mut own, text, thoughts, .. } = read;
    choice.text = text;
    choice.reasoning = Some(thoughts).filter(|text| !text.is_empty());
    choice.finish = finish(wire.about.stop_reason.as_deref(), !choice.calls.is_empty());
    let usage = wire.about.usage.and_then(|tokens| tokens.usage());
    wire.about.into_own(&mut own);
    choice.own = (!own.is_empty()).then(|| (PROVIDER, own.into()));
    Ok(Completed { choices: vec![choice], usage, ..Completed::default() })
}

/// What the blocks so far say.
#[derive(Default)]
struct Read<'a> {
    choice: Choice<'a>,
    own: Map<String, Value>,
    numbers: Numbers,
    text: Text<'a>,
    thoughts: Text<'a>,
}

impl<'a> Read<'a> {
    fn block(&mut self, raw: Raw<'a>, json_tool: bool) -> Result<(), Failure> {
        let block: Block<'a> = serde_json::from_str(raw.get()).map_err(|_| Broken::NotJson)?;
        if let Some(text) = block.text {
            self.numbers.text(&text);
            add(&mut self.text, text);
        } else if let Some(call) = block.tool_use.filter(ToolUse::is_for_the_client) {
            let arguments: Text<'a> = call.input.map_or("{}", |input| input.get()).into();
            let name = call.name.unwrap_or_default();
            if json_tool && &*name == JSON_TOOL {
                self.numbers.text(&arguments);
                add(&mut self.text, arguments);
            } else {
                self.choice.calls.push(Call { id: call.tool_use_id, name, arguments });
            }
        } else if let Some(thought) = block.reasoning_content {
            self.thought(thought);
        } else if let Some(cited) = block.citations_content {
            let texts = cited.content.unwrap_or_default().into_iter().filter_map(|content| content.text);
            let mut length = 0;
            for text in texts {
                length += self.numbers.text(&text);
                add(&mut self.text, text);
            }
            for citation in cited.citations.unwrap_or_default() {
                own::add(&mut self.own, own::CITATIONS, self.numbers.citation(length, citation));
            }
        } else {
            let block = serde_json::from_str(raw.get()).unwrap_or_default();
            own::add(&mut self.own, own::BLOCKS, self.numbers.block(block));
        }
        Ok(())
    }

    fn thought(&mut self, thought: Thought<'a>) {
        let (text, signature) = thought.reasoning_text.map_or((None, None), |said| (said.text, said.signature));
        let text = text.filter(|text| !text.is_empty());
        let signature = signature.filter(|text| !text.is_empty());
        let data = thought.redacted_content.filter(|text| !text.is_empty());
        if text.is_none() && signature.is_none() && data.is_none() {
            return;
        }
        if let Some(text) = &text {
            add(&mut self.thoughts, text.clone());
        }
        let kind = Some(if data.is_some() { Reasoning::ENCRYPTED } else { Reasoning::TEXT });
        let index = self.choice.details.len();
        self.choice.details.push(Reasoning { index, kind, format: Some(FORMAT), text, signature, data });
    }
}

/// Puts a text behind another, with nothing between them (contract §8.6).
fn add<'a>(text: &mut Text<'a>, more: Text<'a>) {
    if text.is_empty() {
        *text = more;
    } else {
        text.0.to_mut().push_str(&more);
    }
}
