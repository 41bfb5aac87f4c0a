//! The way back: a provider's answer to the client, whole or event by event.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures_util::FutureExt;
use http::Version;
use pingora_core::protocols::http::ServerSession;
use pingora_timeout::timeout;
use serde_json::Value;
use weirgate_policy::door::{ProviderError, Refusal};
use weirgate_policy::reason::Reason;
use weirgate_translate::{Failure, Usage, error, openai};

use super::{Call, client_gone};
use crate::record::Record;
use crate::reply;
use crate::upstream::Upstream;
use crate::upstream::wire::Answer;

/// Largest whole answer: a full batch of large embeddings stays well below.
const LARGEST_ANSWER: usize = 128 << 20;
/// Largest error body that is looked at.
const LARGEST_ERROR: usize = 64 << 10;
/// Bytes of events that are held before the first content; beyond it the answer is on its way.
const MOST_HELD: usize = 64 << 10;
/// Events that are there together leave together, up to about this size.
const ONE_WRITE: usize = 16 << 10;
/// An upstream that has sent `[DONE]` ends its body at once; one that does not loses its connection.
const LAST_CHUNK: Duration = Duration::from_millis(20);

/// Carries one answer back.
pub(super) struct Relay<'a> {
    call: &'a Call<'a>,
    upstream: &'a Upstream,
    usage: Option<Usage>,
    begun: bool,
    /// Times that the request was sent upstream.
    pub attempts: u32,
}

impl<'a> Relay<'a> {
    pub fn new(call: &'a Call<'a>, upstream: &'a Upstream) -> Self {
        Relay { call, upstream, usage: None, begun: false, attempts: 0 }
    }

    /// For upstreams that report no usage (contract §9.3).
    fn estimate(&self, answer_chars: u64) -> Usage {
        Usage::estimated(self.call.ask.prompt_chars, answer_chars)
    }

    /// What the upstream reported so far, or an estimate of it.
    pub fn usage(&self) -> Option<Usage> {
        self.usage
    }

    /// Whether the client has got a byte: from then on a failure is an event of the stream, not a status.
    pub fn has_begun(&self) -> bool {
        self.begun
    }

    /// Relays an answer whose head has been read.
    pub async fn run(
        &mut self,
        session: &mut ServerSession,
        mut answer: Answer<'_>,
        record: &mut Record,
    ) -> Result<(), Refusal> {
        match answer.status {
            200..=299 => {}
            400..=599 => return Err(self.provider_error(answer).await),
            other => return Err(broken(format!("the upstream answered with status {other}"))),
        }
        if answer.header("content-encoding").is_some_and(|encoding| !encoding.eq_ignore_ascii_case("identity")) {
            return Err(broken("the upstream sent a compressed answer, which it was asked not to"));
        }
        // Whether it is a stream is decided by what was asked, not by a content type.
        if self.call.ask.stream {
            return self.stream(session, answer, record).await;
        }
        let (body, complete) = tokio::select! {
            body = answer.collect(LARGEST_ANSWER, self.upstream) => body?,
            gone = client_gone(session) => return Err(gone),
        };
        if !complete {
            return Err(broken(format!("the upstream's answer is larger than {LARGEST_ANSWER} bytes")));
        }
        answer.release().await;
        let fill = self.call.fill(&self.upstream.model());
        let whole =
            openai::answer(&body, self.call.ask.task(), &fill, &self.upstream.secrets).map_err(|f| self.failure(&f))?;
        self.usage = Some(whole.usage.unwrap_or_else(|| self.estimate(whole.answer_chars)));
        let head =
            reply::head(200, "application/json", "provider", &self.call.story(self.attempts)).map_err(internal)?;
        self.begun = true;
        reply::whole(session, head, whole.body).await.map_err(left)
    }

    async fn stream(
        &mut self,
        session: &mut ServerSession,
        mut answer: Answer<'_>,
        record: &mut Record,
    ) -> Result<(), Refusal> {
        let ask = &self.call.ask;
        let fill = self.call.fill(&self.upstream.model());
        let mut stream = openai::Stream::new(ask.task(), ask.include_usage, fill, self.upstream.secrets.clone());
        let mut held = BytesMut::new();
        let mut seen = false;
        loop {
            let piece = tokio::select! {
                piece = answer.chunk(self.upstream) => piece?,
                gone = client_gone(session) => return Err(gone),
            };
            let (events, lost) = self.gather(&mut answer, &mut stream, piece);
            self.usage = Some(stream.usage().unwrap_or_else(|| self.estimate(stream.answer_chars())));
            let failed = stream.outcome().and_then(Result::err).map(|failure| self.failure(failure)).or(lost);
            if stream.first_content_seen() && !seen {
                seen = true;
                record.first_token();
            }
            let ended = stream.outcome().is_some();
            // The commit point: until content has come, a failure can still be told by a status.
            if self.begun || seen || (ended && failed.is_none()) || held.len() + events.len() > MOST_HELD {
                let first = if held.is_empty() { events } else { [held.split().freeze(), events].concat().into() };
                self.send(session, first).await?;
            } else {
                held.extend_from_slice(&events);
            }
            if let Some(refusal) = failed {
                return Err(refusal);
            }
            if ended {
                session.write_response_body(Bytes::new(), true).await.map_err(left)?;
                if matches!(timeout(LAST_CHUNK, answer.chunk(self.upstream)).await, Ok(Ok(None))) {
                    answer.release().await;
                }
                return Ok(());
            }
        }
    }

