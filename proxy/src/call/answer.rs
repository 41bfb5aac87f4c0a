//! A provider's answer up to its translation: is it one, and what is wrong if not.

use bytes::Bytes;
use serde_json::Value;
use weirgate_policy::door::{ProviderError, Refusal};
use weirgate_policy::reason::Reason;
use weirgate_translate::{Failure, Reply, error};

use crate::body::Room;
use crate::upstream::Upstream;
use crate::upstream::wire::Answer;

/// Largest whole answer: a full batch of large embeddings stays well below.
const LARGEST: usize = 128 << 20;
/// Largest error body that is looked at.
const LARGEST_ERROR: usize = 64 << 10;

/// The answer, if its head says that it is a good one.
pub async fn good<'w>(answer: Answer<'w>, upstream: &Upstream, room: &mut Room<'_>) -> Result<Answer<'w>, Refusal> {
    match answer.status {
        200..=299 => {}
        400..=599 => return Err(provider_error(answer, upstream, room).await),
        other => return Err(broken(format!("the upstream answered with status {other}"))),
    }
    if answer.header("content-encoding").is_some_and(|encoding| !encoding.eq_ignore_ascii_case("identity")) {
        return Err(broken("the upstream sent a compressed answer, which it was asked not to"));
    }
    Ok(answer)
}

/// The whole body of a good answer.
pub async fn whole(answer: &mut Answer<'_>, upstream: &Upstream, room: &mut Room<'_>) -> Result<Bytes, Refusal> {
    match answer.collect(LARGEST, &upstream.place, room).await? {
        (body, true) => Ok(body),
        (_, false) => Err(broken(format!("the upstream's answer is larger than {LARGEST} bytes"))),
    }
}

async fn provider_error(mut answer: Answer<'_>, upstream: &Upstream, room: &mut Room<'_>) -> Refusal {
    let wait = answer.header("retry-after").and_then(|text| text.trim().parse().ok());
    let wait_ms = answer.header("retry-after-ms").and_then(|text| text.trim().parse::<u32>().ok());
    let retry_after = wait.or(wait_ms.map(|ms| ms.div_ceil(1000)));
    let (body, complete) = match answer.collect(LARGEST_ERROR, &upstream.place, room).await {
        Ok(read) => read,
        // The status alone tells enough when the rest of an error is lost.
        Err(_) => (Bytes::new(), false),
    };
    let said = match upstream.pair {
        None => error::ProviderError::read(&body, &upstream.secrets),
        Some(pair) => {
            let reply = Reply { status: answer.status, header: &|name| answer.header(name), body: &body };
            pair.error(&reply, &upstream.secrets)
        }
    };
    let status = said.status.unwrap_or(answer.status);
    if complete {
        answer.release().await;
    }
    let quoted = error::masked(&body, &upstream.secrets);
    Refusal::of_provider(upstream.provider, told(status, said, quoted, retry_after))
}

/// A failure inside an answer that came with a good status.
pub fn failure(failure: &Failure, upstream: &Upstream) -> Refusal {
    match failure {
        Failure::Provider(said) => {
            let quoted = serde_json::to_value(said).unwrap_or(Value::Null);
            Refusal::of_provider(upstream.provider, told(failure.status(), said.clone(), quoted, None))
        }
        Failure::Broken(what) => broken(what.to_string()),
    }
}

fn told(status: u16, said: error::ProviderError, body: Value, retry_after: Option<u32>) -> ProviderError {
    let message =
        if said.message.is_empty() { format!("the provider answered {status} without a text") } else { said.message };
    ProviderError {
        status,
        message,
        kind: said.kind,
        code: said.code.map(Value::from),
        param: said.param,
        body,
        retry_after,
    }
}

fn broken(text: impl Into<String>) -> Refusal {
    Refusal::new(Reason::UpstreamBrokenAnswer, text)
}
