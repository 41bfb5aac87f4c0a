//! What a device must be able to do: the whole list of operations that the model files are written in.
//!
//! Everything is over activations `[rows, width]` in f32; a row is a token. There is no padding and no batch dimension.
//! Operations run in the order in which they are called. **The result for a row never depends on the other rows of the
//! call**, down to the last bit: the order of every sum is fixed by the row alone.

pub mod cpu;

use crate::error::EngineError;
use crate::exec::RaggedBatch;
use crate::weights::Tensor;

/// How the pairs that rotary embedding turns lie in a head.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RopePairs {
    /// `(0, 1), (2, 3), …`: as GGUF files of the `llama` architecture are laid out.
    Neighbours,
    /// `(0, d/2), (1, d/2 + 1), …`: as Hugging Face files are laid out.
    Halves,
}

/// Rotary embedding (Su et al. 2021): the pair `i` at position `p` is turned by `p * frequencies[i]` radians.
#[derive(Debug, Clone)]
pub struct Rope {
    /// One per pair. Values of a head beyond the pairs are left alone.
    pub frequencies: Vec<f32>,
    /// How the pairs lie.
    pub pairs: RopePairs,
}

/// Sizes of an attention layer.
#[derive(Debug, Clone, Copy)]
pub struct Heads {
    /// Query heads, a multiple of `kv`.
    pub query: usize,
    /// Key and value heads; `query / kv` query heads share each.
    pub kv: usize,
    /// Values in a head.
    pub size: usize,
    /// A row sees this many positions, itself included; none = all before it.
    pub window: Option<usize>,
}

impl Heads {
    /// Width of a row that holds queries, keys and values.
    pub fn qkv_width(&self) -> usize {
        (self.query + 2 * self.kv) * self.size
    }
}

/// An activation function.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Activation {
    /// `x * sigmoid(x)`.
    Silu,
    /// `x * Φ(x)`, the exact form.
    Gelu,
}

/// How the rows of a text become one vector.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pooling {
    /// The mean of all rows.
    Mean,
    /// The first row.
    First,
}

/// A device. One model owns it and calls it from one thread.
pub trait Backend: Send {
    /// Activations `[rows, width]`. Operations give their outputs the size they need.
    type Buffer: Default + Send;
    /// A weight matrix `[rows, cols]`, in the form in which it was stored, with its bias if it has one.
    type Matrix: Send;
    /// Weights of a norm.
    type Vector: Send;
    /// The pool of KV blocks of all layers.
    type KvPool: Send;
    /// Position and place of every row of a step, made once and used by all layers.
    type Step;

    /// Brings weights to the device: several tensors stacked give their outputs side by side.
    fn matrix(&self, parts: Vec<Tensor>, bias: Option<Vec<f32>>) -> Result<Self::Matrix, EngineError>;

    /// Brings a vector to the device.
    fn vector(&self, values: Vec<f32>) -> Result<Self::Vector, EngineError>;

    /// Bytes that one block of the pool takes.
    fn kv_block_bytes(&self, layers: usize, heads: Heads) -> usize;

    /// A pool of `blocks` blocks.
    fn kv_pool(&self, blocks: usize, layers: usize, heads: Heads) -> Result<Self::KvPool, EngineError>;

    /// Prepares a step. The batch has been checked against the pool.
    fn step(&self, batch: &RaggedBatch, rope: &Rope) -> Self::Step;

    /// `out[row] = Σ table[ids[row]]` over the tables.
    fn embed(&mut self, tables: &[(&Self::Matrix, &[u32])], out: &mut Self::Buffer);

    /// `x += delta` where there is one, then `out = x / sqrt(mean(x²) + eps) * weight`.
    fn add_rms_norm(
        &mut self,
        x: &mut Self::Buffer,
        delta: Option<&Self::Buffer>,
        weight: &Self::Vector,
        eps: f32,
        out: &mut Self::Buffer,
    );

    /// `x += delta` where there is one, then `x = (x - mean(x)) / sqrt(var(x) + eps) * weight + bias`.
    fn add_layer_norm(
        &mut self,
        x: &mut Self::Buffer,
        delta: Option<&Self::Buffer>,
        weight: &Self::Vector,
        bias: &Self::Vector,
        eps: f32,
    );

    /// `out = x · weightᵀ + bias`.
    fn linear(&mut self, x: &Self::Buffer, weight: &Self::Matrix, out: &mut Self::Buffer);

    /// Turns the queries and keys of `qkv` (rows of queries, keys, values) and writes keys and values to the pool.
    fn rope_and_store(
        &mut self,
        qkv: &mut Self::Buffer,
        step: &Self::Step,
        heads: Heads,
        layer: usize,
        pool: &mut Self::KvPool,
    );

    /// Causal attention of the queries in `qkv` over their sequences' blocks.
    fn paged_attention(
        &mut self,
        qkv: &Self::Buffer,
        step: &Self::Step,
        heads: Heads,
        layer: usize,
        pool: &Self::KvPool,
        out: &mut Self::Buffer,
    );

    /// Attention in which all rows of a text see each other; text `i` has the rows `starts[i]..starts[i + 1]`.
    fn full_attention(&mut self, qkv: &Self::Buffer, starts: &[usize], heads: Heads, out: &mut Self::Buffer);

    /// `x = f(x)`.
    fn activate(&mut self, x: &mut Self::Buffer, f: Activation);

    /// `out = f(left half of x) * right half of x`.
    fn gated(&mut self, x: &Self::Buffer, f: Activation, out: &mut Self::Buffer);

    /// `out[i] = x[rows[i]]`.
    fn gather(&mut self, x: &Self::Buffer, rows: &[usize], out: &mut Self::Buffer);

    /// One row for each text (as in `full_attention`), scaled to length 1 if `normalise`.
    fn pool(&mut self, x: &Self::Buffer, starts: &[usize], how: Pooling, normalise: bool, out: &mut Self::Buffer);

    /// Copies activations to the host.
    fn read(&mut self, x: &Self::Buffer, out: &mut Vec<f32>);
}
