//! Server-sent events: cutting a byte stream into events, and putting events together again.
//!
//! Format: WHATWG HTML, "Server-sent events". Of an event its name and data count here; ids, retry times
//! and comments are left out. Clients of this contract get the data only (contract §8.5).

use std::borrow::Cow;
use std::ops::Range;

use bytes::{Bytes, BytesMut};
use memchr::memchr2;

use crate::error::Broken;

use super::MAX_EVENT;

/// One event.
#[derive(Debug)]
pub struct Event<'e> {
    /// The event's name; empty if it has none.
    pub name: &'e str,
    /// The event's bytes, if they are already in the form that clients get: one line `data: …` and an empty line.
    pub as_is: Option<&'e [u8]>,
    /// The data; several data lines are joined by a line feed.
    pub data: Cow<'e, [u8]>,
}

/// Cuts a stream that arrives in any pieces into events. Holds back at most one unfinished event.
#[derive(Default)]
pub struct Splitter {
    held: BytesMut,
    lines: Lines,
    /// Past the first event, so that a byte-order mark is no longer one.
    begun: bool,
}

impl Splitter {
    /// Calls `each` for every event that `chunk` completes. Events that lie wholly within `chunk` are slices of it.
    ///
    /// # Errors
    /// [`Broken::TooLong`]: an event is larger than [`MAX_EVENT`]. The splitter is of no use after that.
    pub fn push(&mut self, mut chunk: &[u8], mut each: impl FnMut(Event<'_>)) -> Result<(), Broken> {
        while let Some(end) = self.lines.event_end(chunk) {
            let (event, rest) = chunk.split_at_checked(end).unwrap_or((chunk, &[]));
            chunk = rest;
            if self.held.len() + event.len() > MAX_EVENT {
                return Err(Broken::TooLong);
            }
            let event = if self.held.is_empty() {
                event
            } else {
                self.held.extend_from_slice(event);
                &*self.held
            };
            let mark: &[u8] = if self.begun { b"" } else { b"\xEF\xBB\xBF" };
            Event::read(event.strip_prefix(mark).unwrap_or(event)).map(&mut each);
            self.begun = true;
            self.held.clear();
        }
        if self.held.len() + chunk.len() > MAX_EVENT {
            return Err(Broken::TooLong);
        }
        self.held.extend_from_slice(chunk);
        Ok(())
    }

    /// The bytes of an event that was begun and not ended; `None` if nothing but line ends is left over.
    pub fn rest(&self) -> Option<&[u8]> {
        (!self.held.trim_ascii().is_empty()).then_some(&*self.held)
    }
}

impl<'e> Event<'e> {
    /// Reads the lines of one event; `None` if they carry no data.
    pub fn read(event: &'e [u8]) -> Option<Self> {
        if let Some(data) = event.strip_prefix(b"data: ").and_then(|rest| rest.strip_suffix(b"\n\n"))
            && memchr2(b'\n', b'\r', data).is_none()
        {
            return (!data.trim_ascii().is_empty()).then_some(Self {
                name: "",
                as_is: Some(event),
                data: Cow::Borrowed(data),
            });
        }
        let mut data: Option<Cow<'e, [u8]>> = None;
        let mut name = "";
        for line in event.split(|byte| matches!(byte, b'\n' | b'\r')) {
            if let Some(named) = line.strip_prefix(b"event:") {
                name = std::str::from_utf8(named.trim_ascii()).unwrap_or_default();
                continue;
            }
            let value = match line.strip_prefix(b"data") {
                Some([]) => line.get(4..).unwrap_or_default(),
                Some([b':', b' ', value @ ..] | [b':', value @ ..]) => value,
                _ => continue,
            };
            match &mut data {
                None => data = Some(Cow::Borrowed(value)),
                Some(data) => {
                    let data = data.to_mut();
                    data.push(b'\n');
                    data.extend_from_slice(value);
                }
            }
        }
        data.filter(|data| !data.trim_ascii().is_empty()).map(|data| Self { name, as_is: None, data })
    }
}

/// Where in the current line the stream stands.
struct Lines {
    /// Nothing of the line was seen yet.
    empty: bool,
    /// The last byte was a carriage return, so a line feed now belongs to it.
    after_cr: bool,
}

impl Default for Lines {
    fn default() -> Self {
        Self { empty: true, after_cr: false }
    }
}

impl Lines {
    /// The position after the first empty line in `chunk`, the state moving on to there; `None`: all of it was seen.
    fn event_end(&mut self, chunk: &[u8]) -> Option<usize> {
        let mut at = 0;
        if self.after_cr && !chunk.is_empty() {
            self.after_cr = false;
            // The end of a line that counted when its carriage return came.
            at = usize::from(chunk.first() == Some(&b'\n'));
        }
        while let Some(found) = memchr2(b'\n', b'\r', chunk.get(at..)?) {
            let ended_empty = self.empty && found == 0;
            self.empty = true;
            at += found + 1;
            if chunk.get(at - 1) == Some(&b'\r') {
                match chunk.get(at) {
                    Some(b'\n') => at += 1,
                    Some(_) => {}
                    None => self.after_cr = true,
                }
            }
            if ended_empty {
                return Some(at);
            }
        }
        if chunk.len() > at {
            self.empty = false;
        }
        None
    }
}

/// Collects what goes to the client for one chunk from upstream. As long as everything collected is a run of that
/// chunk, nothing is copied and the result is a slice of it.
pub(crate) struct Output<'c> {
    chunk: &'c Bytes,
    run: Range<usize>,
    copied: BytesMut,
}

