//! The step loop: continuous batching over a paged KV cache.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, TryRecvError};
use std::time::Instant;

use super::sequence::Sequence;
use crate::error::EngineError;
use crate::exec::{BLOCK_TOKENS, Generator, RaggedBatch, SequenceStep};
use crate::kv::BlockPool;
use crate::metrics::Metrics;
use crate::sample::Scratch;

/// Sizes of a step.
#[derive(Debug, Clone, Copy)]
pub struct SchedulerConfig {
    /// Rows of a step at most.
    pub max_batch_tokens: usize,
    /// Sequences in the running batch at most; never more than rows, so that no decode starves.
    pub max_running: usize,
}

/// Owns the generator and all sequences; runs on its own thread.
pub struct Scheduler {
    generator: Box<dyn Generator>,
    vocab: usize,
    arrivals: Receiver<Sequence>,
    waiting: VecDeque<Sequence>,
    /// Oldest admission first. All but the last have computed everything up to their newest token: a sequence is only
    /// admitted with rows that the others left over.
    running: Vec<Sequence>,
    pool: BlockPool,
    config: SchedulerConfig,
    metrics: Arc<Metrics>,
    batch: RaggedBatch,
    /// For each sequence of the batch, its index in `running` and whether its logits are wanted.
    planned: Vec<(usize, bool)>,
    logits: Vec<f32>,
    scratch: Scratch,
}

impl Scheduler {
    /// A scheduler of what comes out of `arrivals`. Every arrival fits the context and the pool on its own.
    pub fn new(
        generator: Box<dyn Generator>,
        arrivals: Receiver<Sequence>,
        config: SchedulerConfig,
        metrics: Arc<Metrics>,
    ) -> Self {
        let shape = generator.shape();
        let max_batch_tokens = config.max_batch_tokens.max(1);
        let max_running = config.max_running.clamp(1, max_batch_tokens);
        Scheduler {
            generator,
            vocab: shape.vocab,
            arrivals,
            waiting: VecDeque::new(),
            running: Vec::new(),
            pool: BlockPool::new(shape.kv_blocks),
            config: SchedulerConfig { max_batch_tokens, max_running },
            metrics,
            batch: RaggedBatch::default(),
            planned: Vec::new(),
            logits: Vec::new(),
            scratch: Scratch::default(),
        }
    }

    /// Steps until every sender of arrivals is gone and all sequences have ended. An error is the generator's: whoever
    /// still waits sees his channel close.
    pub fn run(mut self) -> Result<(), EngineError> {
        while self.receive() {
            self.turn()?;
        }
        Ok(())
    }

    /// One round at a token boundary.
    fn turn(&mut self) -> Result<(), EngineError> {
        self.drop_abandoned();
        self.plan();
        self.pool.check()?;
        // Before the step as well: whoever has seen a token finds its sequence in the gauges.
        self.report();
        self.step()?;
        self.report();
        Ok(())
    }

    /// Takes what has arrived; waits for something if there is nothing else to do. False: no more will come.
    fn receive(&mut self) -> bool {
        if self.running.is_empty() && self.waiting.is_empty() {
            match self.arrivals.recv() {
                Ok(sequence) => self.waiting.push_back(sequence),
                Err(_) => return false,
            }
        }
        loop {
            match self.arrivals.try_recv() {
                Ok(sequence) => self.waiting.push_back(sequence),
                Err(TryRecvError::Empty | TryRecvError::Disconnected) => return true,
            }
        }
    }

    fn drop_abandoned(&mut self) {
        let before = self.waiting.len() + self.running.len();
        self.waiting.retain(|sequence| !sequence.is_abandoned());
        let pool = &mut self.pool;
        self.running.retain_mut(|sequence| {
            let keep = !sequence.is_abandoned();
            if !keep {
                pool.release(&mut sequence.blocks);
            }
            keep
        });
        self.metrics.abandoned.inc_by((before - self.waiting.len() - self.running.len()) as u64);
    }

