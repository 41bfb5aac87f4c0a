//! Decoders of the Llama type: norm, attention, norm, gated feed-forward, each added to the row.

use super::config::DecoderConfig;
use super::names::{DecoderNames, of_layer};
use crate::backend::{Activation, Backend};
use crate::error::EngineError;
use crate::exec::{BLOCK_TOKENS, Generator, GeneratorShape, RaggedBatch};
use crate::weights::Weights;

/// A decoder on a backend, with its KV pool.
pub struct Decoder<B: Backend> {
    backend: B,
    config: DecoderConfig,
    shape: GeneratorShape,
    embedding: B::Matrix,
    layers: Vec<Layer<B>>,
    output_norm: B::Vector,
    /// None: the embedding table.
    output: Option<B::Matrix>,
    pool: B::KvPool,
    work: Work<B>,
}

struct Layer<B: Backend> {
    attention_norm: B::Vector,
    qkv: B::Matrix,
    attention_out: B::Matrix,
    inner_norm: B::Vector,
    gate_up: B::Matrix,
    down: B::Matrix,
}

/// Activations, kept from step to step so that their memory is.
struct Work<B: Backend> {
    /// The row that every part of a layer adds to.
    x: B::Buffer,
    /// `x` normed.
    normed: B::Buffer,
    qkv: B::Buffer,
    attended: B::Buffer,
    gate_up: B::Buffer,
    inner: B::Buffer,
    /// What a part adds to `x`.
    delta: B::Buffer,
    logits: B::Buffer,
}

impl<B: Backend> Decoder<B> {
    /// Brings the weights to the backend and sets up a KV pool of at most `kv_bytes`.
    pub fn new(
        backend: B,
        config: DecoderConfig,
        weights: &Weights,
        names: &DecoderNames,
        kv_bytes: usize,
    ) -> Result<Self, EngineError> {
        let DecoderConfig { hidden, inner, vocab, heads, max_context, .. } = config;
        let vector = |name: &str| backend.vector(weights.get(name, &[hidden])?.to_f32());
        let (queries, keys) = (heads.query * heads.size, heads.kv * heads.size);
        // Output rows of several tensors side by side, with their biases in the models that have them.
        let matrix = |layer: usize, names: &[&str], rows: &[usize], cols: usize| {
            let (mut parts, mut bias) = (Vec::new(), Vec::new());
            for (name, &rows) in names.iter().zip(rows) {
                let name = of_layer(name, layer);
                parts.push(weights.get(&name, &[rows, cols])?);
                let name = name.replace(".weight", ".bias");
                if weights.contains(&name) {
                    bias.extend(weights.get(&name, &[rows])?.to_f32());
                }
            }
            backend.matrix(parts, Some(bias).filter(|bias| !bias.is_empty()))
        };
        let mut layers = Vec::new();
        for layer in 0..config.layers {
            layers.push(Layer {
                attention_norm: vector(&of_layer(names.attention_norm, layer))?,
                qkv: matrix(layer, &names.qkv, &[queries, keys, keys], hidden)?,
                attention_out: matrix(layer, &[names.attention_out], &[hidden], queries)?,
                inner_norm: vector(&of_layer(names.inner_norm, layer))?,
                gate_up: matrix(layer, &names.gate_up, &[inner, inner], hidden)?,
                down: matrix(layer, &[names.down], &[hidden], inner)?,
            });
        }
        let table = |name: &str| backend.matrix(vec![weights.get(name, &[vocab, hidden])?], None);
        let block = backend.kv_block_bytes(config.layers, heads);
        // More than fits one sequence is only of use when there are several, so the bytes decide, not the context.
        let kv_blocks = (kv_bytes / block).min(u32::MAX as usize);
        if kv_blocks == 0 {
            let what = format!("{kv_bytes} bytes hold no KV block; one takes {block} ({BLOCK_TOKENS} tokens)");
            return Err(EngineError::Internal(what));
        }
        Ok(Self {
            shape: GeneratorShape { vocab, max_context, kv_blocks },
            embedding: table(names.embedding)?,
            layers,
            output_norm: vector(names.output_norm)?,
            output: if config.tied { None } else { Some(table(names.output)?) },
            pool: backend.kv_pool(kv_blocks, config.layers, heads)?,
            work: Work::default(),
            config,
            backend,
        })
    }

