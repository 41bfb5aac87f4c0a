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

/// Runs until every sender of jobs is gone. A batch holds up to `max_batch_tokens` tokens, or one longer input. The open
/// jobs take turns, input by input, so a long one holds up nobody.
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
        let Batch { inputs, owners } = take_batch(&mut open, max_batch_tokens);
        if inputs.is_empty() {
            continue;
        }
        let embeddings = embedder.embed(&inputs)?;
        if embeddings.len() != inputs.len() {
            let (got, wanted) = (embeddings.len(), inputs.len());
            return Err(EngineError::Internal(format!("the model returned {got} embeddings for {wanted} inputs")));
        }
        for (owner, embedding) in owners.into_iter().zip(embeddings) {
            if let Some(job) = open.get_mut(owner) {
                job.done.push(embedding);
            }
        }
        for _ in 0..open.len() {
            match open.pop_front() {
                // A client who has left needs no answer.
                Some(job) if job.done.len() == job.job.inputs.len() => drop(job.job.reply.send(job.done)),
                Some(job) => open.push_back(job),
                None => {}
            }
        }
    }
}

/// Inputs that run together, and which of the open jobs each belongs to.
#[derive(Default)]
struct Batch {
    inputs: Vec<Vec<u32>>,
    owners: Vec<usize>,
}

/// Takes one input of each job in turn. Whose turn it is next stands first in `open` afterwards, before the batch's
/// owners are numbered.
fn take_batch(open: &mut VecDeque<Open>, max_batch_tokens: usize) -> Batch {
    let (mut batch, mut tokens, mut turn, mut exhausted) = (Batch::default(), 0, 0, 0);
    let jobs = open.len();
    while exhausted < jobs {
        let owner = turn % jobs;
        let Some(job) = open.get_mut(owner) else { break };
        if let Some(input) = job.job.inputs.get_mut(job.taken) {
            if !batch.inputs.is_empty() && tokens + input.len() > max_batch_tokens {
                break;
            }
            tokens += input.len();
            batch.inputs.push(std::mem::take(input));
            batch.owners.push(owner);
            job.taken += 1;
            exhausted = 0;
        } else {
            exhausted += 1;
        }
        turn += 1;
    }
    if jobs > 0 {
        let first = turn % jobs;
        open.rotate_left(first);
        batch.owners.iter_mut().for_each(|owner| *owner = (*owner + jobs - first) % jobs);
    }
    batch
}

#[cfg(test)]
#[path = "embedder_tests.rs"]
mod tests;
