//! Products of activations with stored weights.
#![allow(unsafe_code, reason = "tasks write disjoint columns of one output; see `Parts`")]

use std::cell::RefCell;
use std::ops::Range;

use super::isa::multiversion;
use super::threads::{Parts, Pool};
use super::{Buffer, LANES, sum_lanes};
use crate::error::EngineError;
use crate::weights::blocks::{dequantise, fma};
use crate::weights::{Dtype, Tensor};

/// Weight rows that are brought to f32 at a time, to be used by all rows of the batch while they are in cache.
const TILE: usize = 16;
/// Rows of the batch that meet a row of weights together.
const ROWS: usize = 4;

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
    ) = product_body
}

#[inline(always)]
fn product_body<const FMA: bool>(
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
        for (n, w) in w.chunks_exact(cols).enumerate() {
            if rows == ROWS {
                let row = |m: usize| &xs[m * cols..(m + 1) * cols];
                [sums[0][n], sums[1][n], sums[2][n], sums[3][n]] = dots_4::<FMA>(w, row(0), row(1), row(2), row(3));
            } else {
                for (sums, x) in sums.iter_mut().zip(xs.chunks_exact(cols)) {
                    [sums[n]] = dots_1::<FMA>(w, x);
                }
            }
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

/// The dot products of one row of weights with several rows. Each is summed in `LANES` interleaved lanes and then over
/// the lanes, an order that has nothing to do with how many rows there are: that is what makes results independent of
/// the batch. The rows have names because the compiler keeps an array of sums in memory.
macro_rules! dots {
    ($name:ident, $count:literal, $($x:ident),+) => {
        #[inline(always)]
        fn $name<const FMA: bool>(w: &[f32], $($x: &[f32]),+) -> [f32; $count] {
            let (w, w_rest) = w.as_chunks::<LANES>();
            let steps = w.len();
            $(
                let (chunks, rest) = $x.as_chunks::<LANES>();
                let chunks = &chunks[..steps];
                let mut $x = (chunks, rest, [0.0f32; LANES]);
            )+
            for step in 0..steps {
                $(
                    for lane in 0..LANES {
                        $x.2[lane] = fma::<FMA>($x.0[step][lane], w[step][lane], $x.2[lane]);
                    }
                )+
            }
            $(
                for ((sum, x), w) in $x.2.iter_mut().zip($x.1).zip(w_rest) {
                    *sum = fma::<FMA>(*x, *w, *sum);
                }
            )+
            [$(sum_lanes(&$x.2)),+]
        }
    };
}
dots!(dots_1, 1, a);
dots!(dots_4, 4, a, b, c, d);
