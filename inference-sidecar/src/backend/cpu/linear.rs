//! Products of activations with stored weights.
#![allow(unsafe_code, reason = "tasks write disjoint columns of one output; see `Parts`")]

use std::cell::RefCell;
use std::ops::Range;

use super::isa::multiversion;
#[cfg(target_arch = "x86_64")]
use super::lanes::{Avx2, Avx512};
use super::lanes::{Lanes, Plain};
use super::threads::{Parts, Pool};
use super::{Buffer, LANES, sum_lanes};
use crate::error::EngineError;
use crate::weights::blocks::dequantise;
use crate::weights::{Dtype, Tensor};

/// Weight rows that are brought to f32 at a time, to be used by all rows of the batch while they are in cache.
const TILE: usize = 16;
/// Rows of the batch that meet a tile together, two rows of weights at a time: six sums of `LANES`, which with AVX2 fill
/// twelve of sixteen registers.
const ROWS: usize = 3;

/// Stacked weight matrices over the same columns, with the bias of all.
pub struct Matrix {
    parts: Vec<Tensor>,
    bias: Option<Vec<f32>>,
    rows: usize,
    cols: usize,
    tiles: Vec<Tile>,
}

/// Some rows of one part, and the column of the output at which they start.
struct Tile {
    part: usize,
    rows: Range<usize>,
    column: usize,
}

impl Matrix {
    pub fn new(parts: Vec<Tensor>, bias: Option<Vec<f32>>) -> Result<Self, EngineError> {
        let cols = parts.first().map_or(0, Tensor::cols);
        let rows: usize = parts.iter().map(Tensor::rows).sum();
        if cols == 0 || parts.iter().any(|part| part.cols() != cols) || bias.as_ref().is_some_and(|b| b.len() != rows) {
            return Err(EngineError::Internal("stacked matrices of different widths".into()));
        }
        if !cols.is_multiple_of(LANES) {
            let what = format!("matrices of {cols} columns are not supported; multiples of {LANES} are");
            return Err(EngineError::Internal(what));
        }
        let mut tiles = Vec::new();
        let mut column = 0;
        for (part, tensor) in parts.iter().enumerate() {
            for start in (0..tensor.rows()).step_by(TILE) {
                let rows = start..tensor.rows().min(start + TILE);
                tiles.push(Tile { part, column: column + start, rows });
            }
            column += tensor.rows();
        }
        Ok(Self { parts, bias, rows, cols, tiles })
    }

    /// Adds row `id` to `out`, rows counted over all parts.
    pub fn add_row(&self, id: usize, row: &mut Vec<f32>, out: &mut [f32]) {
        let mut id = id;
        for part in &self.parts {
            if id < part.rows() {
                row.resize(self.cols, 0.0);
                dequantise::<false>(part.dtype(), part.row_bytes(id..id + 1), row);
                out.iter_mut().zip(&*row).for_each(|(out, value)| *out += value);
                return;
            }
            id -= part.rows();
        }
    }

    pub fn cols(&self) -> usize {
        self.cols
    }
}

thread_local! {
    /// A tile of weights as f32.
    static SCRATCH: RefCell<Vec<f32>> = const { RefCell::new(Vec::new()) };
}

/// `out = x · weightᵀ + bias`.
pub fn linear(pool: &mut Pool, x: &Buffer, weight: &Matrix, out: &mut Buffer) {
    let width = weight.rows;
    let out = out.reset(x.rows(), width);
    if out.is_empty() {
        return;
    }
    let out = Parts::of(out);
    pool.run(weight.tiles.len(), |task| {
        let tile = &weight.tiles[task];
        let part = &weight.parts[tile.part];
        let count = tile.rows.len();
        let bias = weight.bias.as_deref().map(|bias| &bias[tile.column..tile.column + count]);
        SCRATCH.with_borrow_mut(|scratch| {
            scratch.resize(TILE * weight.cols, 0.0);
            let scratch = &mut scratch[..count * weight.cols];
            unpack(part.dtype(), part.row_bytes(tile.rows.clone()), scratch);
            product(x.data(), scratch, weight.cols, bias, &out, width, tile.column);
        });
    });
}

multiversion! {
    fn unpack(dtype: Dtype, bytes: &[u8], out: &mut [f32]) = dequantise
}

