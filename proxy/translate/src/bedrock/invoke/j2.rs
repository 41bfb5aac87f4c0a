//! OpenAI completions ↔ AI21 Jurassic-2: AI21's own API at another path.
//!
//! Source: Amazon Bedrock user guide, "AI21 Labs Jurassic-2 models".

use super::{path, usage};
use crate::ai21::complete;
use crate::bedrock::error::instead;
use crate::completions;
use crate::error::Failure;
use crate::pair::{Back, Cx, Outgoing, Reply};
use crate::peek::PeekError;
use crate::write::Completed;

/// Translates a request.
pub(in crate::bedrock) fn request(asked: &completions::Request<'_>, cx: &Cx<'_>) -> Result<Outgoing, PeekError> {
    let max_tokens = asked.max_tokens.or(cx.default_max_tokens);
    Outgoing::new(path(cx.model, None), &complete::body(asked, max_tokens)?)
}

/// Translates an answer. Its `id` is the same for all.
pub(in crate::bedrock) fn answer<'r>(reply: &Reply<'r>, back: &Back) -> Result<Completed<'r>, Failure> {
    let completed = complete::completed(reply, || instead(reply, &back.secrets, "completions"))?;
    Ok(Completed { id: None, usage: usage(reply).or(completed.usage), ..completed })
}
