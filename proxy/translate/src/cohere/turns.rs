//! OpenAI's messages → Cohere's, which have nearly the same form.

use std::borrow::Cow;

use serde::Serialize;

use super::THINKING;
use crate::chat::{Content, Message, Part, PartBody, Role, ToolCall};
use crate::params::wrong;
use crate::peek::PeekError;
use crate::wire::Members;

/// One turn.
#[derive(Serialize)]
pub(super) struct Turn<'r> {
    role: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    content: Option<Said<'r>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tool_calls: Vec<Call<'r>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tool_plan: Option<&'r str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tool_call_id: Option<&'r str>,
}

#[derive(Serialize)]
#[serde(untagged)]
enum Said<'r> {
    Text(&'r str),
    Blocks(Vec<Block<'r>>),
}

#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Block<'r> {
    Text {
        text: &'r str,
    },
    Thinking {
        thinking: &'r str,
    },
    ImageUrl {
        image_url: Image<'r>,
    },
    /// A block in Cohere's own words, such as a document.
    #[serde(untagged)]
    Own {
        #[serde(rename = "type")]
        kind: &'r str,
        #[serde(flatten)]
        rest: Members<'r>,
    },
}

#[derive(Serialize)]
struct Image<'r> {
    url: &'r str,
    #[serde(skip_serializing_if = "Option::is_none")]
    detail: Option<&'r str>,
}

#[derive(Serialize)]
struct Call<'r> {
    id: &'r str,
    #[serde(rename = "type")]
    kind: &'static str,
    function: Function<'r>,
}

#[derive(Serialize)]
struct Function<'r> {
    name: &'r str,
    arguments: &'r str,
}

/// Translates all messages. An assistant's turn with nothing in it says nothing and is left out: the API takes none.
pub(super) fn turns<'r>(messages: &'r [Message<'_>]) -> Result<Vec<Turn<'r>>, PeekError> {
    let mut turns = Vec::with_capacity(messages.len());
    for (at, message) in messages.iter().enumerate() {
        let refuse = |(member, problem): Refused| wrong(format!("messages[{at}].{member}"), problem);
        turns.extend(turn(message).map_err(refuse)?);
    }
    Ok(turns)
}

/// A member of a message, and what is wrong with it.
type Refused = (Cow<'static, str>, &'static str);

fn turn<'r>(message: &'r Message<'_>) -> Result<Option<Turn<'r>>, Refused> {
    let role = match message.role {
        Role::System | Role::Developer => "system",
        Role::User => "user",
        Role::Assistant => return assistant(message),
        Role::Tool => "tool",
        Role::Function => return Err(("role".into(), "must not be function; use tools")),
    };
    let tool_call_id = match message.role {
        Role::Tool => Some(message.tool_call_id.as_deref().ok_or_else(|| ("tool_call_id".into(), "is required"))?),
        _ => None,
    };
    let content = Some(said(message)?.unwrap_or(Said::Text("")));
    Ok(Some(Turn { role, content, tool_calls: Vec::new(), tool_plan: None, tool_call_id }))
}

/// Reasoning goes back as the kind that it was: thinking is marked as such in `reasoning_details`; what else is in
/// `reasoning_content` of a turn with tool calls is the plan for them.
fn assistant<'r>(message: &'r Message<'_>) -> Result<Option<Turn<'r>>, Refused> {
    if message.function_call.is_some() {
        return Err(("function_call".into(), "is not supported; use tool_calls"));
    }
    let thoughts = message.details(THINKING).filter_map(|detail| detail.text.as_deref());
    let mut plan = message.reasoning_content.as_deref().unwrap_or_default();
    let mut blocks = Vec::new();
    for thinking in thoughts.filter(|text| !text.is_empty()) {
        plan = plan.strip_prefix(thinking).unwrap_or_default();
        blocks.push(Block::Thinking { thinking });
    }
    let refusal = message.refusal.as_deref().filter(|text| !text.is_empty());
    let content = match said(message)? {
        Some(Said::Text("")) | None if blocks.is_empty() && refusal.is_none() => None,
        Some(Said::Text(text)) if blocks.is_empty() && refusal.is_none() => Some(Said::Text(text)),
        said => {
            match said {
                Some(Said::Text(text)) if !text.is_empty() => blocks.push(Block::Text { text }),
                Some(Said::Text(_)) | None => {}
                Some(Said::Blocks(more)) => blocks.extend(more),
            }
            blocks.extend(refusal.map(|text| Block::Text { text }));
            (!blocks.is_empty()).then_some(Said::Blocks(blocks))
        }
    };
    let calls = message.tool_calls().iter().enumerate();
    let tool_calls = calls
        .map(|(at, call)| call_of(call).ok_or((format!("tool_calls[{at}]").into(), "must be a function call")))
        .collect::<Result<Vec<_>, _>>()?;
    if content.is_none() && tool_calls.is_empty() {
        return Ok(None);
    }
    let tool_plan = (!tool_calls.is_empty() && !plan.is_empty()).then_some(plan);
    Ok(Some(Turn { role: "assistant", content, tool_calls, tool_plan, tool_call_id: None }))
}

fn call_of<'r>(call: &'r ToolCall<'_>) -> Option<Call<'r>> {
    let function = call.function.as_ref()?;
    let arguments = if function.arguments.trim().is_empty() { "{}" } else { &*function.arguments };
    Some(Call { id: &call.id, kind: "function", function: Function { name: &function.name, arguments } })
}

fn said<'r>(message: &'r Message<'_>) -> Result<Option<Said<'r>>, Refused> {
    Ok(match &message.content {
        None => None,
        Some(Content::Text(text)) => Some(Said::Text(text)),
        Some(Content::Parts(parts)) => {
            let blocks = parts.iter().enumerate().map(|(at, part)| {
                block(part, message.role).map_err(|problem| (format!("content[{at}]").into(), problem))
            });
            Some(Said::Blocks(blocks.collect::<Result<_, Refused>>()?))
        }
    })
}

fn block<'r>(part: &'r Part<'_>, role: Role) -> Result<Block<'r>, &'static str> {
    Ok(match &part.body {
        PartBody::Text(text) | PartBody::Refusal(text) => Block::Text { text },
        PartBody::Other(kind, rest) => Block::Own { kind, rest: Members::of(rest, |_| true) },
        PartBody::Image(image) if role == Role::User => {
            Block::ImageUrl { image_url: Image { url: &image.url, detail: image.detail.as_deref() } }
        }
        PartBody::Image(_) => return Err("must be no image in a turn of this role"),
        PartBody::Audio(_) => return Err("is audio, which cohere does not take"),
        PartBody::File(_) => return Err("is a file, which cohere does not take; give its text"),
    })
}
