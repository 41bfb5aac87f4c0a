//! `POST /v1/completions`.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use serde::Serialize;

use super::App;
use super::error::{ApiError, Body};
use super::generate::{self, Shape, Whole, finite, token_text};
use crate::engine::{Delta, DeltaToken};
use crate::request::wire::GenerationBody;
use crate::request::{CompletionRequest, Prompt};
use crate::sched::FinishReason;
use crate::text::TokenTable;

/// Completes prompts.
pub async fn create(State(app): State<Arc<App>>, Body(body): Body<GenerationBody>) -> Result<Response, ApiError> {
    let engine = app.generator(&body.model)?;
    let request = CompletionRequest::try_from(body)?;
    let given: Arc<[Prompt]> = request.prompts.into();
    let prompts = engine.prompts(given.clone()).await?;
    let choices = engine.submit(&prompts, &request.generation)?;
    // Only now is it known that the prompts are short enough to be repeated.
    let echoes = if request.echo { engine.echoes(given).await? } else { Vec::new() };
    let shape = Completion {
        table: engine.codec.table().clone(),
        logprobs: request.generation.sampling.logprobs.is_some(),
        echoes,
        n: request.generation.n,
        offsets: vec![0; choices.len()],
    };
    generate::answer(choices, &prompts, request.generation, shape).await
}

struct Completion {
    table: Arc<TokenTable>,
    logprobs: bool,
    /// Text before the answers of each prompt; none if it is not asked for.
    echoes: Vec<Arc<str>>,
    /// Choices of each prompt; at least 1.
    n: usize,
    /// Characters of each choice's tokens so far.
    offsets: Vec<usize>,
}

#[derive(Serialize)]
struct Choice {
    index: usize,
    text: String,
    logprobs: Option<Logprobs>,
    finish_reason: Option<FinishReason>,
}

#[derive(Default, Serialize)]
struct Logprobs {
    tokens: Vec<String>,
    token_logprobs: Vec<f32>,
    top_logprobs: Vec<BTreeMap<String, f32>>,
    /// In characters.
    text_offset: Vec<usize>,
}

impl Completion {
    fn echo(&self, index: usize) -> &str {
        self.echoes.get(index / self.n).map_or("", |echo| echo)
    }

    /// `offset`: where the first token begins; moved past the last.
    fn logprobs(&self, tokens: impl IntoIterator<Item = DeltaToken>, offset: &mut usize) -> Option<Logprobs> {
        let mut all = Logprobs::default();
        for DeltaToken { token, logprobs } in tokens {
            let text = token_text(&self.table, token);
            let mut top = BTreeMap::new();
            // Best first, so of several tokens that read alike the likeliest stands.
            for (token, logprob) in logprobs.top.into_iter().chain([(token, logprobs.chosen)]) {
                top.entry(token_text(&self.table, token)).or_insert_with(|| finite(logprob));
            }
            all.text_offset.push(*offset);
            *offset += text.chars().count();
            all.tokens.push(text);
            all.token_logprobs.push(finite(logprobs.chosen));
            all.top_logprobs.push(top);
        }
        self.logprobs.then_some(all)
    }
}

impl Shape for Completion {
    const ID_PREFIX: &str = "cmpl";
    const OBJECT: &str = "text_completion";
    const CHUNK_OBJECT: &str = "text_completion";
    type Choice = Choice;
    type ChunkChoice = Choice;

    fn whole(&self, index: usize, whole: Whole) -> Choice {
        let text = self.echo(index).to_owned() + &whole.text;
        Choice { index, text, logprobs: self.logprobs(whole.tokens, &mut 0), finish_reason: whole.finish }
    }

    fn opening(&self, index: usize) -> Option<Choice> {
        let text = self.echo(index).to_owned();
        (!text.is_empty()).then_some(Choice { index, text, logprobs: None, finish_reason: None })
    }

    fn piece(&mut self, index: usize, delta: Delta) -> Choice {
        let mut offset = self.offsets.get(index).copied().unwrap_or_default();
        let logprobs = delta.token.and_then(|token| self.logprobs([token], &mut offset));
        if let Some(kept) = self.offsets.get_mut(index) {
            *kept = offset;
        }
        Choice { index, text: delta.text, logprobs, finish_reason: delta.finish }
    }
}
