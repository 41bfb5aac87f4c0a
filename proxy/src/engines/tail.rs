//! The end of what a process wrote, kept in memory; the whole goes on to the gateway's own standard error.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt, stderr};

/// Most bytes that are kept.
const BYTES: usize = 64 * 1024;
/// Most lines that are shown.
const LINES: usize = 200;
/// Lines of an error's text.
const LINES_OF_END: usize = 3;

/// The end of a log.
#[derive(Default)]
pub(super) struct Tail(Mutex<VecDeque<u8>>);

impl Tail {
    /// Adds to the end.
    pub fn push(&self, bytes: &[u8]) {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.extend(bytes);
        let over = kept.len().saturating_sub(BYTES);
        kept.drain(..over);
    }

    /// The last lines, whole ones.
    pub fn text(&self) -> String {
        self.lines(LINES)
    }

    /// The very last lines as part of a sentence.
    pub fn end(&self) -> String {
        let text = self.lines(LINES_OF_END);
        let mut lines: Vec<&str> = text.lines().collect();
        // Each attempt may have said the same.
        lines.dedup();
        if lines.is_empty() { "it wrote nothing".into() } else { format!("it wrote: {}", lines.join(" | ")) }
    }

    fn lines(&self, most: usize) -> String {
        let kept: Vec<u8> = self.0.lock().unwrap_or_else(PoisonError::into_inner).iter().copied().collect();
        let text = String::from_utf8_lossy(&kept);
        let cut = if kept.len() < BYTES { 0 } else { text.find('\n').map_or(0, |end| end + 1) };
        let lines: Vec<&str> = text.get(cut..).unwrap_or_default().split_inclusive('\n').collect();
        lines.get(lines.len().saturating_sub(most)..).unwrap_or_default().concat()
    }

    /// Reads to the end of a pipe.
    pub async fn follow(&self, mut pipe: impl AsyncRead + Unpin) {
        let mut piece = vec![0; 4096];
        while let Ok(read @ 1..) = pipe.read(&mut piece).await {
            let bytes = piece.get(..read).unwrap_or_default();
            self.push(bytes);
            // Whether someone reads our own output is no concern of the engine's.
            let _ = stderr().write_all(bytes).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_whole_lines_are_kept() {
        let tail = Tail::default();
        assert_eq!(tail.text(), "");
        assert_eq!(tail.end(), "it wrote nothing");
        tail.push(b"loading\nfailed: n");
        tail.push("o such fil\u{e9}\n".as_bytes());
        assert_eq!(tail.text(), "loading\nfailed: no such fil\u{e9}\n");
        tail.push("failed: no such fil\u{e9}\n".as_bytes());
        assert_eq!(tail.end(), "it wrote: loading | failed: no such fil\u{e9}");
        for n in 0..10_000 {
            tail.push(format!("line {n} {}\n", "x".repeat(n % 700)).as_bytes());
        }
        let text = tail.text();
        assert!(text.len() <= BYTES && text.lines().count() <= LINES);
        assert!(text.lines().all(|line| line.starts_with("line ")), "no half line");
        assert!(text.ends_with(&format!("line 9999 {}\n", "x".repeat(9999 % 700))));
    }
}