    /// Fills the batch: the running sequences first, oldest first, then new ones into the rows that are left.
    fn plan(&mut self) {
        self.batch.tokens.clear();
        self.batch.sequences.clear();
        self.batch.logit_rows.clear();
        self.planned.clear();
        let mut complete = true;
        let mut at = 0;
        while at < self.running.len() {
            complete &= self.place(at);
            at += 1;
        }
        // Admitting while someone is short of blocks or rows would only take from him.
        while complete && self.may_admit() {
            let Some(mut sequence) = self.waiting.pop_front() else { break };
            sequence.place = None;
            self.running.push(sequence);
            complete = self.place(self.running.len() - 1);
        }
    }

    fn may_admit(&self) -> bool {
        let Some(next) = self.waiting.front() else { return false };
        self.running.len() < self.config.max_running
            && self.batch.tokens.len() < self.config.max_batch_tokens
            && BlockPool::blocks_for(next.tokens.len()) <= self.pool.free()
    }

    /// Puts as many rows of running sequence `at` into the batch as rows and blocks allow, taking blocks from the newest
    /// sequences if need be. Without any it keeps what it has and sits the step out: an older one, which does get on,
    /// will free blocks. Returns whether it got all it wanted.
    fn place(&mut self, at: usize) -> bool {
        let left = self.config.max_batch_tokens - self.batch.tokens.len();
        let (context, wanted) = (self.running[at].computed, self.running[at].pending());
        let mut rows = wanted.min(left);
        while self.pool.grow(&mut self.running[at].blocks, context + rows) < context + rows {
            if self.running.len() - 1 == at {
                let room = self.running[at].blocks.len() * BLOCK_TOKENS;
                rows = room.saturating_sub(context);
                break;
            }
            self.preempt_newest();
        }
        if rows == 0 {
            return false;
        }
        let sequence = &mut self.running[at];
        let first = self.batch.tokens.len();
        self.batch.tokens.extend_from_slice(&sequence.tokens[context..context + rows]);
        let complete = rows == wanted;
        if complete {
            self.batch.logit_rows.push(first + rows - 1);
        }
        // The table is lent to the batch for the step.
        let blocks = std::mem::take(&mut sequence.blocks);
        self.batch.sequences.push(SequenceStep { rows: first..first + rows, context, blocks });
        self.planned.push((at, complete));
        complete
    }

    /// Takes the newest sequence's blocks and puts it at the head of the queue. Its tokens stay, so computing them anew
    /// leads to the same state.
    fn preempt_newest(&mut self) {
        let Some(mut newest) = self.running.pop() else { return };
        self.pool.release(&mut newest.blocks);
        newest.computed = 0;
        self.waiting.push_front(newest);
        self.metrics.preemptions.inc();
    }

    fn step(&mut self) -> Result<(), EngineError> {
        if self.planned.is_empty() {
            return Ok(());
        }
        self.generator.step(&self.batch, &mut self.logits)?;
        self.metrics.step_rows.observe(self.batch.tokens.len() as f64);
        let now = Instant::now();
        let mut rows = self.logits.chunks_exact_mut(self.vocab);
        for (step, &(at, wants_logits)) in self.batch.sequences.iter_mut().zip(&self.planned) {
            let sequence = &mut self.running[at];
            sequence.blocks = std::mem::take(&mut step.blocks);
            sequence.computed += step.rows.len();
            if !wants_logits {
                continue;
            }
            let Some(logits) = rows.next() else {
                return Err(EngineError::Internal("the model returned fewer rows of logits than asked for".into()));
            };
            sequence.advance(logits, &mut self.scratch);
            self.metrics.generation_tokens.inc();
            match sequence.last_token.replace(now) {
                None => self.metrics.first_token.observe((now - sequence.arrived).as_secs_f64()),
                Some(last) => self.metrics.inter_token.observe((now - last).as_secs_f64()),
            }
            if sequence.finished {
                self.metrics.finished.inc();
                self.metrics.whole.observe((now - sequence.arrived).as_secs_f64());
            }
        }
        let pool = &mut self.pool;
        self.running.retain_mut(|sequence| {
            if sequence.finished {
                pool.release(&mut sequence.blocks);
            }
            !sequence.finished
        });
        Ok(())
    }

    fn report(&self) {
        self.metrics.running.set(self.running.len() as i64);
        self.metrics.waiting.set(self.waiting.len() as i64);
        self.metrics.kv_usage.set(self.pool.usage());
    }
}

#[cfg(test)]
#[path = "scheduler_tests.rs"]
mod tests;
