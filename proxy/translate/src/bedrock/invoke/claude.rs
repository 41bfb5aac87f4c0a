//! Anthropic's Messages and its legacy text completions, as Bedrock serves them.
//!
//! Source: Amazon Bedrock user guide, "Anthropic Claude models": model and stream are in the path, and a version in the
//! body of Messages.

use super::{usage, wrapped};
use crate::anthropic::{self, Host};
use crate::chat::{self, Content, DataUrl, PartBody};
use crate::completions;
use crate::error::Failure;
use crate::pair::{Back, Cx, Outgoing, Reply};
use crate::params::wrong;
use crate::peek::PeekError;
use crate::stream::Machine;
use crate::write::Completed;

const HOST: Host = Host::Cloud { version: "bedrock-2023-05-31" };

/// OpenAI chat request → Messages request.
pub(in crate::bedrock) fn messages(asked: &chat::Request<'_>, cx: &Cx<'_>) -> Result<Outgoing, PeekError> {
    data_only(asked)?;
    let mut outgoing = anthropic::messages(asked, cx, HOST)?;
    outgoing.path = super::path(cx.model, asked.stream);
    Ok(outgoing)
}

/// Bedrock fetches no addresses and keeps no files.
fn data_only(asked: &chat::Request<'_>) -> Result<(), PeekError> {
    for (at, message) in asked.messages.iter().enumerate() {
        let Some(Content::Parts(parts)) = &message.content else { continue };
        for (part_at, part) in parts.iter().enumerate() {
            let is_here = match &part.body {
                PartBody::Image(image) => DataUrl::read(&image.url).is_some(),
                PartBody::File(file) => file.file_data.as_deref().and_then(DataUrl::read).is_some(),
                _ => true,
            };
            if !is_here {
                let rule = "must be a data URL in base64; amazon-bedrock fetches no addresses and keeps no files";
                return Err(wrong(format!("messages[{at}].content[{part_at}]"), rule));
            }
        }
    }
    Ok(())
}

/// Message → OpenAI chat answer.
pub(in crate::bedrock) fn message<'r>(reply: &Reply<'r>, back: &Back) -> Result<Completed<'r>, Failure> {
    let completed = anthropic::answer(reply, back)?;
    Ok(Completed { usage: completed.usage.or_else(|| usage(reply)), ..completed })
}

/// Message events → OpenAI chat chunks.
pub(in crate::bedrock) fn messages_machine(back: &Back) -> Box<dyn Machine> {
    wrapped(anthropic::machine(back))
}

/// OpenAI completion request → text completion request.
pub(in crate::bedrock) fn text(asked: &completions::Request<'_>, cx: &Cx<'_>) -> Result<Outgoing, PeekError> {
    let mut outgoing = anthropic::completions(asked, cx, HOST)?;
    outgoing.path = super::path(cx.model, asked.stream);
    Ok(outgoing)
}

/// Text completion → OpenAI completion.
pub(in crate::bedrock) fn completion<'r>(reply: &Reply<'r>, back: &Back) -> Result<Completed<'r>, Failure> {
    Ok(Completed { usage: usage(reply), ..anthropic::completion(reply, back)? })
}

/// Text completion events → OpenAI completion chunks.
pub(in crate::bedrock) fn text_machine(back: &Back) -> Box<dyn Machine> {
    wrapped(anthropic::completion_machine(back))
}
