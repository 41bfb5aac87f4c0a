//! One JSON value on each line, empty lines between them counting for nothing.

use memchr::memchr;

use super::{Cut, Event};
use crate::error::Broken;

#[derive(Default)]
pub(super) struct Lines {
    /// Bytes without a line end.
    seen: usize,
}

impl Cut for Lines {
    fn length(&mut self, bytes: &[u8]) -> Result<Option<usize>, Broken> {
        match memchr(b'\n', bytes.get(self.seen..).unwrap_or_default()) {
            Some(found) => {
                let length = self.seen + found + 1;
                self.seen = 0;
                Ok(Some(length))
            }
            None => {
                self.seen = bytes.len();
                Ok(None)
            }
        }
    }

    fn read(bytes: &[u8]) -> Result<Option<Event<'_>>, Broken> {
        let line = bytes.trim_ascii();
        Ok((!line.is_empty()).then_some(Event::of_data(line)))
    }
}
