//! An encoder that runs.

use std::sync::Arc;

use tokenizers::Tokenizer;
use tokio::sync::oneshot;

use super::text_work::TextWork;
use super::{Queue, outside_vocabulary, stopped};
use crate::error::EngineError;
use crate::exec::Embedder;
use crate::metrics::Metrics;
use crate::request::Prompt;
use crate::sched::EmbedJob;
use crate::text;

/// Bytes of text for one token, far beyond what any language needs. More text is refused before its tokens are counted.
const MAX_TOKEN_BYTES: usize = 128;

/// An encoder that runs.
pub struct EmbedderEngine {
    /// Length of one embedding.
    pub dimensions: usize,
    /// Longest input in tokens, special tokens included.
    pub max_tokens: usize,
    tokenizer: Arc<Tokenizer>,
    vocab: usize,
    text_work: TextWork,
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
            vocab: embedder.vocab(),
            tokenizer: Arc::new(tokenizer),
            text_work: TextWork::new(queue.total),
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
                Prompt::Text(text) => {
                    check_bytes(at, &text, max_tokens)?;
                    text::encode(&tokenizer, "input", &text, true)?
                }
                Prompt::Tokens(tokens) => tokens,
            };
            check(at, tokens, max_tokens, vocab)
        };
        self.text_work.run(move || inputs.into_iter().enumerate().map(one).collect()).await
    }
}

fn refused(message: String) -> EngineError {
    EngineError::Request { param: Some("input"), message }
}

fn check_bytes(at: usize, text: &str, max_tokens: usize) -> Result<(), EngineError> {
    let (len, most) = (text.len(), max_tokens.saturating_mul(MAX_TOKEN_BYTES));
    if len > most {
        return Err(refused(format!(
            "input {at} has {len} bytes; for a model that takes {max_tokens} tokens {most} are the most"
        )));
    }
    Ok(())
}

fn check(at: usize, tokens: Vec<u32>, max_tokens: usize, vocab: usize) -> Result<Vec<u32>, EngineError> {
    if tokens.is_empty() {
        return Err(refused(format!("input {at} has no tokens")));
    }
    if tokens.len() > max_tokens {
        return Err(refused(format!("input {at} has {} tokens; the model takes {max_tokens}", tokens.len())));
    }
    match tokens.iter().find(|&&token| token as usize >= vocab) {
        Some(&token) => Err(outside_vocabulary("input", token, vocab)),
        None => Ok(tokens),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_would_end_the_embedder_does_not_reach_it() {
        assert_eq!(check(0, vec![0, 9], 2, 10).expect("valid"), [0, 9]);
        for tokens in [vec![], vec![10], vec![1; 3]] {
            assert!(check(0, tokens, 2, 10).is_err());
        }
    }
}
