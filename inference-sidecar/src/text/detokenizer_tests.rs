use proptest::prelude::*;

use super::*;
use crate::text::testing::byte_level_tokenizer;

fn pieces(tokens: &[u32]) -> Vec<String> {
    let mut detokenizer = Detokenizer::new(Arc::new(TokenTable::new(&byte_level_tokenizer(), usize::MAX)));
    let mut pieces: Vec<String> = tokens.iter().map(|&token| detokenizer.push(token)).collect();
    pieces.push(detokenizer.finish());
    pieces
}

#[test]
fn a_character_comes_out_with_its_last_byte() {
    let crab: Vec<u32> = "🦀".bytes().map(u32::from).collect();
    assert_eq!(pieces(&crab), ["", "", "", "🦀", ""]);
}

#[test]
fn half_a_character_at_the_end_is_replaced() {
    assert_eq!(pieces(&[0xf0, 0x9f]), ["", "", "\u{fffd}"]);
}

#[test]
fn special_tokens_have_no_text() {
    assert_eq!(pieces(&[u32::from(b'a'), 259, u32::from(b'b')]), ["a", "", "b", ""]);
}

proptest! {
    #[test]
    fn the_pieces_are_the_whole(tokens in prop::collection::vec(0u32..260, 0..40)) {
        let whole = byte_level_tokenizer().decode(&tokens, true).expect("decodes");
        prop_assert_eq!(pieces(&tokens).concat(), whole);
    }

    #[test]
    fn so_are_those_of_real_text(text in "\\PC{0,20}") {
        let tokens = byte_level_tokenizer().encode(text.as_str(), false).expect("encodes").get_ids().to_vec();
        prop_assert_eq!(pieces(&tokens).concat(), text);
    }
}
