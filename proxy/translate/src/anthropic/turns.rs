//! OpenAI's messages → `system` and turns of content blocks.

use std::borrow::Cow;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Serialize;

use super::FORMAT;
use crate::chat::{self, Content, DataUrl, Detail, File, Message, Part, PartBody, Place, Role, ToolCall};
use crate::peek::PeekError;
use crate::wire::{Members, Raw};
use crate::write::Reasoning;

/// The conversation as the API wants it.
#[derive(Default)]
pub(super) struct Conversation<'r> {
    pub system: Option<System<'r>>,
    pub turns: Vec<Turn<'r>>,
    /// Whether a file of the provider's Files API is named.
    pub files: bool,
}

/// Instructions.
#[derive(Serialize)]
#[serde(untagged)]
pub(super) enum System<'r> {
    Text(&'r str),
    Blocks(Vec<Block<'r>>),
}

/// One turn.
#[derive(Serialize)]
pub(super) struct Turn<'r> {
    role: &'static str,
    content: Blocks<'r>,
}

#[derive(Serialize)]
#[serde(untagged)]
enum Blocks<'r> {
    /// One plain text.
    Text(&'r str),
    Blocks(Vec<Block<'r>>),
}

/// A content block.
#[derive(Serialize)]
pub(super) struct Block<'r> {
    #[serde(flatten)]
    kind: Kind<'r>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cache_control: Option<Raw<'r>>,
}

#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Kind<'r> {
    Text {
        text: &'r str,
    },
    Image {
        source: Source<'r>,
    },
    Document {
        source: Source<'r>,
        #[serde(skip_serializing_if = "Option::is_none")]
        title: Option<&'r str>,
    },
    ToolUse {
        id: Cow<'r, str>,
        name: &'r str,
        input: Raw<'r>,
    },
    ToolResult {
        tool_use_id: Cow<'r, str>,
        content: Blocks<'r>,
    },
    Thinking {
        thinking: &'r str,
        signature: &'r str,
    },
    RedactedThinking {
        data: &'r str,
    },
    /// A block in Anthropic's own words.
    #[serde(untagged)]
    Own {
        #[serde(rename = "type")]
        kind: &'r str,
        #[serde(flatten)]
        rest: Members<'r>,
    },
}

