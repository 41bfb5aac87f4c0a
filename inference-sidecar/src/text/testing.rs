//! A byte-level tokenizer for tests: one token for each byte, a few longer ones, one special.

use serde_json::{Map, Value, json};
use tokenizers::Tokenizer;

/// GPT-2's spelling of a byte, computed as `bytes_to_unicode` does it.
pub fn spell(byte: u8) -> char {
    let printable = |b: u8| matches!(b, b'!'..=b'~' | 0xa1..=0xac | 0xae..=0xff);
    if printable(byte) {
        return char::from(byte);
    }
    let before = (0..byte).filter(|&b| !printable(b)).count() as u32;
    char::from_u32(0x100 + before).expect("below the surrogates")
}

/// A BPE tokenizer without merges: `vocab`, in which `special` is a special token, and a decoder.
pub fn tokenizer(vocab: Map<String, Value>, special: &str, decoder: Value) -> Tokenizer {
    let id = vocab.len();
    let flags = json!({"single_word": false, "lstrip": false, "rstrip": false, "normalized": false, "special": true});
    let mut added = json!({"id": id, "content": special});
    added.as_object_mut().expect("an object").extend(flags.as_object().expect("an object").clone());
    let text = json!({
        "version": "1.0",
        "added_tokens": [added],
        "pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": false},
        "decoder": decoder,
        "model": {"type": "BPE", "vocab": vocab, "merges": []},
    });
    Tokenizer::from_bytes(text.to_string()).expect("a tokenizer")
}

/// Token `b` is byte `b`; 256 to 258 are "é!", "ab" and half of "é" with a letter; 259 is special.
pub fn byte_level_tokenizer() -> Tokenizer {
    let spelled = |bytes: &[u8]| bytes.iter().map(|&b| spell(b)).collect::<String>();
    let mut vocab: Map<String, Value> = (0..=u8::MAX).map(|b| (spelled(&[b]), b.into())).collect();
    for (token, id) in [(spelled("é!".as_bytes()), 256), (spelled(b"ab"), 257), (spelled(&[0xa9, b'x']), 258)] {
        vocab.insert(token, id.into());
    }
    let decoder = json!({"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": false});
    tokenizer(vocab, "<|end|>", decoder)
}