    /// Translates a piece, and what has come behind it meanwhile: a burst leaves in one write, and nothing waits.
    fn gather(
        &self,
        answer: &mut Answer<'_>,
        stream: &mut openai::Stream,
        piece: Option<Bytes>,
    ) -> (Bytes, Option<Refusal>) {
        let Some(piece) = piece else { return (stream.finish(), None) };
        let first = stream.push(&piece);
        let mut more = BytesMut::new();
        let mut lost = None;
        while stream.outcome().is_none() && first.len() + more.len() < ONE_WRITE {
            match answer.chunk(self.upstream).now_or_never() {
                Some(Ok(Some(piece))) => more.extend_from_slice(&stream.push(&piece)),
                Some(Ok(None)) => more.extend_from_slice(&stream.finish()),
                Some(Err(refusal)) => {
                    lost = Some(refusal);
                    break;
                }
                None => break,
            }
        }
        let events = if more.is_empty() { first } else { [first, more.freeze()].concat().into() };
        (events, lost)
    }

    /// Sends events, behind the head if they are the first.
    async fn send(&mut self, session: &mut ServerSession, events: Bytes) -> Result<(), Refusal> {
        if !self.begun {
            let story = self.call.story(self.attempts);
            let mut head = reply::head(200, "text/event-stream", "provider", &story).map_err(internal)?;
            head.insert_header("cache-control", "no-cache").map_err(internal)?;
            if session.req_header().version == Version::HTTP_11 {
                head.insert_header("transfer-encoding", "chunked").map_err(internal)?;
            }
            self.begun = true;
            session.write_response_header(Box::new(head)).await.map_err(left)?;
        }
        session.write_response_body(events, false).await.map_err(left)
    }

    /// Ends a stream that has begun: the error as its last event, no `[DONE]`, and the connection is closed.
    pub async fn break_off(&self, session: &mut ServerSession, refusal: &Refusal) {
        session.set_keepalive(None);
        let event = format!("data: {}\n\n", refusal.stream_event(self.upstream.provider));
        let _ = session.write_response_body(event.into(), true).await;
    }

    async fn provider_error(&self, mut answer: Answer<'_>) -> Refusal {
        let wait = answer.header("retry-after").and_then(|text| text.trim().parse().ok());
        let wait_ms = answer.header("retry-after-ms").and_then(|text| text.trim().parse::<u32>().ok());
        let status = answer.status;
        let body = match answer.collect(LARGEST_ERROR, self.upstream).await {
            Ok((body, true)) => {
                answer.release().await;
                body
            }
            Ok((beginning, false)) => beginning,
            // The status alone tells enough when the rest of an error is lost.
            Err(_) => Bytes::new(),
        };
        self.refusal_of(status, &body, wait.or(wait_ms.map(|ms| ms.div_ceil(1000))))
    }

    fn refusal_of(&self, status: u16, body: &[u8], retry_after: Option<u32>) -> Refusal {
        let said = error::ProviderError::read(body, &self.upstream.secrets);
        let quoted = error::masked(body, &self.upstream.secrets);
        Refusal::of_provider(self.upstream.provider, provider_error(status, said, quoted, retry_after))
    }

    /// A failure inside an answer that came with a good status.
    fn failure(&self, failure: &Failure) -> Refusal {
        match failure {
            Failure::Provider(said) => {
                let quoted = serde_json::to_value(said).unwrap_or(Value::Null);
                Refusal::of_provider(
                    self.upstream.provider,
                    provider_error(failure.status(), said.clone(), quoted, None),
                )
            }
            Failure::Broken(what) => broken(what.to_string()),
        }
    }
}

fn provider_error(status: u16, said: error::ProviderError, body: Value, retry_after: Option<u32>) -> ProviderError {
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

fn internal(error: Box<pingora_core::Error>) -> Refusal {
    log::error!("an answer's head cannot be built: {error}");
    Refusal::new(Reason::Internal, "the gateway could not build its answer")
}

/// Writing to the client failed, or took longer than the write timeout.
#[allow(clippy::boxed_local)] // as `map_err` hands it over
fn left(error: Box<pingora_core::Error>) -> Refusal {
    Refusal::new(Reason::ClientGone, format!("the client stopped reading: {}", error.etype().as_str()))
}
