//! The bytes of every token.
//!
//! Decoding by table is exact where the tokenizer's own decoder is lossy (half a character), which incremental text and
//! the `bytes` of log-probabilities need.

use tokenizers::{DecoderWrapper, Tokenizer};

/// Every token's bytes, as they appear within an answer.
#[derive(Debug)]
pub struct TokenTable {
    bytes: Vec<u8>,
    /// Where each token's bytes end in `bytes`.
    ends: Vec<usize>,
    special: Vec<bool>,
    longest: usize,
}

impl TokenTable {
    /// Reads the vocabulary of `tokenizer`, which is of the byte-level BPE or the SentencePiece kind, as far as the model's
    /// own `vocab` entries go: the ids in a tokenizer's file are not to be trusted with an allocation.
    pub fn new(tokenizer: &Tokenizer, vocab: usize) -> Self {
        let byte_level = tokenizer.get_decoder().is_some_and(is_byte_level);
        let added = tokenizer.get_added_tokens_decoder();
        let vocabulary = tokenizer.get_vocab(true);
        let size = vocabulary.values().max().map_or(0, |&last| last as usize + 1).min(vocab);
        let mut texts = vec![String::new(); size];
        for (text, id) in vocabulary {
            if let Some(slot) = texts.get_mut(id as usize) {
                *slot = text;
            }
        }
        let mut table = TokenTable { bytes: Vec::new(), ends: Vec::new(), special: Vec::new(), longest: 0 };
        for (id, text) in texts.into_iter().enumerate() {
            let own = if byte_level { byte_level_bytes(&text) } else { sentence_piece_bytes(&text) };
            table.bytes.extend_from_slice(&own);
            table.ends.push(table.bytes.len());
            table.special.push(added.get(&(id as u32)).is_some_and(|token| token.special));
            table.longest = table.longest.max(own.len());
        }
        table
    }

    /// Entries in the vocabulary.
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Whether the vocabulary is empty.
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// Bytes of the longest token.
    pub fn longest(&self) -> usize {
        self.longest
    }

    /// The token's bytes; none if there is no such token.
    pub fn bytes(&self, token: u32) -> &[u8] {
        let token = token as usize;
        let start = if token == 0 { 0 } else { self.ends.get(token - 1).copied().unwrap_or_default() };
        let end = self.ends.get(token).copied().unwrap_or(start);
        &self.bytes[start..end]
    }

    /// Whether the token steers the model and is no text.
    pub fn is_special(&self, token: u32) -> bool {
        self.special.get(token as usize).copied().unwrap_or(false)
    }
}

fn is_byte_level(decoder: &DecoderWrapper) -> bool {
    match decoder {
        DecoderWrapper::ByteLevel(_) => true,
        DecoderWrapper::Sequence(all) => all.get_decoders().iter().any(is_byte_level),
        _ => false,
    }
}

/// Undoes GPT-2's spelling of bytes as printable characters. Text that was not spelled so is taken as it is.
fn byte_level_bytes(text: &str) -> Vec<u8> {
    text.chars().map(byte_of).collect::<Option<Vec<u8>>>().unwrap_or_else(|| text.as_bytes().to_vec())
}

/// GPT-2's table (`bytes_to_unicode` in openai/gpt-2 `encoder.py`): printable bytes stand for themselves, the others in
/// ascending order for U+0100 onward.
fn byte_of(spelled: char) -> Option<u8> {
    let code = u32::from(spelled);
    match code {
        0x21..=0x7e | 0xa1..=0xac | 0xae..=0xff => Some(code as u8),
        0x100..=0x120 => Some((code - 0x100) as u8),
        0x121..=0x142 => Some((code - 0x121 + 0x7f) as u8),
        0x143 => Some(0xad),
        _ => None,
    }
}

/// SentencePiece spells a space as U+2581 and a byte without a piece of its own as `<0xNN>`.
fn sentence_piece_bytes(text: &str) -> Vec<u8> {
    let byte = text.strip_prefix("<0x").and_then(|t| t.strip_suffix('>')).filter(|hex| hex.len() == 2);
    match byte.and_then(|hex| u8::from_str_radix(hex, 16).ok()) {
        Some(byte) => vec![byte],
        None => text.replace('\u{2581}', " ").into_bytes(),
    }
}

#[cfg(test)]
#[path = "token_table_tests.rs"]
mod tests;