multiversion! {
    /// `out[m, column + n] = x[m] · w[n] + bias[n]`, for `x` and `w` of rows of `cols`; `out` is `width` wide.
    fn product(
        x: &[f32],
        w: &[f32],
        cols: usize,
        bias: Option<&[f32]>,
        out: &Parts<'_>,
        width: usize,
        column: usize,
    ) = product_body, forms: Plain, Avx2, Avx512
}

#[inline(always)]
fn product_body<L: Lanes>(
    x: &[f32],
    w: &[f32],
    cols: usize,
    bias: Option<&[f32]>,
    out: &Parts<'_>,
    width: usize,
    column: usize,
) {
    let count = w.len() / cols;
    let mut sums = [[0.0; TILE]; ROWS];
    for (group, xs) in x.chunks(ROWS * cols).enumerate() {
        let rows = xs.len() / cols;
        match rows {
            // With a single row, more rows of weights, so that the sums do not wait for themselves.
            1 => rows_body::<L, 1, 4>(xs, w, cols, &mut sums),
            2 => rows_body::<L, 2, 2>(xs, w, cols, &mut sums),
            _ => rows_body::<L, ROWS, 2>(xs, w, cols, &mut sums),
        }
        for (row, sums) in sums.iter().take(rows).enumerate() {
            let start = (group * ROWS + row) * width + column;
            // SAFETY: each task has its own columns.
            let out = unsafe { out.part(start..start + count) };
            match bias {
                Some(bias) => out.iter_mut().zip(sums).zip(bias).for_each(|((out, sum), bias)| *out = sum + bias),
                None => out.iter_mut().zip(sums).for_each(|(out, sum)| *out = *sum),
            }
        }
    }
}

/// `sums[m][n] = xs[m] · w[n]`, `N` rows of `w` at a time.
#[inline(always)]
fn rows_body<L: Lanes, const M: usize, const N: usize>(
    xs: &[f32],
    w: &[f32],
    cols: usize,
    sums: &mut [[f32; TILE]; ROWS],
) {
    let xs: [&[f32]; M] = std::array::from_fn(|m| &xs[m * cols..(m + 1) * cols]);
    for (group, ws) in w.chunks(N * cols).enumerate() {
        let n = group * N;
        if ws.len() == N * cols {
            let ws: [&[f32]; N] = std::array::from_fn(|n| &ws[n * cols..(n + 1) * cols]);
            let dots = dots::<L, M, N>(xs, ws);
            for m in 0..M {
                sums[m][n..n + N].copy_from_slice(&dots[m]);
            }
        } else {
            for (n, w) in (n..).zip(ws.chunks_exact(cols)) {
                let dots = dots::<L, M, 1>(xs, [w]);
                for m in 0..M {
                    sums[m][n] = dots[m][0];
                }
            }
        }
    }
}

/// The dot products of `M` rows with `N` rows. Each is summed in interleaved lanes and then over the lanes, an order
/// that has nothing to do with `M` and `N`: that is what makes results independent of the batch.
#[inline(always)]
fn dots<L: Lanes, const M: usize, const N: usize>(xs: [&[f32]; M], ws: [&[f32]; N]) -> [[f32; N]; M] {
    let steps = ws[0].len() / LANES;
    let mut sums = [[L::zero(); N]; M];
    let (mut x_at, mut w_at) = ([std::ptr::null::<[f32; LANES]>(); M], [std::ptr::null::<[f32; LANES]>(); N]);
    for m in 0..M {
        x_at[m] = xs[m][..steps * LANES].as_ptr().cast();
    }
    for n in 0..N {
        w_at[n] = ws[n][..steps * LANES].as_ptr().cast();
    }
    for step in 0..steps {
        for m in 0..M {
            for n in 0..N {
                // SAFETY: each row was just cut to `steps` chunks. A check at every access would cost as much as the
                // product itself.
                let (x, w) = unsafe { (&*x_at[m].add(step), &*w_at[n].add(step)) };
                sums[m][n] = sums[m][n].add_product(x, w);
            }
        }
    }
    let mut out = [[0.0; N]; M];
    for m in 0..M {
        for n in 0..N {
            out[m][n] = sum_lanes(&sums[m][n].array());
        }
    }
    out
}

#[cfg(test)]
#[path = "linear_tests.rs"]
mod tests;
