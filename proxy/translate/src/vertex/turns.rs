//! OpenAI's messages → `systemInstruction` and `contents`.

use std::borrow::Cow;
use std::collections::HashMap;

use serde::Serialize;
use serde_json::value::RawValue;

use super::media::Media;
use super::model::Model;
use super::sign::{self, Place, Signatures};
use crate::chat::{self, Content, Message, Part, PartBody, Role, ToolCall};
use crate::params::wrong;
use crate::peek::PeekError;
use crate::wire::{Members, Raw, Rest};

/// The conversation as the API wants it.
#[derive(Default)]
pub(super) struct Conversation<'r> {
    pub system: Option<Turn<'r>>,
    pub turns: Vec<Turn<'r>>,
}

/// One turn.
#[derive(Serialize)]
pub(super) struct Turn<'r> {
    #[serde(skip_serializing_if = "Option::is_none")]
    role: Option<&'static str>,
    parts: Vec<Piece<'r>>,
    /// Whether it is of results of tools: those have a turn to themselves.
    #[serde(skip)]
    results: bool,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Piece<'r> {
    #[serde(flatten)]
    kind: Kind<'r>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    thought: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    thought_signature: Option<&'r str>,
    /// Of a result: which of the calls it is of.
    #[serde(skip)]
    order: usize,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
enum Kind<'r> {
    Text(&'r str),
    /// Without the id, which Vertex AI refuses here (unlike the public Gemini API): calls are told apart by order.
    FunctionCall {
        name: &'r str,
        args: Raw<'r>,
    },
    FunctionResponse {
        name: &'r str,
        response: Response<'r>,
    },
    /// An image, sound or a file.
    #[serde(untagged)]
    Media(Media<'r>),
    /// A part in the API's own words.
    #[serde(untagged)]
    Own(Own<'r>),
}

/// What a function gave: an object, or `output` for all else.
#[derive(Serialize)]
#[serde(untagged)]
enum Response<'r> {
    Object(Cow<'r, RawValue>),
    Json { output: Cow<'r, RawValue> },
    Text { output: Cow<'r, str> },
}

/// A part or a tool that OpenAI does not have, `{"type": "x", "x": …}` or `{"type": "x", …}`, as `{"x": …}`.
#[derive(Serialize)]
#[serde(untagged)]
pub(super) enum Own<'r> {
    Named(Members<'r>),
    Bare(HashMap<&'r str, Members<'r>>),
}

impl<'r> Own<'r> {
    /// Of its type and its other members.
    pub fn of(kind: &'r str, rest: &'r Rest<'_>) -> Self {
        let members = Members::of(rest, |_| true);
        match members.0.iter().any(|(key, _)| *key == kind) {
            true => Self::Named(members),
            false => Self::Bare(HashMap::from([(kind, members)])),
        }
    }
}

impl<'r> Turn<'r> {
    fn new(role: Option<&'static str>, parts: Vec<Piece<'r>>) -> Self {
        Self { role, parts, results: false }
    }

    /// One text of the user's.
    pub fn of_user(text: &'r str) -> Self {
        Self::new(Some("user"), vec![Kind::Text(text).into()])
    }
}

/// Translates all messages: instructions are lifted out, turns of the same side that follow each other become one.
pub(super) fn conversation<'r>(asked: &'r chat::Request<'_>, model: Model<'_>) -> Result<Conversation<'r>, PeekError> {
    let mut system = Vec::new();
    let mut turns: Vec<Turn<'r>> = Vec::new();
    // Results are by the name of the function here, which OpenAI's do not say, and in the order of the calls.
    let mut calls: HashMap<&str, (usize, &'r str)> = HashMap::new();
    for (at, message) in asked.messages.iter().enumerate() {
        let place = At { message: at };
        let mut parts = Vec::new();
        match message.role {
            Role::System | Role::Developer => say(&mut system, message, place)?,
            Role::User => say(&mut parts, message, place)?,
            Role::Assistant => {
                let named =
                    |(at, call): (usize, &'r ToolCall<'_>)| Some((&*call.id, (at, &*call.function.as_ref()?.name)));
                calls.extend(message.tool_calls().iter().enumerate().filter_map(named));
                assistant(&mut parts, message, model, place)?;
            }
            Role::Tool => {
                let id = message.tool_call_id.as_deref().unwrap_or_default();
                let call = calls.get(id).copied().or(message.name.as_deref().map(|name| (usize::MAX, name)));
                let (order, name) =
                    call.ok_or_else(|| place.wrong("tool_call_id", "must be of a call in an earlier turn"))?;
                result(&mut parts, name, message, place)?;
                parts.iter_mut().for_each(|part| part.order = order);
            }
            Role::Function => return Err(place.wrong("role", "must not be function; use tools")),
        }
        // A turn with nothing in it says nothing; the API takes none.
        if parts.is_empty() {
            continue;
        }
        let role = Some(if message.role == Role::Assistant { "model" } else { "user" });
        let results = message.role == Role::Tool;
        match turns.last_mut() {
            Some(last) if last.role == role && last.results == results => last.parts.extend(parts),
            _ => turns.push(Turn { role, parts, results }),
        }
    }
    for turn in turns.iter_mut().filter(|turn| turn.results) {
        turn.parts.sort_by_key(|part| part.order);
    }
    if turns.is_empty() {
        // Instructions alone are a question, too; the API wants a turn.
        return Ok(Conversation { system: None, turns: vec![Turn::new(Some("user"), system)] });
    }
    Ok(Conversation { system: (!system.is_empty()).then(|| Turn::new(None, system)), turns })
}

/// Where in the request something stands.
#[derive(Clone, Copy)]
struct At {
    message: usize,
}

impl At {
    fn wrong(self, member: &str, problem: impl Into<Cow<'static, str>>) -> PeekError {
        wrong(format!("messages[{}].{member}", self.message), problem)
    }
}

/// Adds what a message says. The API takes no empty text, so that is left out.
fn say<'r>(parts: &mut Vec<Piece<'r>>, message: &'r Message<'_>, at: At) -> Result<(), PeekError> {
    match &message.content {
        None => {}
        Some(Content::Text(text)) => parts.extend(text_piece(text)),
        Some(Content::Parts(all)) => {
            for (index, part) in all.iter().enumerate() {
                let refuse = |problem: &'static str| at.wrong(&format!("content[{index}]"), problem);
                parts.extend(piece(part, message.role).map_err(refuse)?);
            }
        }
    }
    Ok(())
}

fn text_piece<'r>(text: &'r str) -> Option<Piece<'r>> {
    (!text.is_empty()).then(|| Kind::Text(text).into())
}