    /// Whether the batch is what `RaggedBatch` promises, and within the vocabulary and the pool.
    fn check(&self, batch: &RaggedBatch) -> Result<(), EngineError> {
        let wrong = |what: String| Err(EngineError::Internal(format!("a step that cannot be: {what}")));
        let rows = batch.tokens.len();
        if let Some(token) = batch.tokens.iter().find(|&&token| token as usize >= self.shape.vocab) {
            return wrong(format!("token {token} of a vocabulary of {}", self.shape.vocab));
        }
        let mut next = 0;
        for sequence in &batch.sequences {
            let end = sequence.context.saturating_add(sequence.rows.len());
            if sequence.rows.start != next || sequence.rows.end <= next {
                return wrong(format!("rows {:?} after row {next}", sequence.rows));
            }
            if end > self.shape.max_context || end > sequence.blocks.len().saturating_mul(BLOCK_TOKENS) {
                let (blocks, most) = (sequence.blocks.len(), self.shape.max_context);
                return wrong(format!("{end} positions in {blocks} blocks, {most} at most"));
            }
            if let Some(block) = sequence.blocks.iter().find(|&&block| block as usize >= self.shape.kv_blocks) {
                return wrong(format!("block {block} of a pool of {}", self.shape.kv_blocks));
            }
            next = sequence.rows.end;
        }
        if next != rows {
            return wrong(format!("{rows} tokens for {next} rows"));
        }
        match batch.logit_rows.iter().find(|&&row| row >= rows) {
            Some(row) => wrong(format!("logits of row {row} of {rows}")),
            None => Ok(()),
        }
    }
}

impl<B: Backend> Generator for Decoder<B> {
    fn shape(&self) -> GeneratorShape {
        self.shape
    }

    fn step(&mut self, batch: &RaggedBatch, logits: &mut Vec<f32>) -> Result<(), EngineError> {
        self.check(batch)?;
        let DecoderConfig { heads, eps, .. } = self.config;
        let (b, w) = (&mut self.backend, &mut self.work);
        let step = b.step(batch, &self.config.rope);

        b.embed(&[(&self.embedding, &batch.tokens)], &mut w.x);
        for (index, layer) in self.layers.iter().enumerate() {
            let delta = (index > 0).then_some(&w.delta);
            b.add_rms_norm(&mut w.x, delta, &layer.attention_norm, eps, &mut w.normed);
            b.linear(&w.normed, &layer.qkv, &mut w.qkv);
            b.rope_and_store(&mut w.qkv, &step, heads, index, &mut self.pool);
            b.paged_attention(&w.qkv, &step, heads, index, &self.pool, &mut w.attended);
            b.linear(&w.attended, &layer.attention_out, &mut w.delta);

            b.add_rms_norm(&mut w.x, Some(&w.delta), &layer.inner_norm, eps, &mut w.normed);
            b.linear(&w.normed, &layer.gate_up, &mut w.gate_up);
            b.gated(&w.gate_up, Activation::Silu, &mut w.inner);
            b.linear(&w.inner, &layer.down, &mut w.delta);
        }
        b.add_rms_norm(&mut w.x, Some(&w.delta), &self.output_norm, eps, &mut w.normed);
        b.gather(&w.normed, &batch.logit_rows, &mut w.x);
        b.linear(&w.x, self.output.as_ref().unwrap_or(&self.embedding), &mut w.logits);
        b.read(&w.logits, logits);
        Ok(())
    }
}

impl<B: Backend> Default for Work<B> {
    fn default() -> Self {
        Self {
            x: B::Buffer::default(),
            normed: B::Buffer::default(),
            qkv: B::Buffer::default(),
            attended: B::Buffer::default(),
            gate_up: B::Buffer::default(),
            inner: B::Buffer::default(),
            delta: B::Buffer::default(),
            logits: B::Buffer::default(),
        }
    }
}