#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Source<'r> {
    Base64 { media_type: &'r str, data: &'r str },
    Text { media_type: &'static str, data: String },
    Url { url: &'r str },
    File { file_id: &'r str },
}

/// Translates all messages: instructions are lifted out, turns of the same side that follow each other become one.
pub(super) fn conversation<'r>(asked: &'r chat::Request<'_>) -> Result<Conversation<'r>, PeekError> {
    let mut all = Conversation::default();
    let mut system = Vec::new();
    for (at, message) in asked.messages.iter().enumerate() {
        let mut blocks = Vec::new();
        let place = Place(at);
        match message.role {
            Role::System | Role::Developer => all.say(&mut system, message, place)?,
            Role::User => all.say(&mut blocks, message, place)?,
            Role::Assistant => {
                assistant_before(message, &mut blocks);
                all.say(&mut blocks, message, place)?;
                assistant_after(message, &mut blocks, place)?;
            }
            Role::Tool => {
                let id = message.tool_call_id.as_deref().ok_or_else(|| place.wrong("tool_call_id", "is required"))?;
                let mut content = Vec::new();
                all.say(&mut content, message, place)?;
                let content = unfolded(content);
                blocks.push(Kind::ToolResult { tool_use_id: fitting(id), content }.into());
            }
            Role::Function => return Err(place.wrong("role", "must not be function; use tools")),
        }
        if let (Some(last), Some(marker)) = (blocks.last_mut(), message.cache_control) {
            last.cache_control.get_or_insert(marker);
        }
        let role = if message.role == Role::Assistant { "assistant" } else { "user" };
        match all.turns.last_mut() {
            _ if matches!(message.role, Role::System | Role::Developer) => {}
            Some(Turn { role: last, content }) if *last == role => content.extend(blocks),
            // An assistant's turn with nothing in it says nothing; the API takes none.
            _ if blocks.is_empty() && message.role == Role::Assistant => {}
            _ => all.turns.push(Turn { role, content: Blocks::Blocks(blocks) }),
        }
    }
    for turn in &mut all.turns {
        let blocks = std::mem::replace(&mut turn.content, Blocks::Text(""));
        turn.content = match blocks {
            Blocks::Blocks(blocks) => unfolded(blocks),
            text @ Blocks::Text(_) => text,
        };
    }
    all.system = match unfolded(system) {
        Blocks::Text("") => None,
        Blocks::Text(text) => Some(System::Text(text)),
        Blocks::Blocks(blocks) => Some(System::Blocks(blocks)),
    };
    Ok(all)
}

impl<'r> Conversation<'r> {
    /// Adds what a message says. The API takes no empty text, so that is left out.
    fn say(&mut self, blocks: &mut Vec<Block<'r>>, message: &'r Message<'_>, place: Place) -> Result<(), PeekError> {
        match &message.content {
            None => {}
            Some(Content::Text(text)) => blocks.extend(text_block(text, None)),
            Some(Content::Parts(parts)) => {
                for (at, part) in parts.iter().enumerate() {
                    let refuse = |problem: &'static str| place.wrong(&format!("content[{at}]"), problem);
                    blocks.extend(self.part(part, message.role).map_err(refuse)?);
                }
            }
        }
        Ok(())
    }

    fn part(&mut self, part: &'r Part<'_>, role: Role) -> Result<Option<Block<'r>>, &'static str> {
        let only_text = matches!(role, Role::System | Role::Developer | Role::Assistant);
        let kind = match &part.body {
            PartBody::Text(text) | PartBody::Refusal(text) => return Ok(text_block(text, part.cache_control)),
            PartBody::Other(kind, rest) => Kind::Own { kind, rest: Members::of(rest, |_| true) },
            _ if only_text => return Err("must be text in a turn of this role"),
            PartBody::Image(image) => Kind::Image {
                source: match DataUrl::read(&image.url) {
                    Some(DataUrl { media_type, base64 }) => Source::Base64 { media_type, data: base64 },
                    None if image.url.starts_with("http") => Source::Url { url: &image.url },
                    None => return Err("must have an https URL, or a data URL in base64"),
                },
            },
            PartBody::File(file) => Kind::Document { source: self.file(file)?, title: file.filename.as_deref() },
            PartBody::Audio(_) => return Err("is audio, which anthropic does not take"),
        };
        Ok(Some(Block { kind, cache_control: part.cache_control }))
    }

    fn file(&mut self, file: &'r File<'_>) -> Result<Source<'r>, &'static str> {
        if let Some(file_id) = file.file_id.as_deref() {
            self.files = true;
            return Ok(Source::File { file_id });
        }
        let data = file.file_data.as_deref().ok_or("must have file_data or file_id")?;
        match DataUrl::read(data) {
            None if data.starts_with("https://") => Ok(Source::Url { url: data }),
            None => Err("must have file_data as a data URL in base64"),
            Some(DataUrl { media_type, base64 }) if media_type.starts_with("text/") => {
                let text = STANDARD.decode(base64).map_err(|_| "must have file_data in base64")?;
                let data = String::from_utf8(text).map_err(|_| "must be a text in UTF-8, or a PDF")?;
                Ok(Source::Text { media_type: "text/plain", data })
            }
            Some(DataUrl { media_type, base64 }) => Ok(Source::Base64 { media_type, data: base64 }),
        }
    }
}

/// An assistant's thinking, which the API wants before all else in the turn.
fn assistant_before<'r>(message: &'r Message<'_>, blocks: &mut Vec<Block<'r>>) {
    blocks.extend(message.details(FORMAT).filter_map(thinking).map(Block::from));
}

fn thinking<'r>(detail: &'r Detail<'_>) -> Option<Kind<'r>> {
    match detail.kind.as_deref() {
        Some(Reasoning::TEXT) => Some(Kind::Thinking {
            thinking: detail.text.as_deref().unwrap_or_default(),
            signature: detail.signature.as_deref()?,
        }),
        Some(Reasoning::ENCRYPTED) => Some(Kind::RedactedThinking { data: detail.data.as_deref()? }),
        _ => None,
    }
}

/// What comes after an assistant's text: that it would not answer, or its tool calls.
fn assistant_after<'r>(message: &'r Message<'_>, blocks: &mut Vec<Block<'r>>, place: Place) -> Result<(), PeekError> {
    if message.function_call.is_some() {
        return Err(place.wrong("function_call", "is not supported; use tool_calls"));
    }
    blocks.extend(message.refusal.as_deref().and_then(|text| text_block(text, None)));
    for (at, call) in message.tool_calls().iter().enumerate() {
        let block = tool_use(call).map_err(|problem| place.wrong(&format!("tool_calls[{at}]"), problem))?;
        blocks.push(block.into());
    }
    Ok(())
}

fn tool_use<'r>(call: &'r ToolCall<'_>) -> Result<Kind<'r>, &'static str> {
    let (name, input) = call.called()?;
    Ok(Kind::ToolUse { id: fitting(&call.id), name, input })
}

/// A tool call's id as the API takes it: other providers' ids can have characters that it does not.
fn fitting(id: &str) -> Cow<'_, str> {
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
    if id.chars().all(fits) { Cow::Borrowed(id) } else { id.replace(|c| !fits(c), "_").into() }
}

fn text_block<'r>(text: &'r str, cache_control: Option<Raw<'r>>) -> Option<Block<'r>> {
    (!text.is_empty()).then_some(Block { kind: Kind::Text { text }, cache_control })
}

/// One plain text as such.
fn unfolded(blocks: Vec<Block<'_>>) -> Blocks<'_> {
    match blocks.as_slice() {
        [] => Blocks::Text(""),
        [Block { kind: Kind::Text { text }, cache_control: None }] => Blocks::Text(text),
        _ => Blocks::Blocks(blocks),
    }
}

impl<'r> Blocks<'r> {
    fn extend(&mut self, more: Vec<Block<'r>>) {
        if let Self::Blocks(blocks) = self {
            blocks.extend(more);
        }
    }
}

impl<'r> From<Kind<'r>> for Block<'r> {
    fn from(kind: Kind<'r>) -> Self {
        Self { kind, cache_control: None }
    }
}
