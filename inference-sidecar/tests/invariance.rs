//! What a row comes to depends on its own sequence alone, to the last bit.

#![allow(clippy::unwrap_used, reason = "test code that clippy does not take for such")]

mod common;

use common::{SMOLLM2, Sequence, argmax, generator, golden, model, step};
use serde::Deserialize;
use weirgate_inference::exec::{Generator, RaggedBatch, SequenceStep};

#[derive(Deserialize)]
struct Case {
    prompt_ids: Vec<u32>,
}

const NEW_TOKENS: usize = 8;
/// Blocks for each sequence: every prompt taken here fits with what it generates.
const BLOCKS: u32 = 8;

/// A sequence's tokens after its prompt, and the logits that led to each.
type Answer = (Vec<u32>, Vec<Vec<f32>>);

/// Feeds the prompt in pieces, then generates greedily.
fn alone(generator: &mut dyn Generator, prompt: &[u32], piece: usize, first_block: u32) -> Answer {
    let mut sequence = Sequence::new(first_block, BLOCKS);
    let mut last = Vec::new();
    for tokens in prompt.chunks(piece) {
        last = step(generator, &mut [(&mut sequence, tokens)]).remove(0);
    }
    let mut answer: Answer = (vec![argmax(&last)], vec![last]);
    while answer.0.len() < NEW_TOKENS {
        let token = *answer.0.last().unwrap();
        let logits = step(generator, &mut [(&mut sequence, &[token])]).remove(0);
        answer.0.push(argmax(&logits));
        answer.1.push(logits);
    }
    answer
}

/// Sixteen at once, of which one joins at every step, so that prompts and decodes share steps.
fn together(generator: &mut dyn Generator, prompts: &[Vec<u32>]) -> Vec<Answer> {
    let mut sequences: Vec<_> = (0..prompts.len() as u32).map(|i| Sequence::new(i * BLOCKS, BLOCKS)).collect();
    let mut answers: Vec<Answer> = vec![Default::default(); prompts.len()];
    let mut next: Vec<Vec<u32>> = prompts.to_vec();
    for now in 0..prompts.len() + NEW_TOKENS {
        let running: Vec<usize> = (0..prompts.len()).filter(|&i| i <= now && answers[i].0.len() < NEW_TOKENS).collect();
        let mut work: Vec<_> = sequences
            .iter_mut()
            .zip(&next)
            .enumerate()
            .filter(|(i, _)| running.contains(i))
            .map(|(_, (sequence, tokens))| (sequence, tokens.as_slice()))
            .collect();
        let logits = step(generator, &mut work);
        for (i, logits) in running.into_iter().zip(logits) {
            next[i] = vec![argmax(&logits)];
            answers[i].0.push(next[i][0]);
            answers[i].1.push(logits);
        }
    }
    answers
}

#[test]
fn batch_chunks_and_recompute_change_no_bit() {
    let mut generator = generator(model(SMOLLM2));
    let mut prompts: Vec<Vec<u32>> = golden::<Vec<Case>>("smollm2.json")
        .into_iter()
        .map(|case| case.prompt_ids)
        .filter(|ids| ids.len() + NEW_TOKENS <= BLOCKS as usize * 16)
        .collect();
    prompts.truncate(16);
    assert_eq!(prompts.len(), 16);

    let batch = together(&mut *generator, &prompts);
    for (prompt, want) in prompts.iter().zip(&batch) {
        let whole = alone(&mut *generator, prompt, usize::MAX, 200);
        assert!(whole == *want, "alone and in a batch of 16: {:?} {:?}", whole.0, want.0);
        let chunked = alone(&mut *generator, prompt, 7, 100);
        assert!(chunked == *want, "in chunks of 7: {:?} {:?}", chunked.0, want.0);

        // Preempted after four tokens: prompt and answer so far are computed again, elsewhere.
        let so_far = [prompt.as_slice(), &want.0[..4]].concat();
        let mut sequence = Sequence::new(300, BLOCKS);
        let logits = step(&mut *generator, &mut [(&mut sequence, &so_far)]).remove(0);
        assert!(logits == want.1[4], "after recompute");
    }
}

/// What is left in a block from before must not be seen, whatever it is.
#[test]
fn used_blocks_leave_no_trace() {
    let mut generator = generator(model(SMOLLM2));
    let tokens: Vec<u32> = (500..520).collect();
    let fresh = step(&mut *generator, &mut [(&mut Sequence::new(0, 2), &tokens)]);
    let other: Vec<u32> = (900..932).collect();
    step(&mut *generator, &mut [(&mut Sequence::new(2, 2), &other)]);
    assert!(fresh == step(&mut *generator, &mut [(&mut Sequence::new(2, 2), &tokens)]));
}

#[test]
fn logits_come_only_for_the_rows_asked_for() {
    let mut generator = generator(model(SMOLLM2));
    let vocab = generator.shape().vocab;
    let sequence = |rows| SequenceStep { rows, context: 0, blocks: vec![0, 1] };
    let mut batch = RaggedBatch { tokens: (100..120).collect(), sequences: vec![sequence(0..20)], logit_rows: vec![] };
    let mut logits = vec![1.0; 7];
    generator.step(&batch, &mut logits).unwrap();
    assert!(logits.is_empty());
    batch.logit_rows = (0..20).collect();
    generator.step(&batch, &mut logits).unwrap();
    let all = logits.clone();
    batch.logit_rows = vec![3, 19];
    generator.step(&batch, &mut logits).unwrap();
    assert!(logits == [&all[3 * vocab..4 * vocab], &all[19 * vocab..]].concat());
}

#[test]
fn steps_that_cannot_be_are_refused() {
    let mut generator = generator(model(SMOLLM2));
    let shape = generator.shape();
    let good = RaggedBatch {
        tokens: vec![1, 2, 3],
        sequences: vec![SequenceStep { rows: 0..3, context: 14, blocks: vec![0, 1] }],
        logit_rows: vec![2],
    };
    let mut refused = |change: &dyn Fn(&mut RaggedBatch)| {
        let mut batch = good.clone();
        change(&mut batch);
        generator.step(&batch, &mut Vec::new()).is_err()
    };
    assert!(!refused(&|_| ()));
    assert!(refused(&|batch| batch.tokens[1] = shape.vocab as u32));
    assert!(refused(&|batch| batch.tokens.push(1)));
    assert!(refused(&|batch| batch.sequences[0].rows = 1..3));
    assert!(refused(&|batch| batch.sequences[0].rows = 0..4));
    assert!(refused(&|batch| batch.sequences[0].context = 30));
    assert!(refused(&|batch| batch.sequences[0].context = usize::MAX));
    assert!(refused(&|batch| batch.sequences[0].blocks[1] = shape.kv_blocks as u32));
    assert!(refused(&|batch| batch.logit_rows = vec![3]));
}
