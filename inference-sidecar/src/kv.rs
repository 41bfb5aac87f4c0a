//! The pool of KV blocks, as the scheduler sees it: numbers, handed out on demand and taken back.

use crate::error::EngineError;
use crate::exec::{BLOCK_TOKENS, BlockId};

/// Which blocks of the generator's pool are free.
#[derive(Debug)]
pub struct BlockPool {
    free: Vec<BlockId>,
    total: usize,
}

impl BlockPool {
    /// A pool whose `total` blocks are all free.
    pub fn new(total: usize) -> Self {
        // Low numbers leave first, so a lightly loaded engine touches little memory.
        let free = (0..total as BlockId).rev().collect();
        BlockPool { free, total }
    }

    /// Blocks that hold `tokens` tokens.
    pub fn blocks_for(tokens: usize) -> usize {
        tokens.div_ceil(BLOCK_TOKENS)
    }

    /// Blocks in use.
    pub fn used(&self) -> usize {
        self.total.saturating_sub(self.free.len())
    }

    /// Blocks that nobody holds.
    pub fn free(&self) -> usize {
        self.free.len()
    }

    /// Share of the pool in use, 0 to 1.
    pub fn usage(&self) -> f64 {
        if self.total == 0 { 0.0 } else { self.used() as f64 / self.total as f64 }
    }

    /// Extends `table` until it holds `tokens` tokens or the pool is empty. Returns how many tokens it holds then.
    pub fn grow(&mut self, table: &mut Vec<BlockId>, tokens: usize) -> usize {
        while table.len() < Self::blocks_for(tokens) {
            match self.free.pop() {
                Some(block) => table.push(block),
                None => break,
            }
        }
        table.len() * BLOCK_TOKENS
    }

    /// Takes back every block of `table`.
    pub fn release(&mut self, table: &mut Vec<BlockId>) {
        self.free.append(table);
    }

    /// An error if more came back than was handed out: going on could give one block to two sequences.
    pub fn check(&self) -> Result<(), EngineError> {
        if self.free.len() > self.total {
            let message = format!("{} of {} KV blocks are free: one was given back twice", self.free.len(), self.total);
            return Err(EngineError::Internal(message));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_block_given_back_twice_is_noticed() {
        let mut pool = BlockPool::new(2);
        let mut table = Vec::new();
        pool.grow(&mut table, 1);
        let mut copy = table.clone();
        pool.release(&mut table);
        assert!(pool.check().is_ok());
        pool.release(&mut copy);
        assert!(pool.check().is_err());
    }
}
