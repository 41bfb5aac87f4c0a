//! The embedder's loop: inputs of several requests share a batch.

use std::collections::VecDeque;
use std::sync::mpsc::Receiver;

use tokio::sync::{OwnedSemaphorePermit, oneshot};

use crate::error::EngineError;
use crate::exec::Embedder;

/// One request for embeddings.
#[derive(Debug)]
pub struct EmbedJob {
    /// At least one; each fits the model.
    pub inputs: Vec<Vec<u32>>,
    /// Where the embeddings go, in the order of the inputs.
    pub reply: oneshot::Sender<Vec<Vec<f32>>>,
    /// Place in the queue.
    pub place: OwnedSemaphorePermit,
}

/// A job some of whose inputs may be done.
struct Open {
    job: EmbedJob,
    done: Vec<Vec<f32>>,
    /// Inputs that are done or in the current batch.
    taken: usize,
}

/// Runs until every sender of jobs is gone. A batch holds up to `max_batch_tokens` tokens, or one longer input; what a
/// long job does not get into one batch goes on in the next, and later jobs fill the rest.
pub fn run_embedder(
    embedder: &mut dyn Embedder,
    jobs: &Receiver<EmbedJob>,
    max_batch_tokens: usize,
) -> Result<(), EngineError> {
    let mut open: VecDeque<Open> = VecDeque::new();
    let begin = |job| Open { job, done: Vec::new(), taken: 0 };
    loop {
        if open.is_empty() {
            match jobs.recv() {
                Ok(job) => open.push_back(begin(job)),
                Err(_) => return Ok(()),
            }
        }
        open.extend(jobs.try_iter().map(begin));
        open.retain(|job| !job.job.reply.is_closed());
        let batch = take_batch(&mut open, max_batch_tokens);
        if batch.is_empty() {
            continue;
        }
        let embeddings = embedder.embed(&batch)?;
        if embeddings.len() != batch.len() {
            let (got, wanted) = (embeddings.len(), batch.len());
            return Err(EngineError::Internal(format!("the model returned {got} embeddings for {wanted} inputs")));
        }
        let mut embeddings = embeddings.into_iter();
        for job in &mut open {
            let wanted = job.taken - job.done.len();
            job.done.extend(embeddings.by_ref().take(wanted));
        }
        while open.front().is_some_and(|job| job.done.len() == job.job.inputs.len()) {
            if let Some(job) = open.pop_front() {
                // A client who has left needs no answer.
                let _ = job.job.reply.send(job.done);
            }
        }
    }
}

fn take_batch(open: &mut VecDeque<Open>, max_batch_tokens: usize) -> Vec<Vec<u32>> {
    let (mut batch, mut tokens) = (Vec::new(), 0);
    for job in open {
        for input in job.job.inputs.iter_mut().skip(job.taken) {
            if !batch.is_empty() && tokens + input.len() > max_batch_tokens {
                return batch;
            }
            tokens += input.len();
            batch.push(std::mem::take(input));
            job.taken += 1;
        }
    }
    batch
}

#[cfg(test)]
#[path = "embedder_tests.rs"]
mod tests;
