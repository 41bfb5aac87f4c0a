//! Reading a request's body: capped, in time, and counted against what all bodies may hold together.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use pingora_core::ErrorType;
use pingora_core::protocols::http::ServerSession;
use pingora_timeout::timeout;
use weirgate_config::snapshot::Limits;
use weirgate_policy::door::Refusal;
use weirgate_policy::reason::Reason;

use crate::live::Live;

/// Room made at once for a body of known length; a liar's length costs no more than this.
const FIRST_ROOM: u64 = 1 << 20;
/// A client that keeps within the gap between reads still has to finish within this many gaps (slow-loris).
const MOST_GAPS: u32 = 10;
/// After an early refusal, what is read and thrown away so that the client gets to see the answer before the
/// connection ends (a close with unread data would reset it).
const LINGER_BYTES: usize = 64 << 20;
const LINGER_TIME: Duration = Duration::from_secs(2);

/// A request's body, counted until it is dropped.
#[derive(Debug)]
pub struct Body<'a> {
    /// The bytes.
    pub bytes: Bytes,
    _room: Room<'a>,
}

/// Bytes taken from what all bodies, in both directions, may hold together.
#[derive(Debug)]
pub struct Room<'a> {
    held: &'a AtomicU64,
    taken: u64,
    most: u64,
}

impl<'a> Room<'a> {
    /// No room yet, to be taken from `most` bytes.
    pub fn new(live: &'a Live, most: u64) -> Self {
        Room { held: &live.bodies, taken: 0, most }
    }

    /// No room yet, to be taken from the same bytes.
    pub fn another(&self) -> Self {
        Room { taken: 0, ..*self }
    }

    /// Makes the room at least `bytes` large.
    pub fn grow(&mut self, bytes: u64) -> Result<(), Refusal> {
        let more = bytes.saturating_sub(self.taken);
        if self.held.fetch_add(more, Ordering::AcqRel) + more > self.most {
            self.held.fetch_sub(more, Ordering::AcqRel);
            return Err(Refusal::new(Reason::Overloaded, "the gateway holds as many bodies as it may; come back"));
        }
        self.taken += more;
        Ok(())
    }
}

impl Drop for Room<'_> {
    fn drop(&mut self) {
        self.held.fetch_sub(self.taken, Ordering::AcqRel);
    }
}

/// Reads the whole body. Checks what the head promises before a byte is read, and answers `Expect: 100-continue` only
/// after that, so a refusal saves the upload. `most` = bytes allowed.
pub async fn read<'a>(
    session: &mut ServerSession,
    live: &'a Live,
    limits: &Limits,
    most: u64,
) -> Result<Body<'a>, Refusal> {
    let promised = promised_length(session)?;
    let too_large = || Refusal::new(Reason::BodyTooLarge, format!("the request body is larger than {most} bytes"));
    if promised.is_some_and(|length| length > most) {
        return Err(too_large());
    }
    if let Some(encoding) = session.get_header("content-encoding")
        && !encoding.as_bytes().eq_ignore_ascii_case(b"identity")
    {
        return Err(Refusal::new(
            Reason::UnsupportedEncoding,
            "compressed request bodies are not read; send plain JSON",
        ));
    }
    let mut room = Room::new(live, limits.bodies_in_flight);
    room.grow(promised.unwrap_or(0))?;
    go_on(session).await?;
    let read = read_capped(session, limits.body_timeout, most, promised, &mut room);
    match timeout(limits.body_timeout * MOST_GAPS, read).await {
        Ok(Ok(Some(bytes))) => Ok(Body { bytes, _room: room }),
        Ok(Ok(None)) => Err(too_large()),
        Ok(Err(refusal)) => Err(refusal),
        Err(_) => Err(late()),
    }
}

fn late() -> Refusal {
    Refusal::new(Reason::BodyTimeout, "the request body did not come in time")
}

/// Reads and drops what is left of a refused request's body, within bounds.
pub async fn linger(session: &mut ServerSession) {
    let drain = async {
        let mut dropped = 0;
        while let Ok(Some(piece)) = session.read_request_body().await {
            dropped += piece.len();
            if dropped > LINGER_BYTES {
                break;
            }
        }
    };
    let _ = timeout(LINGER_TIME, drain).await;
}

/// `None` when the body is over the cap.
async fn read_capped(
    session: &mut ServerSession,
    gap: Duration,
    most: u64,
    promised: Option<u64>,
    room: &mut Room<'_>,
) -> Result<Option<Bytes>, Refusal> {
    let Some(first) = next(session, gap).await? else { return Ok(Some(Bytes::new())) };
    if first.len() as u64 > most {
        return Ok(None);
    }
    room.grow(first.len() as u64)?;
    // To the very end even when all promised bytes are here: HTTP/2 may say the end in a frame of its own.
    let mut piece = next(session, gap).await?;
    if piece.is_none() {
        return Ok(Some(first));
    }
    let mut whole = BytesMut::with_capacity(promised.unwrap_or(0).min(FIRST_ROOM) as usize);
    whole.extend_from_slice(&first);
    while let Some(bytes) = piece {
        let length = (whole.len() + bytes.len()) as u64;
        if length > most {
            return Ok(None);
        }
        room.grow(length)?;
        whole.extend_from_slice(&bytes);
        piece = next(session, gap).await?;
    }
    Ok(Some(whole.freeze()))
}

/// The session's own read timeout does nothing on HTTP/2.
async fn next(session: &mut ServerSession, gap: Duration) -> Result<Option<Bytes>, Refusal> {
    timeout(gap, session.read_request_body()).await.map_err(|_| late())?.map_err(|e| match e.etype() {
        ErrorType::ConnectionClosed | ErrorType::ReadError | ErrorType::H2Error => {
            Refusal::new(Reason::ClientGone, format!("the request body ended early: {}", e.etype().as_str()))
        }
        _ => Refusal::new(Reason::InvalidJson, "the request body is not framed as HTTP demands"),
    })
}

fn promised_length(session: &ServerSession) -> Result<Option<u64>, Refusal> {
    let Some(value) = session.get_header("content-length") else { return Ok(None) };
    let length = value.to_str().ok().and_then(|text| text.trim().parse().ok());
    length.map(Some).ok_or_else(|| Refusal::new(Reason::InvalidJson, "content-length is not a number"))
}

async fn go_on(session: &mut ServerSession) -> Result<(), Refusal> {
    let Some(expect) = session.get_header("expect") else { return Ok(()) };
    if !expect.as_bytes().eq_ignore_ascii_case(b"100-continue") {
        return Err(Refusal::new(Reason::ExpectationFailed, "the only expectation that is met is 100-continue"));
    }
    if session.is_http2() {
        // There the body comes anyway, and Pingora would take the 100 for the answer.
        return Ok(());
    }
    session
        .write_continue_response()
        .await
        .map_err(|_| Refusal::new(Reason::ClientGone, "the client left before it sent the body"))
}
