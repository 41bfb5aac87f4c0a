//! A Llama in a Hugging Face folder (bf16, grouped heads, untied output, Llama 3's rope scaling) against transformers.

mod common;

use std::collections::BTreeMap;
use std::path::Path;

use common::{Sequence, golden, step};
use serde::Deserialize;
use weirgate_inference::load::{LoadOptions, LoadedModel, load};

#[derive(Deserialize)]
struct Golden {
    ids: Vec<u32>,
    /// By row.
    logits: BTreeMap<usize, Vec<f32>>,
}

fn tiny(options: &LoadOptions) -> Result<LoadedModel, weirgate_inference::error::EngineError> {
    load(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/goldens/tiny-llama"), options)
}

const OPTIONS: LoadOptions = LoadOptions { threads: 1, kv_bytes: 1 << 20, max_context: None };

#[test]
fn logits_equal_those_of_transformers() {
    let golden: Golden = golden("tiny-llama/logits.json");
    let mut generator = common::generator(tiny(&OPTIONS).unwrap());
    let mut worst = 0.0f32;
    for (row, want) in golden.logits {
        let mut sequence = Sequence::new(0, 8);
        let logits = step(&mut *generator, &mut [(&mut sequence, &golden.ids[..=row])]).remove(0);
        worst = want.iter().zip(&logits).map(|(a, b)| (a - b).abs()).fold(worst, f32::max);
    }
    println!("logits are at most {worst:e} apart");
    assert!(worst < 1e-4, "logits {worst} apart");
}

#[test]
fn the_text_side_of_a_folder_is_read() {
    let model = tiny(&OPTIONS).unwrap();
    assert_eq!((model.bos_token.as_deref(), model.eos_token.as_deref()), (Some("<s>"), Some("</s>")));
    assert_eq!(model.chat_template.as_deref(), Some("T"));
    assert_eq!((model.add_bos, model.stop_tokens), (true, vec![2, 3]));
    // The file asks for truncation to four tokens.
    assert_eq!(model.tokenizer.encode("w3 w4 w5 w6 w7", true).unwrap().get_ids(), [1, 3, 4, 5, 6, 7]);
}

#[test]
fn options_bound_the_model() {
    let shape = common::generator(tiny(&LoadOptions { max_context: Some(100), ..OPTIONS }).unwrap()).shape();
    // Two layers of keys and values, 16 tokens of 16 floats each: 4,096 bytes a block.
    assert_eq!((shape.max_context, shape.kv_blocks, shape.vocab), (100, 256, 96));
    let fault = tiny(&LoadOptions { kv_bytes: 4095, ..OPTIONS }).err().unwrap().to_string();
    assert!(fault.contains("4095 bytes hold no KV block; one takes 4096"), "{fault}");
}