fn piece<'r>(part: &'r Part<'_>, role: Role) -> Result<Option<Piece<'r>>, &'static str> {
    let only_text = matches!(role, Role::System | Role::Developer | Role::Assistant);
    let kind = match &part.body {
        PartBody::Text(text) | PartBody::Refusal(text) => return Ok(text_piece(text)),
        PartBody::Other(kind, rest) => Kind::Own(Own::of(kind, rest)),
        _ if only_text => return Err("must be text in a turn of this role"),
        PartBody::Image(image) => Kind::Media(Media::image(image)?),
        PartBody::Audio(audio) => Kind::Media(Media::audio(audio)),
        PartBody::File(file) => Kind::Media(Media::file(file)?),
    };
    Ok(Some(kind.into()))
}

/// The model's own turn: each signature on the part that it came with.
fn assistant<'r>(
    parts: &mut Vec<Piece<'r>>,
    message: &'r Message<'_>,
    model: Model<'_>,
    at: At,
) -> Result<(), PeekError> {
    if message.function_call.is_some() {
        return Err(at.wrong("function_call", "is not supported; use tool_calls"));
    }
    let signatures = Signatures::of(message);
    if let Some(signature) = signatures.at(Place::Thought) {
        let text = message.reasoning_content.as_deref().unwrap_or_default();
        parts.push(Piece { thought: true, ..Piece::signed(text, signature) });
    }
    let before = parts.len();
    say(parts, message, at)?;
    parts.extend(message.refusal.as_deref().and_then(text_piece));
    if let Some(signature) = signatures.at(Place::Text) {
        match parts.get_mut(before..).and_then(<[_]>::last_mut) {
            Some(last) => last.thought_signature = Some(signature),
            None => parts.push(Piece::signed("", signature)),
        }
    }
    parts.extend(signatures.at(Place::End).map(|signature| Piece::signed("", signature)));
    let calls = message.tool_calls();
    let unsigned = (0..calls.len()).all(|call| signatures.at(Place::Call(call)).is_none());
    for (index, call) in calls.iter().enumerate() {
        let kind = call_kind(call).map_err(|problem| at.wrong(&format!("tool_calls[{index}]"), problem))?;
        let none = (index == 0 && unsigned && model.wants_signatures()).then_some(sign::NONE);
        let thought_signature = signatures.at(Place::Call(index)).or(none);
        parts.push(Piece { thought_signature, ..kind.into() });
    }
    Ok(())
}

fn call_kind<'r>(call: &'r ToolCall<'_>) -> Result<Kind<'r>, &'static str> {
    let function = call.function.as_ref().ok_or("must be a function call")?;
    let arguments = if function.arguments.trim().is_empty() { "{}" } else { &*function.arguments };
    let args: Raw<'r> = serde_json::from_str(arguments).map_err(|_| "must have arguments that are JSON")?;
    if !args.get().starts_with('{') {
        return Err("must have arguments that are a JSON object");
    }
    Ok(Kind::FunctionCall { name: &function.name, args })
}

/// The result of a call: its text, and beside it what else there is.
fn result<'r>(parts: &mut Vec<Piece<'r>>, name: &'r str, message: &'r Message<'_>, at: At) -> Result<(), PeekError> {
    let mut others = Vec::new();
    say(&mut others, message, at)?;
    others.retain(|piece| !matches!(piece.kind, Kind::Text(_)));
    let text = match &message.content {
        None => Cow::Borrowed(""),
        Some(Content::Text(text)) => Cow::Borrowed(&**text),
        Some(content) => Cow::Owned(content.text().0.into_owned()),
    };
    parts.push(Kind::FunctionResponse { name, response: response(text) }.into());
    parts.extend(others);
    Ok(())
}

fn response(text: Cow<'_, str>) -> Response<'_> {
    let json = match &text {
        Cow::Borrowed(text) => serde_json::from_str::<Raw<'_>>(text).ok().map(Cow::Borrowed),
        Cow::Owned(text) => serde_json::from_str::<Box<RawValue>>(text).ok().map(Cow::Owned),
    };
    match json {
        Some(json) if json.get().starts_with('{') => Response::Object(json),
        Some(json) => Response::Json { output: json },
        None => Response::Text { output: text },
    }
}

impl<'r> Piece<'r> {
    /// A text with its signature.
    fn signed(text: &'r str, signature: &'r str) -> Self {
        Self { thought_signature: Some(signature), ..Kind::Text(text).into() }
    }
}

impl<'r> From<Kind<'r>> for Piece<'r> {
    fn from(kind: Kind<'r>) -> Self {
        Self { kind, thought: false, thought_signature: None, order: 0 }
    }
}
