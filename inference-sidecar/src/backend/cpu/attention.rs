//! Attention over KV blocks. A block's keys are stored transposed, so that one query meets all of its positions at once
//! and no sum runs across lanes.
#![allow(unsafe_code, reason = "tasks write disjoint parts of one output; see `Parts`")]

use std::cell::RefCell;
use std::ops::Range;

use super::isa::multiversion;
use super::ops::exp;
use super::threads::{Parts, Pool};
use super::{Buffer, sum_lanes};
use crate::backend::Heads;
use crate::exec::{BLOCK_TOKENS, BlockId};
use crate::weights::blocks::fma;

/// Rows of a sequence that share a walk over its blocks.
const TILE_ROWS: usize = 8;
/// Values of a head that are summed in registers; a head is whole chunks.
pub const CHUNK: usize = 16;

/// One layer's share of the pool.
pub struct LayerKv {
    /// `[block, kv head, head size, position]`.
    keys: Vec<f32>,
    /// `[block, kv head, position, head size]`.
    values: Vec<f32>,
}

impl LayerKv {
    /// A pool of zeroed blocks; the system hands out the memory as it is first written.
    pub fn new(blocks: usize, heads: Heads) -> Self {
        let length = blocks * BLOCK_TOKENS * heads.kv * heads.size;
        Self { keys: vec![0.0; length], values: vec![0.0; length] }
    }

    /// Grows to at least this many blocks.
    pub fn reserve(&mut self, blocks: usize, heads: Heads) {
        let length = blocks * BLOCK_TOKENS * heads.kv * heads.size;
        if self.keys.len() < length {
            *self = Self::new(blocks, heads);
        }
    }

    /// Writes one position's keys and values, each `[kv heads, head size]`.
    pub fn store(&mut self, heads: Heads, block: BlockId, slot: usize, keys: &[f32], values: &[f32]) {
        let chunk = BLOCK_TOKENS * heads.size;
        let start = block as usize * heads.kv * chunk;
        let blocks = start..start + heads.kv * chunk;
        let by_head = keys.chunks_exact(heads.size).zip(values.chunks_exact(heads.size));
        let places = self.keys[blocks.clone()].chunks_exact_mut(chunk).zip(self.values[blocks].chunks_exact_mut(chunk));
        for ((key, value), (keys, values)) in by_head.zip(places) {
            keys.chunks_exact_mut(BLOCK_TOKENS).zip(key).for_each(|(slots, key)| slots[slot] = *key);
            values[slot * heads.size..(slot + 1) * heads.size].copy_from_slice(value);
        }
    }
}

/// Rows of one sequence, next to each other in the batch.
pub struct Rows<'a> {
    /// Rows of the batch.
    pub rows: Range<usize>,
    /// Position of the first.
    pub position: usize,
    /// The sequence's block table.
    pub blocks: &'a [BlockId],
    /// Positions that every row sees; none = each sees those up to its own.
    pub sees: Option<usize>,
}

