//! Rotary embedding.

use crate::backend::{Rope, RopePairs};
use crate::exec::RaggedBatch;

/// The rotations of every row of a step.
pub struct Turns {
    pairs: RopePairs,
    count: usize,
    /// `[row, pair]`: cosine and sine.
    turns: Vec<(f32, f32)>,
}

impl Turns {
    pub fn new(batch: &RaggedBatch, rope: &Rope) -> Self {
        let positions = batch.sequences.iter().flat_map(|s| s.context..s.context + s.rows.len());
        // The angle is rounded to f32 as in the reference implementation; at large positions that matters.
        let turn = |position: usize, frequency: f32| {
            let (sin, cos) = f64::from(position as f32 * frequency).sin_cos();
            (cos as f32, sin as f32)
        };
        let turns = positions.flat_map(|p| rope.frequencies.iter().map(move |&f| turn(p, f))).collect();
        Self { pairs: rope.pairs, count: rope.frequencies.len(), turns }
    }

    /// Turns one head of this row.
    pub fn turn(&self, row: usize, head: &mut [f32]) {
        let turns = &self.turns[row * self.count..(row + 1) * self.count];
        match self.pairs {
            RopePairs::Neighbours => {
                for (pair, turn) in head.chunks_exact_mut(2).zip(turns) {
                    (pair[0], pair[1]) = turned(pair[0], pair[1], *turn);
                }
            }
            RopePairs::Halves => {
                let (left, right) = head.split_at_mut(self.count);
                for ((a, b), turn) in left.iter_mut().zip(right).zip(turns) {
                    (*a, *b) = turned(*a, *b, *turn);
                }
            }
        }
    }
}

#[inline(always)]
fn turned(a: f32, b: f32, (cos, sin): (f32, f32)) -> (f32, f32) {
    (a * cos - b * sin, b * cos + a * sin)
}
