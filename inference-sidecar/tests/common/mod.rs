//! The models that tests run, and a driver for a generator.
#![allow(dead_code, reason = "each test binary uses its part")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "test code that clippy does not take for such")]

pub mod server;

use std::path::{Path, PathBuf};

use serde::de::DeserializeOwned;
use weirgate_inference::exec::{BLOCK_TOKENS, BlockId, Embedder, Generator, RaggedBatch, SequenceStep};
use weirgate_inference::load::{LoadOptions, LoadedModel, ModelBody, load};

pub const SMOLLM2: &str = "SmolLM2-135M-Instruct.Q4_1.gguf";
pub const MINILM: &str = "all-MiniLM-L6-v2";

/// A model's path in `$WEIRGATE_MODELS`, or where `make models` puts it.
pub fn model_path(name: &str) -> PathBuf {
    let cache = Path::new(env!("CARGO_MANIFEST_DIR")).join("../.cache/models");
    let path = std::env::var_os("WEIRGATE_MODELS").map_or(cache, PathBuf::from).join(name);
    assert!(path.exists(), "{} is missing: run `make models`", path.display());
    path
}

/// Loads a model.
pub fn model(name: &str) -> LoadedModel {
    model_on(name, 2)
}

pub fn model_on(name: &str, threads: usize) -> LoadedModel {
    load(&model_path(name), &LoadOptions { threads, kv_bytes: 256 << 20, max_context: None }).unwrap()
}

pub fn generator(model: LoadedModel) -> Box<dyn Generator> {
    match model.body {
        ModelBody::Decoder(generator) => generator,
        ModelBody::Encoder(_) => panic!("not a decoder"),
    }
}

pub fn embedder(model: LoadedModel) -> Box<dyn Embedder> {
    match model.body {
        ModelBody::Encoder(embedder) => embedder,
        ModelBody::Decoder(_) => panic!("not an encoder"),
    }
}

pub fn golden<T: DeserializeOwned>(name: &str) -> T {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/goldens").join(name);
    serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap()
}

/// A sequence under way: which blocks it has, and how much of it is in them.
pub struct Sequence {
    pub context: usize,
    pub blocks: Vec<BlockId>,
}

impl Sequence {
    /// With `count` blocks from `first` on, in an order that is not ascending.
    pub fn new(first: BlockId, count: u32) -> Self {
        Self { context: 0, blocks: (first..first + count).rev().collect() }
    }

    pub fn with_room_for(first: BlockId, tokens: usize) -> Self {
        Self::new(first, tokens.div_ceil(BLOCK_TOKENS) as u32)
    }
}

/// Runs the given tokens of each sequence in one step; the logits are those of each sequence's last row.
pub fn step(generator: &mut dyn Generator, work: &mut [(&mut Sequence, &[u32])]) -> Vec<Vec<f32>> {
    let mut batch = RaggedBatch::default();
    for (sequence, tokens) in work.iter_mut() {
        let start = batch.tokens.len();
        batch.tokens.extend_from_slice(tokens);
        batch.sequences.push(SequenceStep {
            rows: start..batch.tokens.len(),
            context: sequence.context,
            blocks: sequence.blocks.clone(),
        });
        batch.logit_rows.push(batch.tokens.len() - 1);
        sequence.context += tokens.len();
    }
    let mut logits = Vec::new();
    generator.step(&batch, &mut logits).unwrap();
    logits.chunks_exact(generator.shape().vocab).map(<[f32]>::to_vec).collect()
}

pub fn argmax(logits: &[f32]) -> u32 {
    (0u32..).zip(logits).max_by(|a, b| a.1.total_cmp(b.1)).unwrap().0
}
