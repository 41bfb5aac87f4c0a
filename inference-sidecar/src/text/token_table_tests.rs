use tokenizers::decoders::sequence::Sequence;
use tokenizers::models::bpe::BPE;
use tokenizers::pre_tokenizers::byte_level::ByteLevel;
use tokenizers::{AddedToken, DecoderWrapper};

use super::*;
use crate::text::testing::{byte_level_tokenizer, spell};

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
    let table = TokenTable::new(&tokenizer);
    let end = tokenizer.token_to_id("<|end|>").expect("the token is there");
    assert!(table.is_special(end));
    assert_eq!(table.bytes(end), b"<|end|>");
    assert!(!table.is_special(0));
    assert_eq!(table.bytes(u32::MAX), b"");
    assert_eq!(table.len(), tokenizer.get_vocab_size(true));
}

#[test]
fn sentence_pieces_spell_spaces_and_bytes() {
    let vocab = [("\u{2581}the".to_owned(), 0), ("<0xE2>".to_owned(), 1), ("<0xZZ>".to_owned(), 2), ("<unk>".to_owned(), 3)];
    let model = BPE::builder().vocab_and_merges(vocab, Vec::new()).build().expect("a model");
    let mut tokenizer = Tokenizer::new(model);
    tokenizer.with_decoder(Some(DecoderWrapper::Sequence(Sequence::new(Vec::new())))).expect("a decoder");
    tokenizer.add_special_tokens([AddedToken::from("<unk>", true)]).expect("a special token");
    let table = TokenTable::new(&tokenizer);
    assert_eq!(table.bytes(0), b" the");
    assert_eq!(table.bytes(1), [0xe2]);
    assert_eq!(table.bytes(2), b"<0xZZ>");
    assert!(table.is_special(3));
    assert_eq!(table.longest(), 6);
}
