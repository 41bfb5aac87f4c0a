//! OpenAI's messages → `system` and turns of content blocks.

use std::borrow::Cow;

use serde::Serialize;

use super::FORMAT;
use super::media::{self, Media};
use crate::chat::{self, Content, Detail, Message, Part, PartBody, Place, Role, ToolCall};
use crate::peek::PeekError;
use crate::wire::{Members, Raw};
use crate::write::Reasoning;

/// Most characters of a tool call's id.
const LONGEST_ID: usize = 64;

/// The conversation as the API wants it.
#[derive(Default)]
pub(super) struct Conversation<'r> {
    pub system: Vec<Block<'r>>,
    pub turns: Vec<Turn<'r>>,
    /// Tools that were called in it.
    pub called: Vec<&'r str>,
    /// Whether a marker for the cache was left out.
    pub uncached: bool,
    /// Whether the model has a cache.
    pub has_cache: bool,
    /// Names of documents: no two may be the same.
    documents: Vec<String>,
}

/// One turn.
#[derive(Serialize)]
pub(super) struct Turn<'r> {
    role: &'static str,
    content: Vec<Block<'r>>,
}

/// A content block.
#[derive(Serialize)]
#[serde(rename_all = "camelCase", rename_all_fields = "camelCase")]
pub(super) enum Block<'r> {
    Text(&'r str),
    ToolUse {
        tool_use_id: Cow<'r, str>,
        name: &'r str,
        input: Raw<'r>,
    },
    ToolResult {
        tool_use_id: Cow<'r, str>,
        content: Vec<Block<'r>>,
    },
    ReasoningContent(Thought<'r>),
    CachePoint(CachePoint<'r>),
    #[serde(untagged)]
    Media(Media<'r>),
    /// A block in the provider's own words.
    #[serde(untagged)]
    Own(Members<'r>),
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) enum Thought<'r> {
    ReasoningText { text: &'r str, signature: &'r str },
    RedactedContent(&'r str),
}

/// That the prompt up to here is to be cached.
#[derive(Serialize)]
pub(super) struct CachePoint<'r> {
    #[serde(rename = "type")]
    kind: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    ttl: Option<Raw<'r>>,
}

impl<'r> CachePoint<'r> {
    /// What OpenAI's extension `cache_control` says.
    pub fn of(marker: Raw<'r>) -> Self {
        #[derive(serde::Deserialize)]
        struct Marker<'m> {
            #[serde(borrow)]
            ttl: Option<Raw<'m>>,
        }
        let ttl = serde_json::from_str::<Marker<'r>>(marker.get()).ok().and_then(|marker| marker.ttl);
        Self { kind: "default", ttl }
    }
}

/// Translates all messages: instructions are lifted out, turns of the same side that follow each other become one.
pub(super) fn conversation<'r>(asked: &'r chat::Request<'_>, has_cache: bool) -> Result<Conversation<'r>, PeekError> {
    let mut all = Conversation { has_cache, ..Conversation::default() };
    for (at, message) in asked.messages.iter().enumerate() {
        let place = Place(at);
        let mut blocks = Vec::new();
        match message.role {
            Role::System | Role::Developer | Role::User => all.say(&mut blocks, message, place)?,
            Role::Assistant => {
                blocks.extend(message.details(FORMAT).filter_map(thought));
                all.say(&mut blocks, message, place)?;
                all.calls(&mut blocks, message, place)?;
            }
            Role::Tool => {
                let id = message.tool_call_id.as_deref().ok_or_else(|| place.wrong("tool_call_id", "is required"))?;
                let mut content = Vec::new();
                all.say(&mut content, message, place)?;
                blocks.push(Block::ToolResult { tool_use_id: fitting(id), content });
            }
            Role::Function => return Err(place.wrong("role", "must not be function; use tools")),
        }
        all.mark(&mut blocks, message.cache_control);
        let role = match message.role {
            Role::System | Role::Developer => {
                all.system.extend(blocks);
                continue;
            }
            Role::Assistant => "assistant",
            Role::User | Role::Tool | Role::Function => "user",
        };
        match all.turns.last_mut() {
            Some(last) if last.role == role => last.content.extend(blocks),
            // A turn with nothing in it says nothing; the API takes none.
            _ if blocks.is_empty() => {}
            _ => all.turns.push(Turn { role, content: blocks }),
        }
    }
    Ok(all)
}

impl<'r> Conversation<'r> {
    /// Adds what a message says. The API takes no empty text, so that is left out.
    fn say(&mut self, blocks: &mut Vec<Block<'r>>, message: &'r Message<'_>, place: Place) -> Result<(), PeekError> {
        match &message.content {
            None => {}
            Some(Content::Text(text)) => blocks.extend(text_block(text)),
            Some(Content::Parts(parts)) => {
                for (at, part) in parts.iter().enumerate() {
                    let refuse = |problem: &'static str| place.wrong(&format!("content[{at}]"), problem);
                    blocks.extend(self.part(part, message.role).map_err(refuse)?);
                    self.mark(blocks, part.cache_control);
                }
            }
        }
        Ok(())
    }

    fn part(&mut self, part: &'r Part<'_>, role: Role) -> Result<Option<Block<'r>>, &'static str> {
        let only_text = matches!(role, Role::System | Role::Developer | Role::Assistant);
        let media = match &part.body {
            PartBody::Text(text) | PartBody::Refusal(text) => return Ok(text_block(text)),
            PartBody::Other(_, rest) => return Ok(Some(Block::Own(Members::of(rest, |_| true)))),
            _ if only_text => return Err("must be text in a turn of this role"),
            PartBody::Image(image) => media::image(image)?,
            PartBody::Audio(audio) => media::audio(audio),
            PartBody::File(file) => media::file(file, &mut self.documents)?,
        };
        Ok(Some(Block::Media(media)))
    }

    /// An assistant's refusal, and the tools it called.
    fn calls(&mut self, blocks: &mut Vec<Block<'r>>, message: &'r Message<'_>, place: Place) -> Result<(), PeekError> {
        if message.function_call.is_some() {
            return Err(place.wrong("function_call", "is not supported; use tool_calls"));
        }
        blocks.extend(message.refusal.as_deref().and_then(text_block));
        for (at, call) in message.tool_calls().iter().enumerate() {
            let block = tool_use(call).map_err(|problem| place.wrong(&format!("tool_calls[{at}]"), problem))?;
            if let Block::ToolUse { name, .. } = block
                && !self.called.contains(&name)
            {
                self.called.push(name);
            }
            blocks.push(block);
        }
        Ok(())
    }

    /// Adds a marker for the cache behind what there is.
    fn mark(&mut self, blocks: &mut Vec<Block<'r>>, marker: Option<Raw<'r>>) {
        let Some(marker) = marker.filter(|_| !blocks.is_empty()) else { return };
        if !self.has_cache {
            self.uncached = true;
        } else if !matches!(blocks.last(), Some(Block::CachePoint(_))) {
            blocks.push(Block::CachePoint(CachePoint::of(marker)));
        }
    }
}

/// Reasoning goes back only as the provider signed it.
fn thought<'r>(detail: &'r Detail<'_>) -> Option<Block<'r>> {
    let thought = match detail.kind.as_deref() {
        Some(Reasoning::TEXT) => Thought::ReasoningText {
            text: detail.text.as_deref().unwrap_or_default(),
            signature: detail.signature.as_deref()?,
        },
        Some(Reasoning::ENCRYPTED) => Thought::RedactedContent(detail.data.as_deref()?),
        _ => return None,
    };
    Some(Block::ReasoningContent(thought))
}

fn tool_use<'r>(call: &'r ToolCall<'_>) -> Result<Block<'r>, &'static str> {
    let (name, input) = call.called()?;
    Ok(Block::ToolUse { tool_use_id: fitting(&call.id), name, input })
}

/// A tool call's id as the API takes it: other providers' ids can be longer, and have characters that it does not.
fn fitting(id: &str) -> Cow<'_, str> {
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | ':');
    if id.len() <= LONGEST_ID && id.chars().all(fits) {
        return Cow::Borrowed(id);
    }
    // The end is what tells ids apart.
    let start = id.chars().count().saturating_sub(LONGEST_ID);
    id.chars().skip(start).map(|c| if fits(c) { c } else { '_' }).collect::<String>().into()
}

fn text_block(text: &str) -> Option<Block<'_>> {
    (!text.is_empty()).then_some(Block::Text(text))
}
