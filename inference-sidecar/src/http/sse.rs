//! Streams of server-sent events: `data:` lines only, the last of them `[DONE]`.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::pin::Pin;

use axum::response::sse::{Event, Sse};
use futures_util::stream::{self, SelectAll, Stream, StreamExt, select_all};
use serde::Serialize;

use super::error::ApiError;
use super::generate::{Envelope, Identity, Shape};
use super::usage::Usage;
use crate::engine::{ChoiceStream, Delta};
use crate::error::EngineError;
use crate::request::Streaming;

type Pieces = Pin<Box<dyn Stream<Item = (usize, Result<Delta, EngineError>)> + Send>>;

/// A stream under way. Dropping it (the client left) ends its sequences.
struct Answer<S> {
    merged: SelectAll<Pieces>,
    identity: Identity,
    shape: S,
    streaming: Streaming,
    opened: Vec<bool>,
    /// Each piece is one token.
    generated: usize,
    /// Events to be sent before the next piece is awaited: a handful at most.
    ready: VecDeque<Event>,
    ended: bool,
}

/// The answer as a stream.
pub fn respond<S: Shape>(
    choices: Vec<ChoiceStream>,
    identity: Identity,
    shape: S,
    streaming: Streaming,
) -> Sse<impl Stream<Item = Result<Event, Infallible>>> {
    let answer = Answer {
        opened: vec![false; choices.len()],
        merged: select_all(choices.into_iter().enumerate().map(pieces)),
        identity,
        shape,
        streaming,
        generated: 0,
        ready: VecDeque::new(),
        ended: false,
    };
    Sse::new(stream::unfold(answer, |mut answer| async move { answer.next().await.map(|event| (Ok(event), answer)) }))
}

fn pieces((index, choice): (usize, ChoiceStream)) -> Pieces {
    Box::pin(stream::unfold(choice, move |mut choice| async move {
        let piece = choice.next().await.transpose()?;
        Some(((index, piece), choice))
    }))
}

impl<S: Shape> Answer<S> {
    async fn next(&mut self) -> Option<Event> {
        while self.ready.is_empty() && !self.ended {
            match self.merged.next().await {
                Some((index, Ok(delta))) => self.piece(index, delta),
                Some((_, Err(error))) => {
                    // No [DONE] after an error, so that no client takes the answer for whole.
                    self.ready.push_back(event(&ApiError::from(error).body()));
                    self.ended = true;
                }
                None => self.close(),
            }
        }
        self.ready.pop_front()
    }

    fn piece(&mut self, index: usize, delta: Delta) {
        self.generated += 1;
        if let Some(opened) = self.opened.get_mut(index).filter(|opened| !**opened) {
            *opened = true;
            if let Some(opening) = self.shape.opening(index) {
                self.chunk(&[opening]);
            }
        }
        if !delta.text.is_empty() || delta.token.is_some() || delta.finish.is_some() {
            let choice = self.shape.piece(index, delta);
            self.chunk(&[choice]);
        }
    }

    fn close(&mut self) {
        if self.streaming.include_usage {
            let usage = Usage::generation(self.identity.prompt_tokens, self.generated);
            let last = event(&self.envelope(&[], Some(Some(usage))));
            self.ready.push_back(last);
        }
        self.ready.push_back(Event::default().data("[DONE]"));
        self.ended = true;
    }

    fn chunk(&mut self, choices: &[S::ChunkChoice]) {
        // With usage at the end, the other chunks say that theirs is null.
        let usage = self.streaming.include_usage.then_some(None);
        let event = event(&self.envelope(choices, usage));
        self.ready.push_back(event);
    }

    fn envelope<'a>(
        &'a self,
        choices: &'a [S::ChunkChoice],
        usage: Option<Option<Usage>>,
    ) -> Envelope<'a, S::ChunkChoice> {
        let Identity { id, created, model, .. } = &self.identity;
        Envelope { id, object: S::CHUNK_OBJECT, created: *created, model, choices, usage }
    }
}

fn event(body: &impl Serialize) -> Event {
    // Our own types always serialise.
    Event::default().json_data(body).unwrap_or_default()
}
