//! `POST /v1/chat/completions`.

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use serde::Serialize;

use super::App;
use super::error::{ApiError, Body};
use super::generate::{self, Shape, Whole, finite, token_text};
use crate::engine::{Delta, DeltaToken};
use crate::request::ChatRequest;
use crate::request::wire::GenerationBody;
use crate::sched::FinishReason;
use crate::text::TokenTable;

/// Answers a chat.
pub async fn create(State(app): State<Arc<App>>, Body(body): Body<GenerationBody>) -> Result<Response, ApiError> {
    let engine = app.generator(&body.model)?;
    let request = ChatRequest::try_from(body)?;
    let prompts = [engine.chat(request.messages).await?];
    let choices = engine.submit(&prompts, &request.generation)?;
    let shape = Chat { table: engine.codec.table().clone(), logprobs: request.generation.sampling.logprobs.is_some() };
    generate::answer(choices, &prompts, request.generation, shape).await
}

struct Chat {
    table: Arc<TokenTable>,
    logprobs: bool,
}

#[derive(Serialize)]
struct Choice {
    index: usize,
    message: Message,
    logprobs: Option<Logprobs>,
    finish_reason: Option<FinishReason>,
}

#[derive(Serialize)]
struct ChunkChoice {
    index: usize,
    delta: Message,
    logprobs: Option<Logprobs>,
    finish_reason: Option<FinishReason>,
}

#[derive(Default, Serialize)]
struct Message {
    #[serde(skip_serializing_if = "Option::is_none")]
    role: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    content: Option<String>,
}

#[derive(Serialize)]
struct Logprobs {
    content: Vec<TokenLogprobs>,
}

#[derive(Serialize)]
struct TokenLogprobs {
    #[serde(flatten)]
    chosen: TokenLogprob,
    top_logprobs: Vec<TokenLogprob>,
}

#[derive(Serialize)]
struct TokenLogprob {
    token: String,
    logprob: f32,
    /// The token may be part of a character only.
    bytes: Vec<u8>,
}

impl Chat {
    fn logprobs(&self, tokens: impl IntoIterator<Item = DeltaToken>) -> Option<Logprobs> {
        let one = |token, logprob| TokenLogprob {
            token: token_text(&self.table, token),
            logprob: finite(logprob),
            bytes: self.table.bytes(token).to_vec(),
        };
        let entry = |token: DeltaToken| TokenLogprobs {
            chosen: one(token.token, token.logprobs.chosen),
            top_logprobs: token.logprobs.top.iter().map(|&(token, logprob)| one(token, logprob)).collect(),
        };
        self.logprobs.then(|| Logprobs { content: tokens.into_iter().map(entry).collect() })
    }
}

impl Shape for Chat {
    const ID_PREFIX: &str = "chatcmpl";
    const OBJECT: &str = "chat.completion";
    const CHUNK_OBJECT: &str = "chat.completion.chunk";
    type Choice = Choice;
    type ChunkChoice = ChunkChoice;

    fn whole(&self, index: usize, whole: Whole) -> Choice {
        let message = Message { role: Some("assistant"), content: Some(whole.text) };
        Choice { index, message, logprobs: self.logprobs(whole.tokens), finish_reason: whole.finish }
    }

    fn opening(&self, index: usize) -> Option<ChunkChoice> {
        let delta = Message { role: Some("assistant"), content: Some(String::new()) };
        Some(ChunkChoice { index, delta, logprobs: None, finish_reason: None })
    }

    fn piece(&mut self, index: usize, delta: Delta) -> ChunkChoice {
        let logprobs = delta.token.and_then(|token| self.logprobs([token]));
        let content = Some(delta.text).filter(|text| !text.is_empty());
        ChunkChoice { index, delta: Message { role: None, content }, logprobs, finish_reason: delta.finish }
    }
}
