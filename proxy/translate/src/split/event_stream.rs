//! AWS event streams.
//!
//! Format: AWS SDK documentation, "Event stream encoding". A frame is its length, the length of its headers, a
//! checksum of those two, the headers, the payload, and a checksum of all before it: all numbers big-endian, all
//! checksums CRC-32 (IEEE).

use super::{Cut, Event, MAX_EVENT};
use crate::error::Broken;

const PRELUDE: usize = 12;
const CHECKSUM: usize = 4;

#[derive(Default)]
pub(super) struct Frames;

impl Cut for Frames {
    fn length(&mut self, bytes: &[u8]) -> Result<Option<usize>, Broken> {
        let Some((prelude, _)) = bytes.split_first_chunk::<PRELUDE>() else { return Ok(None) };
        let (lengths, checksum) = prelude.split_at(PRELUDE - CHECKSUM);
        if crc32fast::hash(lengths) != number(checksum)? {
            return Err(Broken::Damaged);
        }
        let length = number(lengths)? as usize;
        if length > MAX_EVENT {
            return Err(Broken::TooLong);
        }
        if length < PRELUDE + CHECKSUM {
            return Err(Broken::Damaged);
        }
        Ok((bytes.len() >= length).then_some(length))
    }

    fn read(bytes: &[u8]) -> Result<Option<Event<'_>>, Broken> {
        let (checked, checksum) = bytes.split_last_chunk::<CHECKSUM>().ok_or(Broken::Damaged)?;
        if crc32fast::hash(checked) != u32::from_be_bytes(*checksum) {
            return Err(Broken::Damaged);
        }
        let headers = number(checked.get(4..).unwrap_or_default())? as usize;
        let body = checked.get(PRELUDE..).unwrap_or_default();
        let (headers, payload) = body.split_at_checked(headers).ok_or(Broken::Damaged)?;
        let (mut kind, mut event, mut exception, mut code, mut message) = ("event", "", "", "", "");
        each_text(headers, |name, value| match name {
            b":message-type" => kind = value,
            b":event-type" => event = value,
            b":exception-type" => exception = value,
            b":error-code" => code = value,
            b":error-message" => message = value,
            _ => {}
        })
        .ok_or(Broken::Damaged)?;
        Ok(Some(match kind {
            "exception" => Event { name: exception, is_error: true, data: payload },
            "error" => Event { name: code, is_error: true, data: message.as_bytes() },
            _ => Event { name: event, is_error: false, data: payload },
        }))
    }
}

/// The number that `bytes` start with.
fn number(bytes: &[u8]) -> Result<u32, Broken> {
    bytes.first_chunk().map(|bytes| u32::from_be_bytes(*bytes)).ok_or(Broken::Damaged)
}

/// Calls `each` for all headers that hold text; `None` if they are damaged.
fn each_text<'h>(mut headers: &'h [u8], mut each: impl FnMut(&'h [u8], &'h str)) -> Option<()> {
    while let Some((length, rest)) = headers.split_first() {
        let (name, rest) = rest.split_at_checked(usize::from(*length))?;
        let (kind, rest) = rest.split_first()?;
        let (length, rest) = match kind {
            0 | 1 => (0, rest),
            2 => (1, rest),
            3 => (2, rest),
            4 => (4, rest),
            5 | 8 => (8, rest),
            9 => (16, rest),
            6 | 7 => {
                let (length, rest) = rest.split_first_chunk()?;
                (usize::from(u16::from_be_bytes(*length)), rest)
            }
            _ => return None,
        };
        let (value, rest) = rest.split_at_checked(length)?;
        if *kind == 7 {
            each(name, std::str::from_utf8(value).ok()?);
        }
        headers = rest;
    }
    Some(())
}
