//! Answers that the gateway writes whole, and the headers that every answer carries.

use bytes::Bytes;
use pingora_core::protocols::http::ServerSession;
use pingora_http::ResponseHeader;
use rand::RngCore;
use weirgate_policy::door::{Door, Refusal};

/// The headers that tell a request's story, the same on every answer.
#[derive(Clone, Copy)]
pub struct Story<'a> {
    /// Ours, or the client's own if it sent a usable one.
    pub request_id: &'a str,
    /// Generation of the configuration, for those who asked for it.
    pub generation: Option<u64>,
    /// Served entity that answered.
    pub entity: Option<&'a str>,
    /// Times that the request was sent upstream.
    pub attempts: u32,
}

impl<'a> Story<'a> {
    /// Of a request that has no served entity yet. `x-weirgate-want: generation` asks for the generation (product.md §1).
    pub fn begin(session: &ServerSession, request_id: &'a str, generation: u64) -> Self {
        let wants = session.get_header("x-weirgate-want").is_some_and(|what| what.as_bytes() == b"generation");
        Story { request_id, generation: wants.then_some(generation), entity: None, attempts: 0 }
    }
}

/// Longest `x-request-id` of a client that is taken over.
const LONGEST_REQUEST_ID: usize = 128;

/// The client's request id if it is short and plain, else a new one.
pub fn request_id(session: &ServerSession) -> String {
    let given = session.get_header("x-request-id").and_then(|value| value.to_str().ok());
    match given {
        Some(id) if (1..=LONGEST_REQUEST_ID).contains(&id.len()) && id.bytes().all(|b| b.is_ascii_graphic()) => {
            id.to_owned()
        }
        _ => format!("{:016x}{:016x}", rand::rng().next_u64(), rand::rng().next_u64()),
    }
}

/// A response head with the story's headers.
pub fn head(
    status: u16,
    content_type: &str,
    answered_by: &'static str,
    story: &Story<'_>,
) -> pingora_core::Result<ResponseHeader> {
    let mut head = ResponseHeader::build(status, Some(10))?;
    head.insert_header("content-type", content_type)?;
    tell(&mut head, answered_by, story)?;
    Ok(head)
}

/// Adds the story's headers.
pub fn tell(head: &mut ResponseHeader, answered_by: &'static str, story: &Story<'_>) -> pingora_core::Result<()> {
    head.insert_header("x-request-id", story.request_id)?;
    head.insert_header("x-databricks-request-id", story.request_id)?;
    head.insert_header("x-weirgate-answered-by", answered_by)?;
    if let Some(generation) = story.generation {
        head.insert_header("x-weirgate-generation", generation.to_string())?;
    }
    if let Some(entity) = story.entity {
        head.insert_header("served-model-name", entity)?;
        head.insert_header("x-weirgate-attempts", story.attempts.to_string())?;
    }
    if head.status.as_u16() == 501 {
        // Nothing heals by itself here; without this the openai client would try twice more.
        head.insert_header("x-should-retry", "false")?;
    }
    Ok(())
}

/// Writes head and body, with a length; the answer to HEAD is the same without the body.
pub async fn whole(session: &mut ServerSession, mut head: ResponseHeader, body: Bytes) -> pingora_core::Result<()> {
    head.insert_header("content-length", body.len().to_string())?;
    let body = if session.req_header().method == http::Method::HEAD { Bytes::new() } else { body };
    session.write_response_header(Box::new(head)).await?;
    session.write_response_body(body, true).await
}

/// Writes a refusal in its door's shape.
pub async fn refuse(
    session: &mut ServerSession,
    door: Door,
    refusal: &Refusal,
    provider: &'static str,
    story: &Story<'_>,
) -> pingora_core::Result<()> {
    let rendered = refusal.render(door, provider);
    let mut head = head(rendered.status, "application/json", refusal.answered_by(), story)?;
    head.insert_header("x-weirgate-reason", refusal.reason.facts().name)?;
    if let Some(seconds) = rendered.retry_after {
        head.insert_header("retry-after", seconds.to_string())?;
    }
    whole(session, head, rendered.body.into()).await
}
