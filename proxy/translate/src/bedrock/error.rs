//! Errors of the runtime API, over HTTP and inside event streams.
//!
//! Source: Amazon Bedrock API reference, "Common Errors" and the errors of Converse, ConverseStream and InvokeModel;
//! Smithy specification, "AWS restJson1 protocol", "Operation error serialization".

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::json;

use crate::error::{Broken, Failure, ProviderError};
use crate::mask::Secrets;
use crate::pair::Reply;
use crate::wire::Text;

/// What AWS says besides `message`.
#[derive(Default, Deserialize)]
struct Wire<'e> {
    /// As some services of AWS write `message`.
    #[serde(borrow, rename = "Message")]
    shouted: Option<Text<'e>>,
    /// Of a model's own error: what it said.
    #[serde(borrow, rename = "originalMessage")]
    original_message: Option<Text<'e>>,
    #[serde(rename = "originalStatusCode")]
    original_status: Option<u16>,
    #[serde(borrow, rename = "__type")]
    kind: Option<Text<'e>>,
    #[serde(borrow)]
    message: Option<Text<'e>>,
}

/// Reads an error. Its type is in `x-amzn-errortype`, perhaps with a namespace behind a colon, or in `__type`, perhaps
/// with one before a `#`; some errors have neither.
pub(super) fn error(reply: &Reply<'_>, secrets: &Secrets) -> ProviderError {
    let wire: Wire<'_> = serde_json::from_slice(reply.body).unwrap_or_default();
    let kind = (reply.header)("x-amzn-errortype").or(wire.kind.as_deref());
    let kind = kind.and_then(|kind| kind.split(':').next()).and_then(|kind| kind.rsplit('#').next());
    let kind = kind.filter(|kind| !kind.is_empty());
    let message = wire.message.or(wire.shouted).or(wire.original_message);
    let message = message.as_deref().map(Cow::Borrowed).or_else(|| {
        // A body that says no more than its type.
        let kind = kind.filter(|_| reply.body.trim_ascii().is_empty() || wire.kind.is_some())?;
        Some(format!("the provider reports {kind}").into())
    });
    let body: Cow<'_, [u8]> = match message {
        Some(message) => json!({ "message": message }).to_string().into_bytes().into(),
        None => reply.body.into(),
    };
    let mut error = ProviderError::read(&body, secrets);
    error.kind = kind.map(|kind| kind.chars().take(128).collect());
    error.request_id = (reply.header)("x-amzn-requestid").map(Box::from);
    error.status = kind.and_then(|kind| status_of(kind, wire.original_status));
    error
}

/// What came in place of an answer: an error under a good status, or something without what an answer has.
pub(super) fn instead(reply: &Reply<'_>, secrets: &Secrets, lacks: &'static str) -> Failure {
    let error = error(reply, secrets);
    // Without a message the body itself is quoted.
    if error.message.starts_with('{') { Broken::Lacks(lacks).into() } else { Failure::Provider(error) }
}

/// What an error is, by its type: it comes in mixed case, as exceptions in streams are spelt with a small letter. A
/// model's failure is not the client's, though AWS answers 424.
fn status_of(kind: &str, original: Option<u16>) -> Option<u16> {
    Some(match kind.to_ascii_lowercase().as_str() {
        "validationexception" => 400,
        "accessdeniedexception" | "unrecognizedclientexception" | "expiredtokenexception" => 403,
        "resourcenotfoundexception" => 404,
        "throttlingexception" | "servicequotaexceededexception" | "modelnotreadyexception" => 429,
        "modelerrorexception" | "modelstreamerrorexception" => original.filter(|status| *status == 429).unwrap_or(502),
        "internalserverexception" | "internalfailure" => 500,
        "serviceunavailableexception" => 503,
        "modeltimeoutexception" => 504,
        _ => return None,
    })
}

#[cfg(test)]
#[path = "error_tests.rs"]
mod tests;
