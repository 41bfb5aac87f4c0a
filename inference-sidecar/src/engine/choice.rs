//! One choice of an answer, as text.
//!
//! The scheduler knows tokens only. Text is made here, on the reader's task, so the step loop does not wait for it; a
//! stop string is noticed here too, and leaving then ends the sequence at the next step boundary.

use std::sync::Arc;

use tokio::sync::mpsc::Receiver;

use super::stopped;
use crate::error::EngineError;
use crate::sample::Logprobs;
use crate::sched::{FinishReason, TokenEvent};
use crate::text::{Detokenizer, Matched, StopMatcher, TokenTable};

/// The text of one choice, as it comes.
#[derive(Debug)]
pub struct ChoiceStream {
    /// `None` once the answer has ended.
    events: Option<Receiver<TokenEvent>>,
    detokenizer: Detokenizer,
    stop: StopMatcher,
}

/// A piece of an answer.
#[derive(Debug, Default, PartialEq)]
pub struct Delta {
    /// Text that is now certain; may be empty.
    pub text: String,
    /// The token that led here, if log-probabilities were asked for.
    pub token: Option<DeltaToken>,
    /// Set on the last piece.
    pub finish: Option<FinishReason>,
}

/// A token with its log-probabilities.
#[derive(Debug, PartialEq)]
pub struct DeltaToken {
    /// Its number.
    pub token: u32,
    /// The model's view of it.
    pub logprobs: Box<Logprobs>,
}

impl ChoiceStream {
    pub(super) fn new(events: Receiver<TokenEvent>, table: Arc<TokenTable>, stop: Vec<String>) -> Self {
        let (detokenizer, stop) = (Detokenizer::new(table), StopMatcher::new(stop));
        ChoiceStream { events: Some(events), detokenizer, stop }
    }

    /// The next piece, which is one token's; `None` after the last. An error if the engine stopped before the end.
    pub async fn next(&mut self) -> Result<Option<Delta>, EngineError> {
        let Some(events) = &mut self.events else { return Ok(None) };
        let event = events.recv().await.ok_or_else(stopped)?;
        let mut delta = Delta { finish: event.finish, ..Delta::default() };
        let mut text = String::new();
        if event.finish != Some(FinishReason::Stop) {
            text = self.detokenizer.push(event.token);
            delta.token = event.logprobs.map(|logprobs| DeltaToken { token: event.token, logprobs });
        }
        if event.finish.is_some() {
            text.push_str(&self.detokenizer.finish());
        }
        match self.stop.push(&text) {
            Matched::Text(text) => delta.text = text,
            Matched::Stop(text) => {
                delta.text = text;
                delta.finish = Some(FinishReason::Stop);
                self.events = None;
                return Ok(Some(delta));
            }
        }
        if delta.finish.is_some() {
            delta.text.push_str(&self.stop.finish());
            self.events = None;
        }
        Ok(Some(delta))
    }
}
