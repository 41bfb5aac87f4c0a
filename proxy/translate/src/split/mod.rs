//! Cutting a stream of bytes, which arrives in pieces of any size, into events.
//!
//! Every framing holds back at most one unfinished event of [`MAX_EVENT`] bytes, and gives the same events however
//! the bytes were cut.

mod event_stream;
mod json_array;
mod json_lines;
pub mod sse;

use event_stream::Frames;
use json_array::Objects;
use json_lines::Lines;
use serde::de::IgnoredAny;

use crate::error::Broken;

/// Most bytes of one event.
pub const MAX_EVENT: usize = 1024 * 1024;

/// How a provider's API frames its streams.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Framing {
    /// Server-sent events (WHATWG HTML).
    Sse,
    /// `application/vnd.amazon.eventstream`: binary frames with headers and checksums.
    EventStream,
    /// One JSON value on each line.
    JsonLines,
    /// One JSON array whose elements, all objects, arrive one after the other.
    JsonArray,
}

/// One event, whatever its framing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Event<'e> {
    /// Its name where the framing has names: SSE's `event`, AWS' `:event-type` or `:exception-type`; else empty.
    pub name: &'e str,
    /// Whether the framing itself says that this is an error.
    pub is_error: bool,
    /// Its data: in every API so far JSON.
    pub data: &'e [u8],
}

/// Cuts a stream of any framing.
pub struct Splitter(Inner);

enum Inner {
    Sse(sse::Splitter),
    EventStream(Cutter<Frames>),
    JsonLines(Cutter<Lines>),
    JsonArray(Cutter<Objects>),
}

impl Splitter {
    /// For one stream.
    pub fn new(framing: Framing) -> Self {
        Self(match framing {
            Framing::Sse => Inner::Sse(sse::Splitter::default()),
            Framing::EventStream => Inner::EventStream(Cutter::default()),
            Framing::JsonLines => Inner::JsonLines(Cutter::default()),
            Framing::JsonArray => Inner::JsonArray(Cutter::default()),
        })
    }

    /// Calls `each` for every event that `chunk` completes.
    ///
    /// # Errors
    /// [`Broken`]: an event is larger than [`MAX_EVENT`], or damaged. The splitter is of no use after that.
    pub fn push(&mut self, chunk: &[u8], mut each: impl FnMut(Event<'_>)) -> Result<(), Broken> {
        match &mut self.0 {
            Inner::Sse(splitter) => splitter.push(chunk, |event| each(Event::from_sse(&event))),
            Inner::EventStream(cutter) => cutter.push(chunk, each),
            Inner::JsonLines(cutter) => cutter.push(chunk, each),
            Inner::JsonArray(cutter) => cutter.push(chunk, each),
        }
    }

    /// The bytes have ended. Calls `each` for an event that lacks nothing but its end mark.
    pub fn finish(&self, mut each: impl FnMut(Event<'_>)) {
        let whole = |data: &[u8]| serde_json::from_slice::<IgnoredAny>(data).is_ok();
        match &self.0 {
            Inner::Sse(splitter) => {
                if let Some(event) = splitter.rest().and_then(sse::Event::read).filter(|event| whole(&event.data)) {
                    each(Event::from_sse(&event));
                }
            }
            Inner::JsonLines(cutter) if whole(&cutter.held) => each(Event::of_data(&cutter.held)),
            Inner::JsonLines(_) | Inner::EventStream(_) | Inner::JsonArray(_) => {}
        }
    }

    /// What was begun and not ended.
    pub fn rest(&self) -> &[u8] {
        match &self.0 {
            Inner::Sse(splitter) => splitter.rest().unwrap_or_default(),
            Inner::EventStream(cutter) => &cutter.held,
            Inner::JsonLines(cutter) => &cutter.held,
            Inner::JsonArray(cutter) => &cutter.held,
        }
    }
}

impl<'e> Event<'e> {
    fn from_sse(event: &'e sse::Event<'_>) -> Self {
        Self { name: event.name, is_error: false, data: &event.data }
    }

    fn of_data(data: &'e [u8]) -> Self {
        Self { name: "", is_error: false, data }
    }
}

/// A framing in which an event's end is found by looking at its own bytes.
trait Cut: Default {
    /// The length of the event that `bytes` start with; `None` if more must come. Called again with the same bytes
    /// and more behind them until it says a length.
    fn length(&mut self, bytes: &[u8]) -> Result<Option<usize>, Broken>;

    /// Reads an event of that length; `None` if there is nothing in it.
    fn read(bytes: &[u8]) -> Result<Option<Event<'_>>, Broken>;
}

/// Holds back what was begun.
#[derive(Default)]
struct Cutter<C> {
    cut: C,
    held: Vec<u8>,
}

impl<C: Cut> Cutter<C> {
    fn push(&mut self, chunk: &[u8], mut each: impl FnMut(Event<'_>)) -> Result<(), Broken> {
        let fresh = self.held.is_empty();
        if !fresh {
            self.held.extend_from_slice(chunk);
        }
        let bytes = if fresh { chunk } else { &self.held };
        let mut at = 0;
        loop {
            let rest = bytes.get(at..).unwrap_or_default();
            let Some(length) = self.cut.length(rest)? else { break };
            if length > MAX_EVENT {
                return Err(Broken::TooLong);
            }
            if let Some(event) = C::read(rest.get(..length).unwrap_or(rest))? {
                each(event);
            }
            at += length;
        }
        if bytes.len() - at > MAX_EVENT {
            return Err(Broken::TooLong);
        }
        if fresh {
            self.held.extend_from_slice(chunk.get(at..).unwrap_or_default());
        } else {
            self.held.drain(..at);
        }
        Ok(())
    }
}

#[cfg(test)]
#[path = "split_tests.rs"]
pub(crate) mod tests;
