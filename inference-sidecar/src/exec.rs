//! The seam between the scheduler (which knows requests) and a model on a backend (which knows tensors).
//!
//! A step runs over a *ragged* batch: the rows of all sequences one after the other, `[rows, hidden]`, with no padding
//! and no batch dimension. A row is one token at one position of one sequence.

use std::ops::Range;

use crate::error::EngineError;

/// Index of a block in the pool of KV blocks that a generator owns.
pub type BlockId = u32;

/// Tokens that one KV block holds.
pub const BLOCK_TOKENS: usize = 16;

/// What one sequence contributes to a step.
#[derive(Debug, Clone)]
pub struct SequenceStep {
    /// The rows of the batch that belong to this sequence, in order of position.
    pub rows: Range<usize>,
    /// Tokens of this sequence whose keys and values are in the pool already; the first row's position.
    pub context: usize,
    /// Block table: position `p` lives in `blocks[p / BLOCK_TOKENS]`, slot `p % BLOCK_TOKENS`. It covers
    /// `context + rows.len()` positions at least.
    pub blocks: Vec<BlockId>,
}

/// One step's work.
#[derive(Debug, Clone, Default)]
pub struct RaggedBatch {
    /// Token id of each row.
    pub tokens: Vec<u32>,
    /// The sequences, in row order; their rows cover the batch without a gap.
    pub sequences: Vec<SequenceStep>,
    /// Rows whose logits are wanted, ascending.
    pub logit_rows: Vec<usize>,
}

/// Fixed sizes of a loaded decoder.
#[derive(Debug, Clone, Copy)]
pub struct GeneratorShape {
    /// Entries in the vocabulary, which is the length of one row of logits.
    pub vocab: usize,
    /// Longest sequence (prompt and answer) in tokens.
    pub max_context: usize,
    /// Blocks in the KV pool.
    pub kv_blocks: usize,
}

/// A decoder on a backend. Owned by the scheduler's thread.
pub trait Generator: Send {
    /// The fixed sizes.
    fn shape(&self) -> GeneratorShape;

    /// Runs the batch: writes the keys and values of every row to its block, and leaves the logits of
    /// `batch.logit_rows` in `logits`, `[logit_rows, vocab]`, replacing what was there.
    ///
    /// The result for a row depends only on its own sequence: never on what else is in the batch, nor on how the
    /// sequence was cut into steps (bit for bit, on the same backend).
    fn step(&mut self, batch: &RaggedBatch, logits: &mut Vec<f32>) -> Result<(), EngineError>;
}

/// An encoder on a backend.
pub trait Embedder: Send {
    /// Length of one embedding.
    fn dimensions(&self) -> usize;

    /// Entries in the vocabulary.
    fn vocab(&self) -> usize;

    /// Longest input in tokens, special tokens included.
    fn max_tokens(&self) -> usize;

    /// One embedding for each input (token ids with special tokens), pooled and normalised as the model says.
    fn embed(&mut self, inputs: &[Vec<u32>]) -> Result<Vec<Vec<f32>>, EngineError>;
}
