//! Editing JSON text by byte ranges: whatever is not edited stays byte for byte as it was, whitespace included.

use std::borrow::Cow;
use std::ops::Range;

/// Replaces a range of the source by new text; an empty range inserts.
#[derive(Debug)]
pub(crate) struct Edit<'e> {
    at: Range<usize>,
    with: Cow<'e, str>,
}

impl<'e> Edit<'e> {
    /// Puts `with` in place of the bytes `at`.
    pub fn replace(at: Range<usize>, with: impl Into<Cow<'e, str>>) -> Self {
        Self { at, with: with.into() }
    }
}

/// Edits to the members of one object.
#[derive(Debug)]
pub(crate) struct ObjectEdits<'e> {
    /// Offset of the byte after the object's `{`.
    start: usize,
    members: usize,
    removed: Vec<Range<usize>>,
    inserted: String,
    edits: Vec<Edit<'e>>,
}

impl<'e> ObjectEdits<'e> {
    /// For the object whose `{` is at `open` and that has `members` members.
    pub fn new(open: usize, members: usize) -> Self {
        Self { start: open + 1, members, removed: Vec::new(), inserted: String::new(), edits: Vec::new() }
    }

    /// Puts `value` in place of a member's value.
    pub fn replace(&mut self, value_span: Range<usize>, value: impl Into<Cow<'e, str>>) {
        self.edits.push(Edit::replace(value_span, value));
    }

    /// Removes the member that takes up `span`.
    pub fn remove(&mut self, span: Range<usize>) {
        self.removed.push(span);
    }

    /// Adds a member in front of all others; `value` is JSON text.
    pub fn insert(&mut self, key: &str, value: &str) {
        if !self.inserted.is_empty() {
            self.inserted.push(',');
        }
        self.inserted.push_str(&crate::json::quote(key));
        self.inserted.push(':');
        self.inserted.push_str(value);
    }

    /// Whether nothing is to be changed.
    pub fn is_empty(&self) -> bool {
        self.removed.is_empty() && self.inserted.is_empty() && self.edits.is_empty()
    }

    /// The edits as byte ranges of `source`.
    pub fn into_edits(mut self, source: &str) -> Vec<Edit<'e>> {
        let bytes = source.as_bytes();
        // Removals up to here left nothing before them, so there is no comma in front to take along.
        let mut leading = self.start;
        self.removed.sort_by_key(|span| span.start);
        for span in &self.removed {
            let before = skip_back(bytes, span.start);
            let after = skip(bytes, span.end);
            let at = if before <= leading {
                let end = if bytes.get(after) == Some(&b',') { after + 1 } else { span.end };
                leading = end;
                span.start..end
            } else {
                before - 1..span.end
            };
            self.edits.push(Edit::replace(at, ""));
        }
        if !self.inserted.is_empty() {
            if self.members > self.removed.len() {
                self.inserted.push(',');
            }
            self.edits.push(Edit::replace(self.start..self.start, self.inserted));
        }
        self.edits
    }
}

/// `source` with the edits made, in one allocation. Edits must not overlap; their order is free.
pub(crate) fn apply(source: &str, mut edits: Vec<Edit<'_>>) -> Vec<u8> {
    edits.sort_by_key(|edit| (edit.at.start, edit.at.end));
    let added: usize = edits.iter().map(|edit| edit.with.len()).sum();
    let gone: usize = edits.iter().map(|edit| edit.at.len()).sum();
    let mut out = Vec::with_capacity((source.len() + added).saturating_sub(gone));
    let bytes = source.as_bytes();
    let mut done = 0;
    for edit in &edits {
        out.extend_from_slice(bytes.get(done..edit.at.start).unwrap_or_default());
        out.extend_from_slice(edit.with.as_bytes());
        done = edit.at.end;
    }
    out.extend_from_slice(bytes.get(done..).unwrap_or_default());
    out
}

fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\n' | b'\r')
}

/// The first position from `at` on that is no whitespace.
fn skip(bytes: &[u8], at: usize) -> usize {
    at + bytes.iter().skip(at).take_while(|byte| is_space(**byte)).count()
}

/// The position after the last byte before `at` that is no whitespace.
fn skip_back(bytes: &[u8], at: usize) -> usize {
    at - bytes.iter().take(at).rev().take_while(|byte| is_space(**byte)).count()
}

#[cfg(test)]
#[path = "splice_tests.rs"]
mod tests;
