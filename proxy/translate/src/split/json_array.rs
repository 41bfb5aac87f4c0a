//! The elements of one JSON array, all of them objects, as they arrive.

use memchr::memchr2;

use super::{Cut, Event};
use crate::error::Broken;

#[derive(Default)]
pub(super) struct Objects {
    /// Bytes looked at.
    seen: usize,
    /// Objects and arrays that are open, the outermost object included.
    depth: usize,
    in_string: bool,
}

impl Cut for Objects {
    fn length(&mut self, bytes: &[u8]) -> Result<Option<usize>, Broken> {
        while let Some(&byte) = bytes.get(self.seen) {
            if self.in_string {
                let Some(found) = memchr2(b'"', b'\\', bytes.get(self.seen..).unwrap_or_default()) else {
                    self.seen = bytes.len();
                    break;
                };
                self.seen += found;
                if bytes.get(self.seen) == Some(&b'\\') {
                    if bytes.len() == self.seen + 1 {
                        break;
                    }
                    self.seen += 2;
                    continue;
                }
                self.in_string = false;
                self.seen += 1;
                continue;
            }
            self.seen += 1;
            match byte {
                b'{' => self.depth += 1,
                b'[' | b']' | b',' | b' ' | b'\t' | b'\n' | b'\r' if self.depth == 0 => {}
                _ if self.depth == 0 => return Err(Broken::NotJson),
                b'[' => self.depth += 1,
                b'"' => self.in_string = true,
                b'}' | b']' => {
                    self.depth -= 1;
                    if self.depth == 0 {
                        return Ok(Some(std::mem::take(self).seen));
                    }
                }
                _ => {}
            }
        }
        // What stands between the elements need not be held.
        Ok(if self.depth == 0 && self.seen > 0 { Some(std::mem::take(self).seen) } else { None })
    }

    fn read(bytes: &[u8]) -> Result<Option<Event<'_>>, Broken> {
        let object = bytes.iter().position(|byte| *byte == b'{').and_then(|at| bytes.get(at..));
        Ok(object.map(Event::of_data))
    }
}
