//! A decoder that runs.

use std::sync::Arc;

use super::text_work::TextWork;
use super::{ChoiceStream, Queue, outside_vocabulary};
use crate::error::EngineError;
use crate::exec::{BLOCK_TOKENS, Generator};
use crate::metrics::Metrics;
use crate::request::wire::Message;
use crate::request::{Generation, Prompt};
use crate::sched::{Sequence, SequenceRequest};
use crate::text::Codec;

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
    pub(super) fn of(generator: &dyn Generator) -> Self {
        let shape = generator.shape();
        let pool = shape.kv_blocks * BLOCK_TOKENS;
        Limits { context: shape.max_context, vocab: shape.vocab, pool }
    }

    /// Longest sequence in tokens that this engine can run.
    pub fn longest(&self) -> usize {
        self.context.min(self.pool)
    }

    /// Longest answer for a prompt of this length; what was asked for, or all that fits.
    fn answer(&self, prompt: usize, asked: Option<usize>) -> Result<usize, EngineError> {
        let most = self.longest();
        // Clients know a context that is too short by vLLM's and OpenAI's words.
        let what = if self.pool < self.context {
            format!("this engine's KV cache holds {most} tokens (see --kv-bytes)")
        } else {
            format!("this model's maximum context length is {most} tokens")
        };
        let room = most.saturating_sub(prompt);
        if room == 0 {
            let message = format!("{what}; the prompt alone has {prompt}, and the answer needs one at least");
            return Err(EngineError::Request { param: None, message });
        }
        match asked {
            Some(asked) if asked > room => {
                let sum = prompt.saturating_add(asked);
                let message = format!("{what}; {prompt} of the prompt + max_tokens {asked} = {sum}");
                Err(EngineError::Request { param: Some("max_tokens"), message })
            }
            _ => Ok(asked.unwrap_or(room)),
        }
    }
}

/// A decoder that runs.
pub struct GeneratorEngine {
    /// Its tokenizer and chat template.
    pub codec: Arc<Codec>,
    /// What one sequence may be.
    pub limits: Limits,
    queue: Queue<Sequence>,
    text_work: TextWork,
    stop_tokens: Arc<[u32]>,
    metrics: Arc<Metrics>,
}

impl GeneratorEngine {
    pub(super) fn new(
        codec: Codec,
        limits: Limits,
        queue: Queue<Sequence>,
        stop_tokens: Vec<u32>,
        metrics: Arc<Metrics>,
    ) -> Self {
        let text_work = TextWork::new(queue.total);
        GeneratorEngine { codec: Arc::new(codec), limits, queue, text_work, stop_tokens: stop_tokens.into(), metrics }
    }

    /// Tokens of a chat.
    pub async fn chat(&self, messages: Vec<Message>) -> Result<Vec<u32>, EngineError> {
        let codec = self.codec.clone();
        self.text_work.run(move || codec.chat(&messages)).await
    }

    /// Tokens of plain prompts.
    pub async fn prompts(&self, prompts: Arc<[Prompt]>) -> Result<Vec<Vec<u32>>, EngineError> {
        let codec = self.codec.clone();
        self.text_work.run(move || prompts.iter().map(|prompt| codec.prompt(prompt)).collect()).await
    }

    /// Texts of plain prompts.
    pub async fn echoes(&self, prompts: Arc<[Prompt]>) -> Result<Vec<Arc<str>>, EngineError> {
        let codec = self.codec.clone();
        self.text_work.run(move || Ok(prompts.iter().map(|prompt| codec.echo(prompt)).collect())).await
    }

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
                streams.push(ChoiceStream::new(events, self.codec.table().clone(), request.stop.clone()));
            }
        }
        Ok(streams)
    }

    fn check_tokens(&self, prompt: &[u32], request: &Generation) -> Result<(), EngineError> {
        let vocab = self.limits.vocab;
        if prompt.is_empty() {
            return Err(EngineError::Request { param: Some("prompt"), message: "the prompt has no tokens".into() });
        }
        if let Some(&token) = prompt.iter().find(|&&token| token as usize >= vocab) {
            return Err(outside_vocabulary("prompt", token, vocab));
        }
        match request.sampling.logit_bias.iter().find(|(token, _)| *token as usize >= vocab) {
            Some(&(token, _)) => Err(outside_vocabulary("logit_bias", token, vocab)),
            None => Ok(()),
        }
    }
}
