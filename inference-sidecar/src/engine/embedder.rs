//! An encoder that runs.

use std::sync::Arc;

use tokenizers::Tokenizer;
use tokio::sync::oneshot;

use super::{Queue, off_thread, outside_vocabulary, stopped};
use crate::error::EngineError;
use crate::exec::Embedder;
use crate::metrics::Metrics;
use crate::request::Prompt;
use crate::sched::EmbedJob;
use crate::text;

/// An encoder that runs.
pub struct EmbedderEngine {
    /// Length of one embedding.
    pub dimensions: usize,
    /// Longest input in tokens, special tokens included.
    pub max_tokens: usize,
    tokenizer: Arc<Tokenizer>,
    vocab: usize,
    queue: Queue<EmbedJob>,
    metrics: Arc<Metrics>,
}

impl EmbedderEngine {
    pub(super) fn new(
        embedder: &dyn Embedder,
        tokenizer: Tokenizer,
        queue: Queue<EmbedJob>,
        metrics: Arc<Metrics>,
    ) -> Self {
        EmbedderEngine {
            dimensions: embedder.dimensions(),
            max_tokens: embedder.max_tokens(),
            vocab: tokenizer.get_vocab_size(true),
            tokenizer: Arc::new(tokenizer),
            queue,
            metrics,
        }
    }

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

    async fn tokenize(&self, inputs: Vec<Prompt>) -> Result<Vec<Vec<u32>>, EngineError> {
        let (tokenizer, max_tokens, vocab) = (self.tokenizer.clone(), self.max_tokens, self.vocab);
        let one = move |(at, input)| {
            let tokens = match input {
                Prompt::Text(text) => text::encode(&tokenizer, "input", &text, true)?,
                Prompt::Tokens(tokens) => tokens,
            };
            check(at, tokens, max_tokens, vocab)
        };
        off_thread(move || inputs.into_iter().enumerate().map(one).collect()).await
    }
}

fn check(at: usize, tokens: Vec<u32>, max_tokens: usize, vocab: usize) -> Result<Vec<u32>, EngineError> {
    if tokens.len() > max_tokens {
        let message = format!("input {at} has {} tokens; the model takes {max_tokens}", tokens.len());
        return Err(EngineError::Request { param: Some("input"), message });
    }
    match tokens.iter().find(|&&token| token as usize >= vocab) {
        Some(&token) => Err(outside_vocabulary("input", token, vocab)),
        None => Ok(tokens),
    }
}
