//! A model that runs: where requests are handed in and answers come out.

use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;

use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};

use crate::error::EngineError;
use crate::load::{LoadedModel, ModelBody};
use crate::metrics::Metrics;
use crate::sched::{Scheduler, SchedulerConfig, run_embedder};
use crate::text::{ChatTemplate, Codec};

mod choice;
mod embedder;
mod generator;
mod text_work;

pub use choice::{ChoiceStream, Delta, DeltaToken};
pub use embedder::EmbedderEngine;
pub use generator::{GeneratorEngine, Limits};

/// How the engine shares its model between requests.
#[derive(Debug, Clone, Copy)]
pub struct EngineConfig {
    /// Rows of a step at most.
    pub max_batch_tokens: usize,
    /// Sequences in the running batch at most.
    pub max_running: usize,
    /// Sequences (embedding requests) that may wait; one more is told to come back.
    pub queue: usize,
}

/// A model that runs.
pub enum Engine {
    /// Writes text.
    Generator(Box<GeneratorEngine>),
    /// Turns text into vectors.
    Embedder(EmbedderEngine),
}

/// Resolves when the engine's thread has ended: with its error, or closed without a value if it panicked.
pub type Ended = oneshot::Receiver<Result<(), EngineError>>;

impl Engine {
    /// Starts the thread that owns the model. `path` is named in errors.
    pub fn start(
        path: &Path,
        model: LoadedModel,
        config: EngineConfig,
        metrics: Arc<Metrics>,
    ) -> Result<(Engine, Ended), EngineError> {
        match model.body {
            ModelBody::Decoder(generator) => {
                let template = model
                    .chat_template
                    .map(|source| ChatTemplate::new(path, source, model.bos_token, model.eos_token))
                    .transpose()?;
                let limits = Limits::of(generator.as_ref());
                let codec = Codec::new(model.tokenizer, template, model.add_bos, limits.vocab, limits.context);
                let (queue, arrivals) = Queue::new(config.queue);
                let sizes =
                    SchedulerConfig { max_batch_tokens: config.max_batch_tokens, max_running: config.max_running };
                let scheduler = Scheduler::new(generator, arrivals, sizes, metrics.clone());
                let ended = spawn("scheduler", move || scheduler.run())?;
                let engine = GeneratorEngine::new(codec, limits, queue, model.stop_tokens, metrics);
                Ok((Engine::Generator(Box::new(engine)), ended))
            }
            ModelBody::Encoder(mut embedder) => {
                let (queue, arrivals) = Queue::new(config.queue);
                let engine = EmbedderEngine::new(embedder.as_ref(), model.tokenizer, queue, metrics);
                let ended =
                    spawn("embedder", move || run_embedder(embedder.as_mut(), &arrivals, config.max_batch_tokens))?;
                Ok((Engine::Embedder(engine), ended))
            }
        }
    }
}

fn spawn(name: &str, work: impl FnOnce() -> Result<(), EngineError> + Send + 'static) -> Result<Ended, EngineError> {
    let (sender, ended) = oneshot::channel();
    let body = move || {
        // A panic in here drops the sender, which says as much.
        let _ = sender.send(work());
    };
    thread::Builder::new()
        .name(name.into())
        .spawn(body)
        .map_err(|error| EngineError::Internal(format!("cannot start the {name} thread: {error}")))?;
    Ok(ended)
}

fn outside_vocabulary(param: &'static str, token: u32, vocab: usize) -> EngineError {
    let message = format!("token {token} is outside the vocabulary of {vocab}");
    EngineError::Request { param: Some(param), message }
}

fn stopped() -> EngineError {
    EngineError::Internal("the engine has stopped".into())
}

/// The way to an engine's thread; bounded by places.
struct Queue<J> {
    jobs: SyncSender<J>,
    places: Arc<Semaphore>,
    total: usize,
}

impl<J> Queue<J> {
    /// A queue of `places`, and the engine's end of it.
    fn new(places: usize) -> (Self, Receiver<J>) {
        // Every job holds at least one place, so the channel is never full.
        let (jobs, arrivals) = sync_channel(places);
        (Queue { jobs, places: Arc::new(Semaphore::new(places)), total: places }, arrivals)
    }

    /// `wanted` places at once, or none.
    fn places(&self, wanted: usize) -> Result<OwnedSemaphorePermit, EngineError> {
        if wanted > self.total {
            let message = format!("the request has {wanted} choices; this engine takes {} (see --queue)", self.total);
            return Err(EngineError::Request { param: Some("n"), message });
        }
        let count = u32::try_from(wanted).unwrap_or(u32::MAX);
        self.places.clone().try_acquire_many_owned(count).map_err(|_| {
            let free = self.places.available_permits();
            EngineError::Busy(format!("the queue has {free} free places and the request needs {wanted}; try again"))
        })
    }

    fn send(&self, job: J) -> Result<(), EngineError> {
        self.jobs.try_send(job).map_err(|_| stopped())
    }
}
