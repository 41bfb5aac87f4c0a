//! The way back: a provider's answer to the client, whole or event by event.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures_util::FutureExt;
use http::Version;
use pingora_core::protocols::http::ServerSession;
use pingora_http::ResponseHeader;
use pingora_timeout::timeout;
use weirgate_policy::door::Refusal;
use weirgate_policy::reason::Reason;
use weirgate_translate::{Asked, Back, Failure, Pair, Stream, Usage, openai};

use super::{Call, answer, client_gone};
use crate::body::Room;
use crate::record::Record;
use crate::reply;
use crate::upstream::Upstream;
use crate::upstream::wire::Answer;

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
    /// How the answer becomes one of the client's schema, if it is not of it.
    pub translation: Option<Translation>,
    /// What the bodies of this call hold beside the request's own.
    pub room: Room<'a>,
    /// Times that the request was sent upstream.
    pub attempts: u32,
}

/// What the way back must know of a translated request.
pub(super) struct Translation {
    pub pair: &'static Pair,
    pub asked: Asked,
    /// Parameters that the provider was not told.
    pub dropped: String,
}

impl<'a> Relay<'a> {
    pub fn new(call: &'a Call<'a>, upstream: &'a Upstream, room: Room<'a>) -> Self {
        Relay { call, upstream, usage: None, begun: false, translation: None, room, attempts: 0 }
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
        answer: Answer<'_>,
        record: &mut Record,
    ) -> Result<(), Refusal> {
        let mut answer = tokio::select! {
            biased;
            answer = answer::good(answer, self.upstream, &mut self.room) => answer?,
            gone = client_gone(session) => return Err(gone),
        };
        // Whether it is a stream is decided by what was asked, not by a content type.
        if self.call.ask.stream {
            return self.stream(session, answer, record).await;
        }
        let body = tokio::select! {
            body = answer::whole(&mut answer, self.upstream, &mut self.room) => body?,
            gone = client_gone(session) => return Err(gone),
        };
        answer.release().await;
        let fill = self.call.fill(&self.upstream.model());
        self.whole(session, openai::answer(&body, self.call.ask.task(), &fill, &self.upstream.secrets)).await
    }

    /// Sends a whole answer in the client's schema.
    pub async fn whole(
        &mut self,
        session: &mut ServerSession,
        answer: Result<openai::Answer, Failure>,
    ) -> Result<(), Refusal> {
        let whole = answer.map_err(|failure| answer::failure(&failure, self.upstream))?;
        self.usage = Some(whole.usage.unwrap_or_else(|| self.estimate(whole.answer_chars)));
        let head = self.head("application/json").map_err(internal)?;
        self.begun = true;
        reply::whole(session, head, whole.body).await.map_err(left)
    }

    /// What a translated answer is read with.
    pub fn back(&self, asked: Asked) -> Back {
        let fill = self.call.fill(&self.upstream.model());
        Back { fill, secrets: self.upstream.secrets.clone(), asked }
    }

    fn head(&self, content_type: &str) -> pingora_core::Result<ResponseHeader> {
        let mut head = reply::head(200, content_type, "provider", &self.call.story(self.attempts))?;
        if let Some(dropped) = self.translation.as_ref().map(|t| &t.dropped).filter(|dropped| !dropped.is_empty()) {
            head.insert_header("x-weirgate-dropped", dropped)?;
        }
        Ok(head)
    }

    fn translator(&self) -> Result<Stream, Refusal> {
        let ask = &self.call.ask;
        let Some(Translation { pair, asked, .. }) = &self.translation else {
            let fill = self.call.fill(&self.upstream.model());
            let secrets = self.upstream.secrets.clone();
            return Ok(Stream::Same(openai::Stream::new(ask.task(), ask.include_usage, fill, secrets)));
        };
        // A request for a stream that its pair does not have has been refused.
        pair.stream(self.back(*asked)).ok_or_else(|| Refusal::new(Reason::Internal, "there is no stream to read"))
    }

    async fn stream(
        &mut self,
        session: &mut ServerSession,
        mut answer: Answer<'_>,
        record: &mut Record,
    ) -> Result<(), Refusal> {
        let mut stream = self.translator()?;
        let mut held = BytesMut::new();
        let mut seen = false;
        loop {
            let piece = tokio::select! {
                piece = answer.chunk(&self.upstream.place) => piece?,
                gone = client_gone(session) => return Err(gone),
            };
            let (events, lost) = self.gather(&mut answer, &mut stream, piece);
            self.usage = Some(stream.usage().unwrap_or_else(|| self.estimate(stream.answer_chars())));
            let failed =
                stream.outcome().and_then(Result::err).map(|failure| answer::failure(failure, self.upstream)).or(lost);
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
                if matches!(timeout(LAST_CHUNK, answer.chunk(&self.upstream.place)).await, Ok(Ok(None))) {
                    answer.release().await;
                }
                return Ok(());
            }
        }
    }

    /// Translates a piece, and what has come behind it meanwhile: a burst leaves in one write, and nothing waits.
    fn gather(&self, answer: &mut Answer<'_>, stream: &mut Stream, piece: Option<Bytes>) -> (Bytes, Option<Refusal>) {
        let Some(piece) = piece else { return (stream.finish(), None) };
        let first = stream.push(&piece);
        let mut more = BytesMut::new();
        let mut lost = None;
        while stream.outcome().is_none() && first.len() + more.len() < ONE_WRITE {
            match answer.chunk(&self.upstream.place).now_or_never() {
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
            let mut head = self.head("text/event-stream").map_err(internal)?;
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