impl<'c> Output<'c> {
    pub fn new(chunk: &'c Bytes) -> Self {
        Self { chunk, run: 0..0, copied: BytesMut::new() }
    }

    /// Adds bytes, which may be a piece of the chunk.
    pub fn add(&mut self, bytes: &[u8]) {
        if let Some(place) = self.place(bytes) {
            self.add_place(place);
        } else {
            self.flush();
            self.copied.extend_from_slice(bytes);
        }
    }

    /// Adds a piece of the chunk.
    pub fn add_place(&mut self, place: Range<usize>) {
        if place.start == self.run.end {
            self.run.end = place.end;
        } else {
            self.flush();
            self.run = place;
        }
    }

    /// Adds one event with this data, which must be JSON or `[DONE]`: line ends in it can only be whitespace.
    pub fn add_event(&mut self, data: &[u8]) {
        self.flush();
        self.copied.reserve(data.len() + 8);
        self.copied.extend_from_slice(b"data: ");
        let start = self.copied.len();
        self.copied.extend_from_slice(data);
        one_line(self.copied.get_mut(start..).unwrap_or_default());
        self.copied.extend_from_slice(b"\n\n");
    }

    /// Where in the chunk `bytes` lies, if it is a piece of it.
    pub fn place(&self, bytes: &[u8]) -> Option<Range<usize>> {
        let start = (bytes.as_ptr() as usize).checked_sub(self.chunk.as_ptr() as usize)?;
        let end = start.checked_add(bytes.len())?;
        (end <= self.chunk.len() && start < end).then_some(start..end)
    }

    pub fn finish(mut self) -> Bytes {
        if self.copied.is_empty() {
            return self.chunk.slice(self.run);
        }
        self.flush();
        self.copied.freeze()
    }

    fn flush(&mut self) {
        if self.copied.capacity() == 0 {
            self.copied.reserve(self.chunk.len());
        }
        let run = std::mem::take(&mut self.run);
        self.copied.extend_from_slice(self.chunk.get(run).unwrap_or_default());
    }
}

/// Puts JSON text on one line: outside strings a line end is whitespace, and inside them there can be none.
fn one_line(json: &mut [u8]) {
    json.iter_mut().filter(|byte| matches!(byte, b'\n' | b'\r')).for_each(|byte| *byte = b' ');
}

#[cfg(test)]
#[path = "sse_tests.rs"]
mod tests;
