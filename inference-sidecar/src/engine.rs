//! A model that runs: where requests are handed in and answers come out.

use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::thread;

use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};

use crate::error::EngineError;
use crate::exec::{BLOCK_TOKENS, Generator};
use crate::load::{LoadedModel, ModelBody};
use crate::metrics::Metrics;
use crate::request::{Generation, Prompt};
use crate::sched::{EmbedJob, Scheduler, SchedulerConfig, Sequence, SequenceRequest, run_embedder};
use crate::text::{self, ChatTemplate, Codec};

mod choice;

pub use choice::{ChoiceStream, Delta, DeltaToken};

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
        let places = Arc::new(Semaphore::new(config.queue));
        match model.body {
            ModelBody::Decoder(generator) => {
                let limits = Limits::of(generator.as_ref());
                let template = model
                    .chat_template
                    .map(|source| ChatTemplate::new(path, source, model.bos_token, model.eos_token))
                    .transpose()?;
                let text = Codec::new(model.tokenizer, template, model.add_bos, limits.context);
                // Every message holds at least one place, so the channel is never full.
                let (jobs, arrivals) = sync_channel(config.queue);
                let sizes =
                    SchedulerConfig { max_batch_tokens: config.max_batch_tokens, max_running: config.max_running };
                let scheduler = Scheduler::new(generator, arrivals, sizes, metrics.clone());
                let ended = spawn("scheduler", move || scheduler.run())?;
                let stop_tokens = model.stop_tokens.into();
                let queue = Queue { jobs, places };
                let engine = GeneratorEngine { text, queue, limits, stop_tokens, metrics };
                Ok((Engine::Generator(Box::new(engine)), ended))
            }
            ModelBody::Encoder(mut embedder) => {
                let (max_tokens, dimensions) = (embedder.max_tokens(), embedder.dimensions());
                let vocab = model.tokenizer.get_vocab_size(true);
                let (jobs, arrivals) = sync_channel(config.queue);
                let ended =
                    spawn("embedder", move || run_embedder(embedder.as_mut(), &arrivals, config.max_batch_tokens))?;
                let tokenizer = Arc::new(model.tokenizer);
                let queue = Queue { jobs, places };
                let engine = EmbedderEngine { tokenizer, queue, max_tokens, dimensions, vocab, metrics };
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

fn stopped() -> EngineError {
    EngineError::Internal("the engine has stopped".into())
}

/// The way to an engine's thread; bounded by places.
struct Queue<J> {
    jobs: SyncSender<J>,
    places: Arc<Semaphore>,
}

impl<J> Queue<J> {
    /// `wanted` places at once, or none.
    fn places(&self, wanted: usize) -> Result<OwnedSemaphorePermit, EngineError> {
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

/// What one sequence may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Prompt and answer together, in tokens.
    pub context: usize,
    /// Entries in the vocabulary.
    pub vocab: usize,
    /// Tokens that the KV pool holds.
    pool: usize,
}

impl Limits {
    fn of(generator: &dyn Generator) -> Self {
        let shape = generator.shape();
        let pool = shape.kv_blocks * BLOCK_TOKENS;
        Limits { context: shape.max_context, vocab: shape.vocab, pool }
    }

    /// Longest answer for a prompt of this length; what was asked for, or all that fits.
    fn answer(&self, prompt: usize, asked: Option<usize>) -> Result<usize, EngineError> {
        let (most, what) =
            if self.pool < self.context { (self.pool, "KV cache (see --kv-bytes)") } else { (self.context, "context") };
        let room = most.saturating_sub(prompt);
        if room == 0 {
            let message = format!("the prompt has {prompt} tokens; the model's {what} holds {most}, answer included");
            return Err(EngineError::Request { param: None, message });
        }
        match asked {
            Some(asked) if asked > room => {
                let sum = prompt.saturating_add(asked);
                let message =
                    format!("{prompt} prompt tokens + max_tokens {asked} = {sum}; the model's {what} holds {most}");
                Err(EngineError::Request { param: Some("max_tokens"), message })
            }
            _ => Ok(asked.unwrap_or(room)),
        }
    }
}

/// A decoder that runs.
pub struct GeneratorEngine {
    /// Its tokenizer and chat template.
    pub text: Codec,
    /// What one sequence may be.
    pub limits: Limits,
    queue: Queue<Sequence>,
    stop_tokens: Arc<[u32]>,
    metrics: Arc<Metrics>,
}

impl GeneratorEngine {
    /// Hands in `n` sequences for each prompt, all or none. The streams are in order of prompt, then choice.
    pub fn submit(&self, prompts: &[Vec<u32>], request: &Generation) -> Result<Vec<ChoiceStream>, EngineError> {
        let mut answers = Vec::with_capacity(prompts.len());
        for prompt in prompts {
            self.check_tokens(prompt, request)?;
            answers.push(self.limits.answer(prompt.len(), request.max_tokens)?);
        }
        let mut places = self.queue.places(prompts.len() * request.n)?;
        let mut streams = Vec::with_capacity(prompts.len() * request.n);
        for (prompt, max_tokens) in prompts.iter().zip(answers) {
            self.metrics.prompt_tokens.inc_by(prompt.len() as u64);
            for choice in 0..request.n {
                let stop_tokens = if request.ignore_eos { Arc::default() } else { self.stop_tokens.clone() };
                let wanted = SequenceRequest {
                    prompt: prompt.clone(),
                    max_tokens,
                    stop_tokens,
                    seed: request.sampling.seed_of(choice),
                    sampling: request.sampling.clone(),
                };
                let (sequence, events) = Sequence::new(wanted, places.split(1));
                self.queue.send(sequence)?;
                streams.push(ChoiceStream::new(events, self.text.table().clone(), request.stop.clone()));
            }
        }
        Ok(streams)
    }

    fn check_tokens(&self, prompt: &[u32], request: &Generation) -> Result<(), EngineError> {
        let vocab = self.limits.vocab;
        let refused = |param, message| Err(EngineError::Request { param: Some(param), message });
        if prompt.is_empty() {
            return refused("prompt", "the prompt has no tokens".into());
        }
        if let Some(token) = prompt.iter().find(|&&token| token as usize >= vocab) {
            return refused("prompt", format!("token {token} is outside the vocabulary of {vocab}"));
        }
        if let Some((token, _)) = request.sampling.logit_bias.iter().find(|(token, _)| *token as usize >= vocab) {
            return refused("logit_bias", format!("token {token} is outside the vocabulary of {vocab}"));
        }
        Ok(())
    }
}

/// An encoder that runs.
pub struct EmbedderEngine {
    /// Length of one embedding.
    pub dimensions: usize,
    /// Longest input in tokens, special tokens included.
    pub max_tokens: usize,
    tokenizer: Arc<tokenizers::Tokenizer>,
    vocab: usize,
    queue: Queue<EmbedJob>,
    metrics: Arc<Metrics>,
}

impl EmbedderEngine {
    /// One embedding for each input, and the tokens that went in.
    pub async fn embed(&self, inputs: Vec<Prompt>) -> Result<(Vec<Vec<f32>>, usize), EngineError> {
        let place = self.queue.places(1)?;
        let inputs = self.tokenize(inputs).await?;
        let tokens = inputs.iter().map(Vec::len).sum();
        self.metrics.prompt_tokens.inc_by(tokens as u64);
        let (reply, answer) = oneshot::channel();
        self.queue.send(EmbedJob { inputs, reply, place })?;
        Ok((answer.await.map_err(|_| stopped())?, tokens))
    }

    /// Off the request threads: one request may bring megabytes of text.
    async fn tokenize(&self, inputs: Vec<Prompt>) -> Result<Vec<Vec<u32>>, EngineError> {
        let (tokenizer, max_tokens, vocab) = (self.tokenizer.clone(), self.max_tokens, self.vocab);
        let work = move || {
            let one = |(at, input)| {
                let tokens = match input {
                    Prompt::Text(text) => text::encode(&tokenizer, "input", &text, true)?,
                    Prompt::Tokens(tokens) => tokens,
                };
                check_input(at, &tokens, max_tokens, vocab)?;
                Ok(tokens)
            };
            inputs.into_iter().enumerate().map(one).collect()
        };
        let done = tokio::task::spawn_blocking(work).await;
        done.map_err(|error| EngineError::Internal(format!("tokenizing failed: {error}")))?
    }
}

fn check_input(at: usize, tokens: &[u32], max_tokens: usize, vocab: usize) -> Result<(), EngineError> {
    let refused = |message| Err(EngineError::Request { param: Some("input"), message });
    if tokens.len() > max_tokens {
        return refused(format!("input {at} has {} tokens; the model takes {max_tokens}", tokens.len()));
    }
    match tokens.iter().find(|&&token| token as usize >= vocab) {
        Some(token) => refused(format!("input {at}: token {token} is outside the vocabulary of {vocab}")),
        None => Ok(()),
    }
}
