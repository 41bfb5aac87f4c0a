//! OpenAI chat ↔ v1 chat: one message, what was said before it, and no tools.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::PROVIDER;
use super::reply::{CITATIONS, End, Metered, citation, failure};
use super::sampling::Sampling;
use super::tools::Format;
use crate::chat::{self, Content, Message, PartBody, Role};
use crate::error::Failure;
use crate::pair::{Back, Cx, Outgoing, Reply};
use crate::params::wrong;
use crate::peek::PeekError;
use crate::wire::{Members, Text};
use crate::write::{Choice, Completed};

#[derive(Serialize)]
struct Body<'r> {
    model: &'r str,
    message: Text<'r>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    chat_history: Vec<Turn<'r>>,
    #[serde(flatten)]
    sampling: Sampling<'r>,
    #[serde(skip_serializing_if = "Option::is_none")]
    response_format: Option<Format<'r>>,
    #[serde(flatten)]
    rest: Members<'r>,
}

#[derive(Serialize)]
struct Turn<'r> {
    role: &'static str,
    message: Text<'r>,
}

/// Translates a request.
pub(super) fn request(asked: &chat::Request<'_>, cx: &Cx<'_>) -> Result<Outgoing, PeekError> {
    let mut chat_history = Vec::with_capacity(asked.messages.len());
    for (at, message) in asked.messages.iter().enumerate() {
        chat_history.push(turn(message).map_err(|problem| wrong(format!("messages[{at}]"), problem))?);
    }
    let last = chat_history.pop().filter(|turn| turn.role == "USER");
    let last = last.ok_or_else(|| wrong("messages", "must end with a user's turn"))?;
    let sampling = Sampling::of_chat(asked);
    let body = Body {
        model: cx.model,
        message: last.message,
        chat_history,
        response_format: Format::of(asked),
        rest: sampling.others(&asked.rest, &["message", "chat_history"]),
        sampling,
    };
    Outgoing::new("/v1/chat", &body)
}

fn turn<'r>(message: &'r Message<'_>) -> Result<Turn<'r>, &'static str> {
    let role = match message.role {
        Role::System | Role::Developer => "SYSTEM",
        Role::User => "USER",
        Role::Assistant => "CHATBOT",
        Role::Tool | Role::Function => return Err("must not be the result of a tool; this model takes no tools"),
    };
    if !message.tool_calls().is_empty() || message.function_call.is_some() {
        return Err("must not call tools; this model takes none");
    }
    let is_text = match &message.content {
        Some(Content::Parts(parts)) => {
            parts.iter().all(|part| matches!(part.body, PartBody::Text(_) | PartBody::Refusal(_)))
        }
        Some(Content::Text(_)) | None => true,
    };
    if !is_text {
        return Err("must have only text in its content; this model takes nothing else");
    }
    let content = message.content.as_ref().map(Content::text).filter(|text| !text.is_empty());
    Ok(Turn { role, message: content.or_else(|| message.refusal.clone()).unwrap_or_default() })
}

/// An answer, also as the end of a stream repeats it.
#[derive(Deserialize)]
struct Answer<'m> {
    #[serde(borrow)]
    generation_id: Option<Text<'m>>,
    #[serde(borrow)]
    text: Option<Text<'m>>,
    #[serde(borrow)]
    finish_reason: Option<Text<'m>>,
    citations: Option<Vec<Value>>,
    meta: Option<Metered>,
}

/// Translates an answer. Of its two ids a stream begins with `generation_id`.
pub(super) fn answer<'r>(reply: &Reply<'r>, back: &Back) -> Result<Completed<'r>, Failure> {
    let answer: Answer<'r> = reply.json()?;
    let end = End { reason: answer.finish_reason.as_deref(), ..End::default() };
    let finish = end.finish(false, &back.secrets)?;
    let Some(text) = answer.text else { return Err(failure(reply.body, "text", &back.secrets)) };
    let citations = answer.citations.unwrap_or_default();
    let entries: Vec<Value> = citations.into_iter().enumerate().map(|(at, one)| citation(at, one)).collect();
    let own = (!entries.is_empty()).then(|| (PROVIDER, json!({ CITATIONS: entries })));
    let choice = Choice { text, finish, own, ..Choice::default() };
    let usage = answer.meta.and_then(|meta| meta.usage());
    Ok(Completed { id: answer.generation_id, model: None, choices: vec![choice], usage })
}
