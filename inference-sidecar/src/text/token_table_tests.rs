use serde_json::{Map, json};
use tokenizers::pre_tokenizers::byte_level::ByteLevel;

use super::*;
use crate::text::testing::{self, byte_level_tokenizer, spell};

#[test]
fn every_byte_survives_gpt2s_spelling() {
    let mut seen = std::collections::HashSet::new();
    for byte in 0..=u8::MAX {
        let spelled = spell(byte);
        assert_eq!(byte_of(spelled), Some(byte));
        assert!(seen.insert(spelled));
    }
}

#[test]
fn gpt2s_table_is_the_tokenizers_own() {
    let alphabet = ByteLevel::alphabet();
    assert_eq!(alphabet.len(), 256);
    assert!(alphabet.into_iter().all(|spelled| byte_of(spelled).is_some()));
}

#[test]
fn special_tokens_are_known_and_keep_their_bytes() {
    let tokenizer = byte_level_tokenizer();
    let table = TokenTable::new(&tokenizer, usize::MAX);
    let end = tokenizer.token_to_id("<|end|>").expect("the token is there");
    assert!(table.is_special(end));
    assert_eq!(table.bytes(end), b"<|end|>");
    assert!(!table.is_special(0));
    assert_eq!(table.bytes(u32::MAX), b"");
    assert_eq!(table.len(), tokenizer.get_vocab_size(true));
}

#[test]
fn sentence_pieces_spell_spaces_and_bytes() {
    let pieces = ["\u{2581}the", "<0xE2>", "<0xZZ>"];
    let vocab: Map<_, _> = pieces.into_iter().enumerate().map(|(id, piece)| (piece.to_owned(), json!(id))).collect();
    let tokenizer = testing::tokenizer(vocab, "<unk>", json!({"type": "Sequence", "decoders": [{"type": "Fuse"}]}));
    let table = TokenTable::new(&tokenizer, usize::MAX);
    assert_eq!(table.bytes(0), b" the");
    assert_eq!(table.bytes(1), [0xe2]);
    assert_eq!(table.bytes(2), b"<0xZZ>");
    assert!(table.is_special(3));
    assert_eq!(table.longest(), 6);
}

#[test]
fn the_models_vocabulary_bounds_the_table() {
    let vocab: Map<_, _> = [("a".to_owned(), json!(0)), ("b".to_owned(), json!(u32::MAX - 1))].into_iter().collect();
    let table = TokenTable::new(&testing::tokenizer(vocab, "<unk>", json!({"type": "Fuse"})), 10);
    assert_eq!(table.len(), 10);
    assert_eq!(table.bytes(0), b"a");
}
