//! What the control side asks of the data plane.

use std::sync::Arc;

use weirgate_config::snapshot::{Model, ModelId};

/// How far a catalogue model is on its way to answering requests.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Deployment {
    /// Starting, or loading its weights.
    Creating,
    /// Answers.
    Ready,
    /// Answered before and does not now; it is being started again.
    Recovering,
    /// Has never answered and its process has ended several times. The text says why, with the end of its log.
    Failed(String),
}

/// The running data plane. Calls return at once.
pub trait DataPlane: Send + Sync + 'static {
    /// Where a model stands. One that no served endpoint uses is started, and stopped again when nobody has asked for some seconds.
    fn deployment(&self, model: &Arc<Model>) -> Deployment;
    /// The series of one endpoint in Prometheus' text exposition format.
    fn metrics(&self, endpoint: &str) -> String;
    /// The last lines that a model's engine wrote, bounded; empty if it is not ours.
    fn log(&self, model: &ModelId) -> String;
    /// Accepts the store's tokens as they are from now on. Called after every change of them; may block.
    fn tokens_changed(&self);
    /// Serves the store's secrets as they are from now on. Called after every change of them; may block.
    fn secrets_changed(&self);
}
