//! The demo models' tokenizers against transformers, on strings on which tokenizers differ.

mod common;

use common::{golden, model};
use serde::Deserialize;

#[derive(Deserialize)]
struct Case {
    text: String,
    smollm2: Vec<u32>,
    minilm: Vec<u32>,
    decoded: String,
}

#[test]
fn token_ids_equal_those_of_transformers() {
    let (smollm2, minilm) = (model(common::SMOLLM2), model(common::MINILM));
    let cases: Vec<Case> = golden("tokens.json");
    assert!(cases.len() > 200);
    for Case { text, smollm2: want, minilm: want_minilm, decoded } in cases {
        let ids = smollm2.tokenizer.encode(text.as_str(), true).unwrap().get_ids().to_vec();
        assert_eq!(ids, want, "SmolLM2: {text:?}");
        assert_eq!(smollm2.tokenizer.decode(&ids, false).unwrap(), decoded, "SmolLM2, back: {text:?}");
        let ids = minilm.tokenizer.encode(text.as_str(), true).unwrap().get_ids().to_vec();
        assert_eq!(ids, want_minilm, "MiniLM: {text:?}");
    }
}

#[test]
fn the_text_side_is_complete() {
    let smollm2 = model(common::SMOLLM2);
    assert_eq!(smollm2.bos_token.as_deref(), Some("<|im_start|>"));
    assert_eq!(smollm2.eos_token.as_deref(), Some("<|im_end|>"));
    assert_eq!((smollm2.add_bos, smollm2.stop_tokens), (false, vec![0, 2]));
    assert!(smollm2.chat_template.unwrap().contains("add_generation_prompt"));
    assert!(model(common::MINILM).chat_template.is_none());
}
