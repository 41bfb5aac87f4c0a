//! A generator for tests whose logits are a hash of what it reads back through the block tables, so that a wrong block,
//! a lost row or a stale key shows up as a different token.

use std::collections::HashSet;
use std::hash::{DefaultHasher, Hash, Hasher};

use crate::error::EngineError;
use crate::exec::{BLOCK_TOKENS, Generator, GeneratorShape, RaggedBatch};

pub const VOCAB: usize = 40;

/// Logits after `tokens`.
pub fn logits_after(tokens: &[u32]) -> Vec<f32> {
    let logit = |entry: usize| {
        let mut hasher = DefaultHasher::new();
        (tokens, entry).hash(&mut hasher);
        (hasher.finish() % 1000) as f32 / 100.0
    };
    (0..VOCAB).map(logit).collect()
}

pub struct FakeGenerator {
    pool: Vec<Option<u32>>,
    max_rows: usize,
    /// Steps until it fails.
    pub lasts: usize,
}

impl FakeGenerator {
    pub fn new(blocks: usize, max_rows: usize) -> Self {
        FakeGenerator { pool: vec![None; blocks * BLOCK_TOKENS], max_rows, lasts: usize::MAX }
    }
}

impl Generator for FakeGenerator {
    fn shape(&self) -> GeneratorShape {
        GeneratorShape { vocab: VOCAB, max_context: 1 << 20, kv_blocks: self.pool.len() / BLOCK_TOKENS }
    }

    fn step(&mut self, batch: &RaggedBatch, logits: &mut Vec<f32>) -> Result<(), EngineError> {
        if self.lasts == 0 {
            return Err(EngineError::Internal("as the test wants it".into()));
        }
        self.lasts -= 1;
        assert!((1..=self.max_rows).contains(&batch.tokens.len()));
        let mut held = HashSet::new();
        let mut next_row = 0;
        logits.clear();
        for sequence in &batch.sequences {
            assert_eq!(sequence.rows.start, next_row);
            next_row = sequence.rows.end;
            assert!(sequence.blocks.iter().all(|block| held.insert(*block)), "two sequences share a block");
            let slot = |position: usize| {
                sequence.blocks[position / BLOCK_TOKENS] as usize * BLOCK_TOKENS + position % BLOCK_TOKENS
            };
            for (at, row) in sequence.rows.clone().enumerate() {
                let position = sequence.context + at;
                self.pool[slot(position)] = Some(batch.tokens[row]);
                if batch.logit_rows.contains(&row) {
                    let read = |position| self.pool[slot(position)].expect("a key that was written");
                    logits.extend(logits_after(&(0..=position).map(read).collect::<Vec<_>>()));
                }
            }
        }
        assert_eq!(next_row, batch.tokens.len());
        assert!(batch.logit_rows.is_sorted());
        Ok(())
    }
}
