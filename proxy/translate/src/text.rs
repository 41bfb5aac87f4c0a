//! Counting what a model reads or writes inside valid JSON text: the characters of its text members.

use memchr::{memchr_iter, memchr2};

/// Members whose strings are text; what stands under any other key (roles, ids, image URLs) is not counted.
const TEXT_KEYS: [&str; 15] = [
    "content",
    "text",
    "delta",
    "message",
    "reasoning_content",
    "reasoning",
    "refusal",
    "tool_calls",
    "function_call",
    "function",
    "name",
    "arguments",
    "transcript",
    "audio",
    "summary",
];

/// What a walk over a JSON value found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    /// Characters of text; a number (a token id) counts as four, the characters of a usual token.
    pub chars: u64,
    /// Objects directly inside the outermost array.
    pub objects: usize,
    /// Commas directly inside the outermost array.
    commas: usize,
}

impl Tally {
    /// Whether the array has elements, all of them objects.
    pub fn only_objects(&self) -> bool {
        self.objects > 0 && self.objects == self.commas + 1
    }
}

/// Walks over `json`, which must be valid JSON. Needs no stack, however deep the nesting.
pub(crate) fn tally(json: &str) -> Tally {
    let bytes = json.as_bytes();
    let mut tally = Tally::default();
    let mut depth = 0_usize;
    // Depth of the object in which a member that is no text is being passed over.
    let mut muted: Option<usize> = None;
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        at += 1;
        match byte {
            b'{' | b'[' => {
                tally.objects += usize::from(byte == b'{' && depth == 1);
                depth += 1;
            }
            b'}' | b']' => {
                if muted == Some(depth) {
                    muted = None;
                }
                depth = depth.saturating_sub(1);
            }
            b',' => {
                tally.commas += usize::from(depth == 1);
                if muted == Some(depth) {
                    muted = None;
                }
            }
            b'"' => {
                let end = string_end(bytes, at);
                let inside = bytes.get(at..end).unwrap_or_default();
                at = end + 1;
                if muted.is_none() {
                    if is_key(bytes, at) {
                        muted = (!is_text_key(inside)).then_some(depth);
                    } else {
                        tally.chars += characters(inside);
                    }
                }
            }
            b'-' | b'0'..=b'9' => {
                at += bytes
                    .iter()
                    .skip(at)
                    .take_while(|b| matches!(b, b'0'..=b'9' | b'.' | b'e' | b'E' | b'+' | b'-'))
                    .count();
                tally.chars += if muted.is_none() { 4 } else { 0 };
            }
            _ => {}
        }
    }
    tally
}

/// The position of the quote that ends the string whose inside starts at `at`.
fn string_end(bytes: &[u8], mut at: usize) -> usize {
    while let Some(found) = memchr2(b'"', b'\\', bytes.get(at..).unwrap_or_default()) {
        at += found;
        if bytes.get(at) == Some(&b'"') {
            return at;
        }
        at += 2;
    }
    bytes.len()
}

fn is_key(bytes: &[u8], at: usize) -> bool {
    bytes.iter().skip(at).find(|byte| !byte.is_ascii_whitespace()) == Some(&b':')
}

fn is_text_key(key: &[u8]) -> bool {
    TEXT_KEYS.iter().any(|known| known.as_bytes() == key)
}

/// Characters of a JSON string's inside: bytes that start a character, an escape being one.
fn characters(inside: &[u8]) -> u64 {
    let starts = inside.iter().filter(|byte| (**byte as i8) >= -0x40).count();
    let mut extra = 0;
    let mut next = 0;
    for at in memchr_iter(b'\\', inside) {
        if at < next {
            continue;
        }
        let long = inside.get(at + 1) == Some(&b'u');
        extra += if long { 5 } else { 1 };
        next = at + 2;
    }
    starts.saturating_sub(extra) as u64
}

#[cfg(test)]
#[path = "text_tests.rs"]
mod tests;
