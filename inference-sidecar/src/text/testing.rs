//! A byte-level tokenizer for tests: one token for each byte, a few longer ones, one special.

use tokenizers::models::bpe::BPE;
use tokenizers::pre_tokenizers::byte_level::ByteLevel;
use tokenizers::{AddedToken, Tokenizer};

/// GPT-2's spelling of a byte, computed as `bytes_to_unicode` does it.
pub fn spell(byte: u8) -> char {
    let printable = |b: u8| matches!(b, b'!'..=b'~' | 0xa1..=0xac | 0xae..=0xff);
    if printable(byte) {
        return char::from(byte);
    }
    let before = (0..byte).filter(|&b| !printable(b)).count() as u32;
    char::from_u32(0x100 + before).expect("below the surrogates")
}

/// Token `b` is byte `b`; 256 to 258 are "é!", "ab" and half of "é" with a letter; 259 is special.
pub fn byte_level_tokenizer() -> Tokenizer {
    let spelled = |bytes: &[u8]| bytes.iter().map(|&b| spell(b)).collect::<String>();
    let mut vocab: Vec<(String, u32)> = (0..=u8::MAX).map(|b| (spelled(&[b]), u32::from(b))).collect();
    vocab.extend([(spelled("é!".as_bytes()), 256), (spelled(b"ab"), 257), (spelled(&[0xa9, b'x']), 258)]);
    let model = BPE::builder().vocab_and_merges(vocab, Vec::new()).build().expect("a model");
    let mut tokenizer = Tokenizer::new(model);
    tokenizer.with_pre_tokenizer(Some(ByteLevel::new(false, true, false)));
    tokenizer.with_decoder(Some(ByteLevel::default())).expect("a decoder");
    tokenizer.add_special_tokens([AddedToken::from("<|end|>", true)]).expect("a special token");
    tokenizer
}
