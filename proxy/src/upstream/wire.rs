//! One attempt on the wire: HTTP/1.1 over Pingora's pooled connections.

use bytes::{Bytes, BytesMut};
use pingora_core::connectors::{ConnectorOptions, TransportConnector};
use pingora_core::protocols::Stream;
use pingora_core::protocols::http::v1::client::HttpSession;
use pingora_core::upstreams::peer::{HttpPeer, Peer};
use pingora_core::{Error, ErrorType, RetryType};
use pingora_timeout::timeout;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::AsyncWriteExt;
use weirgate_policy::door::Refusal;
use weirgate_policy::reason::Reason;

use super::{Place, Timeouts};
use crate::body::Room;

/// Heads and bodies up to this size leave in one write; beyond it copying costs more than a second write.
const ONE_WRITE: usize = 16 * 1024;

/// Pooled connections to all upstreams.
pub struct Wire {
    transport: TransportConnector,
}

impl Wire {
    /// `pool` = idle connections kept, over all upstreams.
    pub fn new(pool: usize) -> Self {
        Wire { transport: TransportConnector::new(Some(ConnectorOptions::new(pool))) }
    }

    /// Sends head and body, and waits for the head of the answer.
    ///
    /// A pooled connection may have been closed by the upstream just now. When one was reused and no byte of an answer
    /// came, the upstream did not work on the request, so it is sent once more on a fresh connection. `sends` counts.
    pub async fn send(&self, place: &Place, head: &[u8], body: &Bytes, sends: &mut u32) -> Result<Answer<'_>, Refusal> {
        let mut failure = None;
        for peer in place.address.peers()? {
            let (stream, reused) = match self.transport.get_stream(&*peer).await {
                Ok(found) => found,
                Err(e) => {
                    failure = Some(refuse(&e, Reason::UpstreamConnect, place));
                    continue;
                }
            };
            *sends += 1;
            return match self.exchange(stream, &peer, &place.timeouts, head, body).await {
                Ok(answer) => Ok(answer),
                Err(Lost { untouched: true, .. }) if reused => {
                    let fresh = self
                        .transport
                        .new_stream(&*peer)
                        .await
                        .map_err(|e| refuse(&e, Reason::UpstreamConnect, place))?;
                    *sends += 1;
                    let again = self.exchange(fresh, &peer, &place.timeouts, head, body).await;
                    again.map_err(|lost| refuse(&lost.error, Reason::UpstreamClosed, place))
                }
                Err(lost) => Err(refuse(&lost.error, Reason::UpstreamClosed, place)),
            };
        }
        Err(failure.unwrap_or_else(|| Refusal::new(Reason::UpstreamConnect, "the upstream has no address to try")))
    }

    async fn exchange(
        &self,
        mut stream: Stream,
        peer: &Arc<HttpPeer>,
        timeouts: &Timeouts,
        head: &[u8],
        body: &Bytes,
    ) -> Result<Answer<'_>, Lost> {
        let written = write(&mut stream, head, body, timeouts.gap).await;
        let mut session = HttpSession::new_with_options(stream, &**peer);
        // After a failed write only what has come already can be read.
        let patience = if matches!(written, Written::Failed(_)) { LOOK } else { timeouts.first_byte };
        session.read_timeout = Some(patience);
        loop {
            if let Err(error) = session.read_response().await {
                return Err(match written {
                    // Without an answer, the failed write is what happened.
                    Written::Failed(error) => Lost { untouched: *error.etype() == ErrorType::WriteError, error },
                    _ => Lost { untouched: no_byte_came(&error), error },
                });
            }
            match session.get_status().map(|s| s.as_u16()) {
                // Informational; the answer proper follows.
                Some(100..=199) => continue,
                Some(status) => {
                    session.read_timeout = Some(timeouts.gap);
                    let idle = matches!(written, Written::Whole).then_some(timeouts.idle);
                    return Ok(Answer { wire: self, session, peer: peer.clone(), status, idle });
                }
                None => {
                    let error = Error::explain(ErrorType::InvalidHTTPHeader, "an answer without a status");
                    return Err(Lost { error, untouched: false });
                }
            }
        }
    }
}

/// Whether the connection ended before any byte of an answer. Pingora says how many bytes of a head had come only in
/// the error's text; should that text change, requests are no longer resent, which is the safe side.
fn no_byte_came(error: &Error) -> bool {
    error.retry == RetryType::ReusedOnly
        && error.context.as_ref().is_some_and(|text| text.as_str().ends_with("already read: 0"))
}

/// How sending a request ended.
enum Written {
    Whole,
    /// The upstream answered before it had read everything, as it does for a body it refuses.
    Part,
    Failed(Box<Error>),
}

/// A write that makes no progress for this long may be one that the upstream does not want.
const STALL: Duration = Duration::from_millis(100);
/// How long to look for an answer that has come already.
const LOOK: Duration = Duration::from_millis(10);

