//! Scheduling: which tokens of which sequences the next step computes.

mod embedder;
#[cfg(test)]
mod fake;
mod scheduler;
mod sequence;

pub use embedder::{EmbedJob, run_embedder};
pub use scheduler::{Scheduler, SchedulerConfig};
pub use sequence::{FinishReason, Sequence, SequenceRequest, TokenEvent};
