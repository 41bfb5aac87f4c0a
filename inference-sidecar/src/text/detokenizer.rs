//! Tokens to text, one token at a time.

use std::sync::Arc;

use super::token_table::TokenTable;

/// Turns the tokens of one answer into text as they come. A character whose bytes are spread over several tokens comes
/// out whole with the last of them; bytes that are no UTF-8 come out as U+FFFD, just as when decoded all at once.
#[derive(Debug)]
pub struct Detokenizer {
    table: Arc<TokenTable>,
    /// The beginning of a character, 3 bytes at most.
    pending: Vec<u8>,
}

impl Detokenizer {
    /// A detokenizer at the start of an answer.
    pub fn new(table: Arc<TokenTable>) -> Self {
        Detokenizer { table, pending: Vec::new() }
    }

    /// The text that this token completes. Special tokens have none.
    pub fn push(&mut self, token: u32) -> String {
        let mut text = String::new();
        if self.table.is_special(token) {
            return text;
        }
        self.pending.extend_from_slice(self.table.bytes(token));
        let mut rest = self.pending.as_slice();
        loop {
            match std::str::from_utf8(rest) {
                Ok(valid) => {
                    text.push_str(valid);
                    rest = &[];
                    break;
                }
                Err(error) => {
                    let (valid, after) = rest.split_at(error.valid_up_to());
                    text.push_str(&String::from_utf8_lossy(valid));
                    rest = after;
                    let Some(bad) = error.error_len() else { break };
                    text.push(char::REPLACEMENT_CHARACTER);
                    rest = &rest[bad..];
                }
            }
        }
        self.pending = rest.to_vec();
        text
    }

    /// What is left when the answer ends within a character.
    pub fn finish(&mut self) -> String {
        String::from_utf8_lossy(&std::mem::take(&mut self.pending)).into_owned()
    }
}

#[cfg(test)]
#[path = "detokenizer_tests.rs"]
mod tests;
