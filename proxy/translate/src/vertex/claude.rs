//! Claude on Vertex AI: Anthropic's Messages API, with model and method in the path.

use bytes::Bytes;

use super::{PROVIDER, path};
use crate::anthropic::{self, Host, MESSAGES};
use crate::chat;
use crate::pair::{Cx, How, Outgoing, Pair, Reply, Streaming};
use crate::peek::PeekError;
use crate::split::Framing;
use crate::{ProviderError, Secrets};

/// The version of the API that bodies name.
const VERSION: &str = "vertex-2023-10-16";

/// `llm/v1/chat` by `rawPredict`.
pub static CLAUDE: Pair = Pair {
    provider: PROVIDER,
    api: "rawPredict (claude)",
    params: MESSAGES.params,
    how: How::Chat {
        request,
        answer: anthropic::answer,
        stream: Some(Streaming { framing: Framing::Sse, machine: anthropic::machine }),
    },
    error,
};

fn request(asked: &chat::Request<'_>, cx: &Cx<'_>) -> Result<Outgoing, PeekError> {
    let mut outgoing = anthropic::messages(asked, cx, Host::Cloud { version: VERSION })?;
    let stream = asked.stream == Some(true);
    outgoing.path = path("anthropic", cx.model, if stream { "streamRawPredict" } else { "rawPredict" });
    if stream {
        // Unlike other clouds this one wants it said in the body, too.
        outgoing.bodies.iter_mut().for_each(|body| *body = streaming(body));
    }
    Ok(outgoing)
}

/// A body, which is an object with members, with one more.
fn streaming(body: &[u8]) -> Bytes {
    let members = body.strip_suffix(b"}").unwrap_or(body);
    [members, br#","stream":true}"#].concat().into()
}

/// Errors are Anthropic's, or those of Google before it.
fn error(reply: &Reply<'_>, secrets: &Secrets) -> ProviderError {
    let google = super::error(reply, secrets);
    if google.code.is_some() { google } else { anthropic::error(reply, secrets) }
}

#[cfg(test)]
#[path = "claude_tests.rs"]
mod tests;
