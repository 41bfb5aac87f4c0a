//! The operations on the CPU.

mod attention;
mod isa;
mod lanes;
mod linear;
mod ops;
mod rope;
mod threads;

use attention::{LayerKv, Rows};
use linear::Matrix;
use rope::Turns;
use threads::Pool;

use super::{Activation, Backend, Heads, Pooling, Rope};
use crate::error::EngineError;
use crate::exec::{BLOCK_TOKENS, BlockId, RaggedBatch, SequenceStep};
use crate::weights::Tensor;

/// Partial sums that every long sum is kept in: what a machine with 512-bit registers adds at once.
const LANES: usize = 16;

/// Values below which an element-wise operation is not worth a second thread.
const SMALL: usize = 1 << 14;

/// The sum of the lanes, as a tree.
#[inline(always)]
fn sum_lanes(lanes: &[f32; LANES]) -> f32 {
    let (mut eight, mut four) = ([0.0; 8], [0.0; 4]);
    for lane in 0..8 {
        eight[lane] = lanes[lane] + lanes[lane + 8];
    }
    for lane in 0..4 {
        four[lane] = eight[lane] + eight[lane + 4];
    }
    (four[0] + four[2]) + (four[1] + four[3])
}

/// Activations `[rows, width]`.
#[derive(Default)]
pub struct Buffer {
    data: Vec<f32>,
    width: usize,
}

impl Buffer {
    fn reset(&mut self, rows: usize, width: usize) -> &mut [f32] {
        self.width = width;
        self.data.resize(rows * width, 0.0);
        &mut self.data
    }

    fn rows(&self) -> usize {
        self.data.len().checked_div(self.width).unwrap_or(0)
    }

    fn row(&self, row: usize) -> &[f32] {
        &self.data[row * self.width..(row + 1) * self.width]
    }

    fn data(&self) -> &[f32] {
        &self.data
    }
}

/// A step's sequences and rotations.
pub struct Step {
    sequences: Vec<SequenceStep>,
    turns: Turns,
}

/// The CPU, with its threads and its room for an encoder's keys and values.
pub struct Cpu {
    pool: Pool,
    row: Vec<f32>,
    scratch: LayerKv,
}

impl Cpu {
    /// With this many threads, the caller's included; 0 = one per core.
    pub fn new(threads: usize) -> Result<Self, EngineError> {
        let pool = Pool::new(threads).map_err(|e| EngineError::Internal(format!("cannot start threads: {e}")))?;
        let none = Heads { query: 0, kv: 0, size: 0, window: None };
        Ok(Self { pool, row: Vec::new(), scratch: LayerKv::new(0, none) })
    }

    /// Runs `each` on every row of `out`, on several threads where that is worth it.
    fn for_rows(&mut self, out: &mut Buffer, each: impl Fn(usize, &mut [f32]) + Sync) {
        let tasks = if out.data.len() < SMALL { 1 } else { out.rows().min(self.pool.threads() * 4) };
        self.pool.run_rows(&mut out.data, out.width, tasks, each);
    }
}

impl Backend for Cpu {
    type Buffer = Buffer;
    type Matrix = Matrix;
    type Vector = Vec<f32>;
    type KvPool = Vec<LayerKv>;
    type Step = Step;

    fn matrix(&self, parts: Vec<Tensor>, bias: Option<Vec<f32>>) -> Result<Matrix, EngineError> {
        Matrix::new(parts, bias)
    }

    fn vector(&self, values: Vec<f32>) -> Result<Vec<f32>, EngineError> {
        Ok(values)
    }

    fn kv_block_bytes(&self, layers: usize, heads: Heads) -> usize {
        layers * 2 * BLOCK_TOKENS * heads.kv * heads.size * size_of::<f32>()
    }

    fn kv_pool(&self, blocks: usize, layers: usize, heads: Heads) -> Result<Vec<LayerKv>, EngineError> {
        Ok((0..layers).map(|_| LayerKv::new(blocks, heads)).collect())
    }

    fn step(&self, batch: &RaggedBatch, rope: &Rope) -> Step {
        Step { sequences: batch.sequences.clone(), turns: Turns::new(batch, rope) }
    }

    fn embed(&mut self, tables: &[(&Matrix, &[u32])], out: &mut Buffer) {
        let (rows, width) = tables.first().map_or((0, 0), |(table, ids)| (ids.len(), table.cols()));
        out.reset(rows, width).fill(0.0);
        for (table, ids) in tables {
            for (out, &id) in out.data.chunks_exact_mut(width).zip(*ids) {
                table.add_row(id as usize, &mut self.row, out);
            }
        }
    }

    fn add_rms_norm(&mut self, x: &mut Buffer, delta: Option<&Buffer>, weight: &Vec<f32>, eps: f32, out: &mut Buffer) {
        add(x, delta);
        out.reset(x.rows(), x.width);
        self.for_rows(out, |row, out| ops::rms_norm(x.row(row), weight, eps, out));
    }

