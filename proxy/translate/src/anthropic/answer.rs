//! Message → OpenAI chat answer.

use serde::Deserialize;
use serde_json::{Map, Value};

use super::own::{self, Numbers, Stop};
use super::{FORMAT, PROVIDER, Tokens, failure, value};
use crate::error::{Broken, Failure};
use crate::pair::{Back, JSON_TOOL, Reply};
use crate::wire::{Raw, Text};
use crate::write::{Call, Choice, Completed, Finish, Reasoning};

#[derive(Deserialize)]
struct Message<'m> {
    #[serde(borrow)]
    id: Option<Text<'m>>,
    #[serde(borrow)]
    model: Option<Text<'m>>,
    #[serde(borrow)]
    content: Option<Vec<Raw<'m>>>,
    #[serde(borrow)]
    stop_reason: Option<Text<'m>>,
    #[serde(borrow)]
    stop_sequence: Option<Text<'m>>,
    stop_details: Option<Value>,
    usage: Option<Tokens>,
}

/// A content block, of an answer or as it starts in a stream.
#[derive(Deserialize)]
pub(super) struct Block<'m> {
    #[serde(borrow, rename = "type")]
    pub kind: Text<'m>,
    #[serde(borrow)]
    pub text: Option<Text<'m>>,
    #[serde(borrow)]
    pub thinking: Option<Text<'m>>,
    #[serde(borrow)]
    pub signature: Option<Text<'m>>,
    #[serde(borrow)]
    pub data: Option<Text<'m>>,
    #[serde(borrow)]
    pub id: Option<Text<'m>>,
    #[serde(borrow)]
    pub name: Option<Text<'m>>,
    #[serde(borrow)]
    pub input: Option<Raw<'m>>,
    pub citations: Option<Vec<Value>>,
}

/// Translates an answer.
pub fn answer<'r>(reply: &Reply<'r>, back: &Back) -> Result<Completed<'r>, Failure> {
    let message: Message<'r> = reply.json()?;
    let Some(blocks) = message.content else {
        return Err(match value_type(reply.body) {
            Some(kind) if kind == "error" => failure(reply.body, &back.secrets),
            _ => Broken::Lacks("content").into(),
        });
    };
    let mut choice = Choice::default();
    let mut own = Map::new();
    let mut numbers = Numbers::default();
    let mut texts = Vec::new();
    let mut thoughts = Vec::new();
    for raw in blocks {
        let block: Block<'r> = serde_json::from_str(raw.get()).map_err(|_| Broken::NotJson)?;
        match &*block.kind {
            "text" => {
                let text = block.text.unwrap_or_default();
                let length = numbers.text(&text);
                for citation in block.citations.unwrap_or_default() {
                    own::add(&mut own, own::CITATIONS, numbers.citation(length, citation));
                }
                texts.push(text);
            }
            "thinking" => {
                let text = block.thinking.unwrap_or_default();
                choice.details.push(Reasoning {
                    index: choice.details.len(),
                    kind: Some(Reasoning::TEXT),
                    format: Some(FORMAT),
                    text: Some(text.clone()).filter(|text| !text.is_empty()),
                    signature: block.signature,
                    data: None,
                });
                thoughts.push(text);
            }
            "redacted_thinking" => choice.details.push(Reasoning {
                index: choice.details.len(),
                kind: Some(Reasoning::ENCRYPTED),
                format: Some(FORMAT),
                data: block.data,
                ..Reasoning::default()
            }),
            "tool_use" if back.asked.json_tool && block.name.as_deref() == Some(JSON_TOOL) => {
                texts.push(block.input.map_or("{}", |input| input.get()).into());
            }
            "tool_use" => choice.calls.push(Call {
                id: block.id,
                name: block.name.unwrap_or_default(),
                arguments: block.input.map_or("{}", |input| input.get()).into(),
            }),
            _ => own::add(&mut own, own::BLOCKS, numbers.block(value(raw))),
        }
    }
    choice.text = joined(texts);
    choice.reasoning = Some(joined(thoughts)).filter(|text| !text.is_empty());
    choice.finish = finish(message.stop_reason.as_deref(), !choice.calls.is_empty());
    let stop = Stop { reason: message.stop_reason, sequence: message.stop_sequence, details: message.stop_details };
    own.extend(stop.into_own());
    choice.own = (!own.is_empty()).then(|| (PROVIDER, own.into()));
    Ok(Completed {
        id: message.id,
        model: message.model,
        choices: vec![choice],
        usage: message.usage.and_then(|tokens| tokens.usage()),
    })
}

/// Several texts with nothing between them (contract §8.6).
fn joined<'m>(mut texts: Vec<Text<'m>>) -> Text<'m> {
    if texts.len() < 2 {
        return texts.pop().unwrap_or_default();
    }
    Text(texts.iter().map(|text| &**text).collect::<String>().into())
}

/// `stop_reason` in OpenAI's words.
pub(super) fn finish(stop_reason: Option<&str>, has_calls: bool) -> Finish {
    match stop_reason {
        Some("max_tokens" | "model_context_window_exceeded") => Finish::Length,
        Some("refusal") => Finish::ContentFilter,
        // Without a call there is none to make: the call was the answer itself, or the provider's own tool.
        Some("tool_use") if has_calls => Finish::ToolCalls,
        _ => Finish::Stop,
    }
}

fn value_type(body: &[u8]) -> Option<String> {
    #[derive(Deserialize)]
    struct Typed {
        #[serde(rename = "type")]
        kind: String,
    }
    serde_json::from_slice::<Typed>(body).ok().map(|typed| typed.kind)
}
