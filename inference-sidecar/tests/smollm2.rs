//! SmolLM2 against transformers.

mod common;

use common::{Sequence, argmax, generator, golden, model, step};
use serde::Deserialize;

#[derive(Deserialize)]
struct Case {
    prompt: String,
    prompt_ids: Vec<u32>,
    generated: Vec<u32>,
    margins: Vec<f32>,
    first_logits: Vec<f32>,
}

/// A step whose best two logits are closer than this in the golden may go either way: its own rounding could too.
const NEAR_TIE: f32 = 1e-3;

/// Greedy tokens equal those of transformers in f32. Where the golden itself is in a near tie any token is accepted;
/// after each step the golden's token goes in, so that one tie does not excuse what follows. The twenty run together,
/// which changes no bit (see `invariance.rs`).
#[test]
fn greedy_tokens_equal_those_of_transformers() {
    let model = model(common::SMOLLM2);
    let tokenizer = model.tokenizer.clone();
    let mut generator = generator(model);
    let cases: Vec<Case> = golden("smollm2.json");
    assert_eq!(cases.len(), 20);
    for case in &cases {
        let ids = tokenizer.encode(case.prompt.as_str(), true).unwrap();
        assert_eq!(ids.get_ids(), case.prompt_ids, "{:?}", case.prompt);
    }

    let mut first = 0;
    let mut sequences = Vec::new();
    for case in &cases {
        let sequence = Sequence::with_room_for(first, case.prompt_ids.len() + case.generated.len());
        first += sequence.blocks.len() as u32;
        sequences.push(sequence);
    }
    let mut ties = 0;
    let mut worst = 0.0f32;
    for index in 0..cases[0].generated.len() {
        let tokens = cases.iter().map(|case| match index {
            0 => case.prompt_ids.as_slice(),
            _ => &case.generated[index - 1..index],
        });
        let mut work: Vec<_> = sequences.iter_mut().zip(tokens).collect();
        for (case, logits) in cases.iter().zip(step(&mut *generator, &mut work)) {
            if index == 0 {
                worst = case.first_logits.iter().zip(&logits).map(|(a, b)| (a - b).abs()).fold(worst, f32::max);
            }
            if argmax(&logits) != case.generated[index] {
                let margin = case.margins[index];
                assert!(margin < NEAR_TIE, "{:?}, token {index}: margin {margin}", case.prompt);
                ties += 1;
            }
        }
    }
    println!("{ties} near ties went the other way; first logits are at most {worst:e} apart");
    assert!(ties <= 2, "{ties} near ties");
    assert!(worst < 1e-3, "logits {worst} apart");
}
