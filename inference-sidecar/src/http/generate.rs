//! What chats and completions share: running the choices, then one answer or a stream of events.

use std::sync::Arc;

use axum::Json;
use axum::response::{IntoResponse, Response};
use futures_util::future::try_join_all;
use serde::Serialize;

use super::error::ApiError;
use super::usage::Usage;
use super::{new_id, sse, unix_now};
use crate::engine::{ChoiceStream, Delta, DeltaToken};
use crate::error::EngineError;
use crate::request::Generation;
use crate::sched::FinishReason;
use crate::text::TokenTable;

/// How one route writes its choices.
pub trait Shape: Send + 'static {
    /// First part of an answer's id.
    const ID_PREFIX: &str;
    /// `object` of a whole answer.
    const OBJECT: &str;
    /// `object` of a stream's chunk.
    const CHUNK_OBJECT: &str;
    /// A choice of a whole answer.
    type Choice: Serialize;
    /// A choice of a chunk.
    type ChunkChoice: Serialize;

    /// A whole choice.
    fn whole(&self, index: usize, choice: Whole) -> Self::Choice;
    /// What precedes a choice's first piece in a stream, if anything.
    fn opening(&self, index: usize) -> Option<Self::ChunkChoice>;
    /// A piece of a choice.
    fn piece(&mut self, index: usize, delta: Delta) -> Self::ChunkChoice;
}

/// A choice from beginning to end.
#[derive(Debug, Default)]
pub struct Whole {
    /// Its text.
    pub text: String,
    /// Its tokens, if log-probabilities were asked for.
    pub tokens: Vec<DeltaToken>,
    /// Why it ended.
    pub finish: Option<FinishReason>,
    generated: usize,
}

/// The fields around the choices, the same in answers and chunks.
#[derive(Serialize)]
pub struct Envelope<'a, C> {
    /// One for all chunks of a stream.
    pub id: &'a str,
    /// What this is.
    pub object: &'static str,
    /// Seconds since 1970; one for all chunks of a stream.
    pub created: i64,
    /// The model's name.
    pub model: &'a str,
    /// The choices.
    pub choices: &'a [C],
    /// `Some(None)` is written as null.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub usage: Option<Option<Usage>>,
}

/// What identifies one answer.
#[derive(Debug)]
pub struct Identity {
    /// Unique.
    pub id: String,
    /// Seconds since 1970.
    pub created: i64,
    /// The model's name.
    pub model: String,
    /// Tokens of all prompts.
    pub prompt_tokens: usize,
}

/// Answers in `shape` with the choices that run for `prompts`.
pub async fn answer<S: Shape>(
    choices: Vec<ChoiceStream>,
    prompts: &[Vec<u32>],
    request: Generation,
    shape: S,
) -> Result<Response, ApiError> {
    let identity = Identity {
        id: new_id(S::ID_PREFIX),
        created: unix_now(),
        prompt_tokens: prompts.iter().map(Vec::len).sum(),
        model: request.model,
    };
    match request.stream {
        Some(streaming) => Ok(sse::respond(choices, identity, shape, streaming).into_response()),
        None => whole_answer(choices, &identity, &shape).await,
    }
}

async fn whole_answer<S: Shape>(
    choices: Vec<ChoiceStream>,
    identity: &Identity,
    shape: &S,
) -> Result<Response, ApiError> {
    // All at once: a stop string is noticed by the reader, so none may go unread.
    let wholes = try_join_all(choices.into_iter().map(read_whole)).await?;
    let generated = wholes.iter().map(|whole| whole.generated).sum();
    let choices: Vec<_> = wholes.into_iter().enumerate().map(|(index, whole)| shape.whole(index, whole)).collect();
    let answer = Envelope {
        id: &identity.id,
        object: S::OBJECT,
        created: identity.created,
        model: &identity.model,
        choices: &choices,
        usage: Some(Some(Usage::generation(identity.prompt_tokens, generated))),
    };
    Ok(Json(answer).into_response())
}

async fn read_whole(mut choice: ChoiceStream) -> Result<Whole, EngineError> {
    let mut whole = Whole::default();
    while let Some(delta) = choice.next().await? {
        whole.text.push_str(&delta.text);
        whole.tokens.extend(delta.token);
        whole.finish = delta.finish;
        whole.generated += 1;
    }
    Ok(whole)
}

/// A log-probability that JSON can hold; vLLM's floor.
pub fn finite(logprob: f32) -> f32 {
    logprob.max(-9999.0)
}

/// A token's bytes as text, for reading.
pub fn token_text(table: &Arc<TokenTable>, token: u32) -> String {
    String::from_utf8_lossy(table.bytes(token)).into_owned()
}