    fn add_layer_norm(&mut self, x: &mut Buffer, delta: Option<&Buffer>, weight: &Vec<f32>, bias: &Vec<f32>, eps: f32) {
        add(x, delta);
        self.for_rows(x, |_, x| ops::layer_norm(x, weight, bias, eps));
    }

    fn linear(&mut self, x: &Buffer, weight: &Matrix, out: &mut Buffer) {
        linear::linear(&mut self.pool, x, weight, out);
    }

    fn rope_and_store(&mut self, qkv: &mut Buffer, step: &Step, heads: Heads, layer: usize, pool: &mut Vec<LayerKv>) {
        let width = heads.qkv_width();
        for sequence in &step.sequences {
            for (row, position) in sequence.rows.clone().zip(sequence.context..) {
                let qkv = &mut qkv.data[row * width..(row + 1) * width];
                let (turned, values) = qkv.split_at_mut((heads.query + heads.kv) * heads.size);
                turned.chunks_exact_mut(heads.size).for_each(|head| step.turns.turn(row, head));
                let keys = &turned[heads.query * heads.size..];
                let block = sequence.blocks[position / BLOCK_TOKENS];
                pool[layer].store(heads, block, position % BLOCK_TOKENS, keys, values);
            }
        }
    }

    fn paged_attention(
        &mut self,
        qkv: &Buffer,
        step: &Step,
        heads: Heads,
        layer: usize,
        pool: &Vec<LayerKv>,
        out: &mut Buffer,
    ) {
        let rows: Vec<Rows<'_>> = step
            .sequences
            .iter()
            .map(|s| Rows { rows: s.rows.clone(), position: s.context, blocks: &s.blocks, sees: None })
            .collect();
        attention::attention(&mut self.pool, qkv, &rows, heads, &pool[layer], out);
    }

    /// The texts' keys and values go to blocks of their own, and from there it is the decoder's attention.
    fn full_attention(&mut self, qkv: &Buffer, starts: &[usize], heads: Heads, out: &mut Buffer) {
        let texts = || starts.windows(2).map(|pair| pair[0]..pair[1]);
        let mut tables: Vec<Vec<BlockId>> = Vec::new();
        let mut next: BlockId = 0;
        for text in texts() {
            let end = next + text.len().div_ceil(BLOCK_TOKENS) as BlockId;
            tables.push((next..end).collect());
            next = end;
        }
        self.scratch.reserve(next as usize, heads);
        let mut rows = Vec::new();
        for (text, blocks) in texts().zip(&tables) {
            for (position, row) in text.clone().enumerate() {
                let keys_and_values = &qkv.row(row)[heads.query * heads.size..];
                let (keys, values) = keys_and_values.split_at(heads.kv * heads.size);
                let block = blocks[position / BLOCK_TOKENS];
                self.scratch.store(heads, block, position % BLOCK_TOKENS, keys, values);
            }
            rows.push(Rows { position: 0, sees: Some(text.len()), rows: text, blocks });
        }
        attention::attention(&mut self.pool, qkv, &rows, heads, &self.scratch, out);
    }

    fn activate(&mut self, x: &mut Buffer, f: Activation) {
        self.for_rows(x, |_, x| ops::activate(x, f));
    }

    fn gated(&mut self, x: &Buffer, f: Activation, out: &mut Buffer) {
        let half = x.width / 2;
        out.reset(x.rows(), half);
        self.for_rows(out, |row, out| {
            let (gate, up) = x.row(row).split_at(half);
            ops::gated(gate, up, f, out);
        });
    }

    fn gather(&mut self, x: &Buffer, rows: &[usize], out: &mut Buffer) {
        let out = out.reset(rows.len(), x.width).chunks_exact_mut(x.width.max(1));
        out.zip(rows).for_each(|(out, &row)| out.copy_from_slice(x.row(row)));
    }

    fn pool(&mut self, x: &Buffer, starts: &[usize], how: Pooling, normalise: bool, out: &mut Buffer) {
        let texts = starts.windows(2).map(|pair| pair[0]..pair[1]);
        let out = out.reset(texts.len(), x.width).chunks_exact_mut(x.width.max(1));
        for (text, out) in texts.zip(out) {
            match how {
                Pooling::First => out.copy_from_slice(x.row(text.start)),
                Pooling::Mean => {
                    out.fill(0.0);
                    let count = text.len() as f32;
                    text.for_each(|row| out.iter_mut().zip(x.row(row)).for_each(|(out, x)| *out += x));
                    out.iter_mut().for_each(|out| *out /= count);
                }
            }
            if normalise {
                ops::normalise(out);
            }
        }
    }

    fn read(&mut self, x: &Buffer, out: &mut Vec<f32>) {
        out.clone_from(&x.data);
    }
}

fn add(x: &mut Buffer, delta: Option<&Buffer>) {
    if let Some(delta) = delta {
        x.data.iter_mut().zip(&delta.data).for_each(|(x, delta)| *x += delta);
    }
}