/// Attention of the queries in `qkv` over the blocks of their sequences.
pub fn attention(pool: &mut Pool, qkv: &Buffer, sequences: &[Rows<'_>], heads: Heads, kv: &LayerKv, out: &mut Buffer) {
    let mut tiles = Vec::new();
    for rows in sequences {
        for start in rows.rows.clone().step_by(TILE_ROWS) {
            let end = rows.rows.end.min(start + TILE_ROWS);
            tiles.push(Rows { rows: start..end, position: rows.position + start - rows.rows.start, ..*rows });
        }
    }
    let out = Parts::of(out.reset(qkv.rows(), heads.query * heads.size));
    // The last tiles of a sequence are the longest: first come, last served.
    let tasks = tiles.len() * heads.kv;
    pool.run(tasks, |task| {
        let task = tasks - 1 - task;
        STATE.with_borrow_mut(|state| attend(&tiles[task / heads.kv], task % heads.kv, qkv, heads, kv, state, &out));
    });
}

/// What the softmax of one query has come to so far.
#[derive(Clone, Copy)]
struct Running {
    max: f32,
    sum: f32,
}

/// Running softmaxes and weighted sums of a tile's queries.
#[derive(Default)]
struct State {
    running: Vec<Running>,
    sums: Vec<f32>,
}

thread_local! {
    static STATE: RefCell<State> = RefCell::new(State::default());
}

multiversion! {
    fn attend(
        tile: &Rows<'_>,
        kv_head: usize,
        qkv: &Buffer,
        heads: Heads,
        kv: &LayerKv,
        state: &mut State,
        out: &Parts<'_>,
    ) = attend_body
}

/// Softmax over blocks as they come (Milakov and Gimelshein 2018). For each query the order is that of its positions.
#[inline(always)]
fn attend_body<const FMA: bool>(
    tile: &Rows<'_>,
    kv_head: usize,
    qkv: &Buffer,
    heads: Heads,
    kv: &LayerKv,
    state: &mut State,
    out: &Parts<'_>,
) {
    let size = heads.size;
    let group = heads.query / heads.kv;
    let scale = 1.0 / (size as f32).sqrt();
    let visible = |row: usize| {
        let position = tile.position + row;
        let end = tile.sees.unwrap_or(position + 1);
        heads.window.map_or(0, |window| (position + 1).saturating_sub(window))..end
    };
    let count = tile.rows.len();
    state.running.clear();
    state.running.resize(count * group, Running { max: f32::NEG_INFINITY, sum: 0.0 });
    state.sums.clear();
    state.sums.resize(count * group * size, 0.0);

    let blocks = visible(0).start / BLOCK_TOKENS..visible(count - 1).end.div_ceil(BLOCK_TOKENS);
    for index in blocks {
        let at = (tile.blocks[index] as usize * heads.kv + kv_head) * BLOCK_TOKENS * size;
        let keys = &kv.keys[at..at + BLOCK_TOKENS * size];
        let values = &kv.values[at..at + BLOCK_TOKENS * size];
        let first = index * BLOCK_TOKENS;
        for row in 0..count {
            let seen = visible(row);
            let slots = seen.start.saturating_sub(first)..seen.end.saturating_sub(first).min(BLOCK_TOKENS);
            if slots.is_empty() {
                continue;
            }
            let queries = &qkv.row(tile.rows.start + row)[kv_head * group * size..][..group * size];
            for (member, query) in queries.chunks_exact(size).enumerate() {
                let at = row * group + member;
                let sums = &mut state.sums[at * size..(at + 1) * size];
                block_body::<FMA>(query, scale, keys, values, slots.clone(), &mut state.running[at], sums);
            }
        }
    }

    for row in 0..count {
        let start = (tile.rows.start + row) * heads.query * size + kv_head * group * size;
        // SAFETY: each task has its own rows and heads.
        let out = unsafe { out.part(start..start + group * size) };
        let of_row = row * group..(row + 1) * group;
        let sums = state.sums[of_row.start * size..of_row.end * size].chunks_exact(size);
        for ((out, sums), running) in out.chunks_exact_mut(size).zip(sums).zip(&state.running[of_row]) {
            out.iter_mut().zip(sums).for_each(|(out, sum)| *out = sum / running.sum);
        }
    }
}

/// One query over the `slots` of one block. Slots that are not seen may hold anything.
#[inline(always)]
fn block_body<const FMA: bool>(
    query: &[f32],
    scale: f32,
    keys: &[f32],
    values: &[f32],
    slots: Range<usize>,
    running: &mut Running,
    sums: &mut [f32],
) {
    // Four chains, or each product would wait for the one before.
    let mut chains = [[0.0f32; BLOCK_TOKENS]; 4];
    let keys = keys.as_chunks::<BLOCK_TOKENS>().0;
    for (query, keys) in query.as_chunks::<4>().0.iter().zip(keys.as_chunks::<4>().0) {
        for chain in 0..4 {
            for slot in 0..BLOCK_TOKENS {
                chains[chain][slot] = fma::<FMA>(query[chain], keys[chain][slot], chains[chain][slot]);
            }
        }
    }
    let mut weights = [f32::NEG_INFINITY; BLOCK_TOKENS];
    for slot in 0..BLOCK_TOKENS {
        let score = ((chains[0][slot] + chains[1][slot]) + (chains[2][slot] + chains[3][slot])) * scale;
        weights[slot] = if slots.contains(&slot) { score } else { f32::NEG_INFINITY };
    }
    let max = weights.iter().fold(running.max, |max, &score| max.max(score));
    for (slot, weight) in weights.iter_mut().enumerate() {
        let raised = exp::<FMA>(*weight - max);
        *weight = if slots.contains(&slot) { raised } else { 0.0 };
    }
    let fade = exp::<FMA>(running.max - max);
    running.sum = fma::<FMA>(running.sum, fade, sum_lanes(&weights));
    running.max = max;
    let stride = sums.len() / CHUNK;
    let values = values.as_chunks::<CHUNK>().0;
    for (chunk, sums) in sums.as_chunks_mut::<CHUNK>().0.iter_mut().enumerate() {
        let mut total = sums.map(|sum| sum * fade);
        for slot in slots.clone() {
            let value = &values[slot * stride + chunk];
            for lane in 0..CHUNK {
                total[lane] = fma::<FMA>(weights[slot], value[lane], total[lane]);
            }
        }
        *sums = total;
    }
}

#[cfg(test)]
#[path = "attention_tests.rs"]
mod tests;
