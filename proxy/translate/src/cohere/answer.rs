//! v2 chat answer → OpenAI chat answer.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::reply::{CITATIONS, End, Metered, citation, failure};
use super::{PROVIDER, THINKING};
use crate::error::{Broken, Failure};
use crate::pair::{Back, JSON_TOOL, Reply};
use crate::wire::Text;
use crate::write::{Call, Choice, Completed, Reasoning};

#[derive(Deserialize)]
struct Answer<'m> {
    #[serde(borrow)]
    id: Option<Text<'m>>,
    #[serde(borrow)]
    finish_reason: Option<Text<'m>>,
    #[serde(borrow)]
    message: Option<Message<'m>>,
    logprobs: Option<Vec<Piece<'m>>>,
    usage: Option<Metered>,
    #[serde(borrow)]
    error: Option<Text<'m>>,
    #[serde(borrow)]
    error_type: Option<Text<'m>>,
}

#[derive(Deserialize)]
struct Message<'m> {
    #[serde(borrow)]
    content: Option<Vec<Block<'m>>>,
    #[serde(borrow)]
    tool_plan: Option<Text<'m>>,
    #[serde(borrow)]
    tool_calls: Option<Vec<ToolCall<'m>>>,
    citations: Option<Vec<Value>>,
}

/// A content block, or a part of one in a stream.
#[derive(Deserialize)]
pub(super) struct Block<'m> {
    #[serde(borrow)]
    pub text: Option<Text<'m>>,
    #[serde(borrow)]
    pub thinking: Option<Text<'m>>,
}

/// A tool call, or a part of one in a stream.
#[derive(Deserialize)]
pub(super) struct ToolCall<'m> {
    #[serde(borrow)]
    pub id: Option<Text<'m>>,
    #[serde(borrow)]
    pub function: Option<Function<'m>>,
}

#[derive(Deserialize)]
pub(super) struct Function<'m> {
    #[serde(borrow)]
    pub name: Option<Text<'m>>,
    #[serde(borrow)]
    pub arguments: Option<Text<'m>>,
}

/// A piece of text with the probabilities of its tokens.
#[derive(Deserialize)]
pub(super) struct Piece<'m> {
    #[serde(borrow)]
    text: Option<Text<'m>>,
    logprobs: Option<Vec<f64>>,
}

/// OpenAI's `logprobs`.
#[derive(Serialize)]
pub(super) struct Logprobs<'m> {
    content: Vec<Token<'m>>,
    refusal: (),
}

#[derive(Serialize)]
struct Token<'m> {
    token: &'m str,
    logprob: f64,
    bytes: &'m [u8],
    top_logprobs: [(); 0],
}

impl<'m> Logprobs<'m> {
    /// One entry for each piece. The API does not say where one token of a piece ends and the next begins, so the
    /// probability is that of all its tokens together.
    pub fn of(pieces: &'m [Piece<'_>]) -> Self {
        let token = |piece: &'m Piece<'_>| {
            let token = piece.text.as_deref().unwrap_or_default();
            let logprob = piece.logprobs.iter().flatten().sum();
            Token { token, logprob, bytes: token.as_bytes(), top_logprobs: [] }
        };
        Self { content: pieces.iter().map(token).collect(), refusal: () }
    }
}

/// Translates an answer.
pub(super) fn answer<'r>(reply: &Reply<'r>, back: &Back) -> Result<Completed<'r>, Failure> {
    // An error has a text where an answer has its message.
    let answer = reply.json::<Answer<'r>>().map_err(|_| failure(reply.body, "message", &back.secrets))?;
    let end = End {
        reason: answer.finish_reason.as_deref(),
        error: answer.error.as_deref(),
        error_type: answer.error_type.as_deref(),
    };
    let Some(message) = answer.message else {
        end.finish(false, &back.secrets)?;
        return Err(Broken::Lacks("message").into());
    };
    let mut choice = Choice::default();
    let (mut texts, mut thoughts) = (Vec::new(), Vec::new());
    for block in message.content.unwrap_or_default() {
        texts.extend(block.text);
        if let Some(text) = block.thinking.filter(|text| !text.is_empty()) {
            choice.details.push(Reasoning {
                index: choice.details.len(),
                kind: Some(Reasoning::TEXT),
                format: Some(THINKING),
                text: Some(text.clone()),
                ..Reasoning::default()
            });
            thoughts.push(text);
        }
    }
    thoughts.extend(message.tool_plan.filter(|text| !text.is_empty()));
    for call in message.tool_calls.unwrap_or_default() {
        let Some(Function { name, arguments }) = call.function else { continue };
        let (name, arguments) = (name.unwrap_or_default(), arguments.unwrap_or_default());
        if back.asked.json_tool && &*name == JSON_TOOL {
            texts.push(if arguments.trim().is_empty() { "{}".into() } else { arguments });
        } else {
            choice.calls.push(Call { id: call.id, name, arguments });
        }
    }
    choice.text = joined(texts);
    choice.reasoning = (!thoughts.is_empty()).then(|| joined(thoughts));
    choice.finish = end.finish(!choice.calls.is_empty(), &back.secrets)?;
    let citations = message.citations.unwrap_or_default();
    if !citations.is_empty() {
        let entries: Vec<Value> = citations.into_iter().enumerate().map(|(at, one)| citation(at, one)).collect();
        choice.own = Some((PROVIDER, json!({ CITATIONS: entries })));
    }
    choice.logprobs = answer
        .logprobs
        .filter(|pieces| !pieces.is_empty())
        .and_then(|pieces| serde_json::value::to_raw_value(&Logprobs::of(&pieces)).ok())
        .map(Cow::Owned);
    let usage = answer.usage.and_then(|usage| usage.usage());
    Ok(Completed { id: answer.id, model: None, choices: vec![choice], usage })
}

/// Several texts with nothing between them (contract §8.6).
fn joined<'m>(mut texts: Vec<Text<'m>>) -> Text<'m> {
    if texts.len() < 2 {
        return texts.pop().unwrap_or_default();
    }
    Text(texts.iter().map(|text| &**text).collect::<String>().into())
}