async fn write(stream: &mut Stream, head: &[u8], body: &Bytes, gap: Duration) -> Written {
    if head.len() + body.len() <= ONE_WRITE {
        let mut whole = Vec::with_capacity(head.len() + body.len());
        whole.extend_from_slice(head);
        whole.extend_from_slice(body);
        return write_pieces(stream, &[&whole], gap).await;
    }
    write_pieces(stream, &[head, body], gap).await
}

async fn write_pieces(stream: &mut Stream, pieces: &[&[u8]], gap: Duration) -> Written {
    let failed = |e| Written::Failed(Error::because(ErrorType::WriteError, "sending the request", e));
    let mut stalled = Duration::ZERO;
    for mut left in pieces.iter().copied() {
        while !left.is_empty() {
            match timeout(STALL, stream.write(left)).await {
                Ok(Ok(0)) => return failed(std::io::ErrorKind::WriteZero.into()),
                Ok(Ok(count)) => {
                    stalled = Duration::ZERO;
                    left = left.get(count..).unwrap_or_default();
                }
                Ok(Err(e)) => return failed(e),
                Err(_) => {
                    if matches!(timeout(LOOK, stream.try_peek(&mut [0])).await, Ok(Ok(true))) {
                        return Written::Part;
                    }
                    stalled += STALL + LOOK;
                    if stalled >= gap {
                        return Written::Failed(Error::explain(ErrorType::WriteTimedout, "sending the request"));
                    }
                }
            }
        }
    }
    match timeout(gap, stream.flush()).await {
        Ok(Ok(())) => Written::Whole,
        Ok(Err(e)) => failed(e),
        Err(_) => Written::Failed(Error::explain(ErrorType::WriteTimedout, "sending the request")),
    }
}

/// A connection that ended without an answer.
struct Lost {
    error: Box<Error>,
    /// No byte of an answer had come.
    untouched: bool,
}

fn refuse(error: &Error, otherwise: Reason, place: &Place) -> Refusal {
    let reason = match error.etype() {
        ErrorType::ConnectTimedout
        | ErrorType::ReadTimedout
        | ErrorType::WriteTimedout
        | ErrorType::TLSHandshakeTimedout => Reason::UpstreamTimeout,
        ErrorType::InvalidHTTPHeader | ErrorType::H1Error => Reason::UpstreamBrokenAnswer,
        _ => otherwise,
    };
    let what = match reason {
        Reason::UpstreamTimeout => "did not answer in time",
        Reason::UpstreamBrokenAnswer => "sent an answer that is not HTTP",
        Reason::UpstreamConnect => "cannot be reached",
        _ => "closed the connection before its answer was complete",
    };
    log::debug!("{}: {error}", place.address.label);
    Refusal::new(reason, format!("the upstream {what}"))
}

/// An answer whose head has been read.
pub struct Answer<'w> {
    wire: &'w Wire,
    session: HttpSession,
    peer: Arc<HttpPeer>,
    /// HTTP status.
    pub status: u16,
    /// How long the connection may idle in the pool; `None` when it cannot be used again.
    idle: Option<Duration>,
}

impl Answer<'_> {
    /// A header's value, if it is text.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.session.get_header(name)?.to_str().ok()
    }

    /// The next piece of the body, as it arrives.
    pub async fn chunk(&mut self, place: &Place) -> Result<Option<Bytes>, Refusal> {
        self.session.read_body_bytes().await.map_err(|e| refuse(&e, Reason::UpstreamClosed, place))
    }

    /// The body up to about `limit` bytes, and whether that is all of it. What it takes is counted in `room`.
    pub async fn collect(
        &mut self,
        limit: usize,
        place: &Place,
        room: &mut Room<'_>,
    ) -> Result<(Bytes, bool), Refusal> {
        let Some(first) = self.chunk(place).await? else { return Ok((Bytes::new(), true)) };
        let Some(second) = self.chunk(place).await? else { return Ok((first, true)) };
        let mut whole = BytesMut::with_capacity(first.len() + second.len());
        whole.extend_from_slice(&first);
        whole.extend_from_slice(&second);
        while whole.len() <= limit {
            let Some(more) = self.chunk(place).await? else { return Ok((whole.freeze(), true)) };
            room.grow((whole.len() + more.len()) as u64)?;
            whole.extend_from_slice(&more);
        }
        Ok((whole.freeze(), false))
    }

    /// Gives the connection back to the pool, if the answer was read to its end; closes it otherwise.
    pub async fn release(mut self) {
        let Some(idle) = self.idle else { return };
        self.session.respect_keepalive();
        if let Some(stream) = self.session.reuse().await {
            self.wire.transport.release_stream(stream, self.peer.reuse_hash(), Some(idle));
        }
    }
}
