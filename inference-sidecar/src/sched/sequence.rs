//! One answer in the making.

use std::sync::Arc;
use std::time::Instant;

use tokio::sync::OwnedSemaphorePermit;
use tokio::sync::mpsc::{self, Receiver, Sender};

use crate::exec::BlockId;
use crate::sample::{Logprobs, Sampler, SamplingParams, Scratch};

/// What the scheduler needs to know of one answer.
#[derive(Debug)]
pub struct SequenceRequest {
    /// At least one token.
    pub prompt: Vec<u32>,
    /// At least 1; with the prompt no more than fits the context and the pool.
    pub max_tokens: usize,
    /// Tokens that end the answer.
    pub stop_tokens: Arc<[u32]>,
    /// How to choose tokens.
    pub sampling: Arc<SamplingParams>,
    /// Seed of this sequence's random numbers.
    pub seed: u64,
}

/// Why an answer ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum FinishReason {
    /// The model's own end, or a stop string.
    Stop,
    /// `max_tokens` or the context.
    Length,
}

/// One token of an answer.
#[derive(Debug, Clone, PartialEq)]
pub struct TokenEvent {
    /// The token. With [`FinishReason::Stop`] it is the one that ends the answer, and not part of it.
    pub token: u32,
    /// If asked for.
    pub logprobs: Option<Box<Logprobs>>,
    /// Set on the last event.
    pub finish: Option<FinishReason>,
}

/// A sequence's state within the scheduler.
#[derive(Debug)]
pub struct Sequence {
    /// Prompt and answer so far.
    pub(super) tokens: Vec<u32>,
    /// Tokens whose keys and values are in `blocks`.
    pub(super) computed: usize,
    pub(super) blocks: Vec<BlockId>,
    prompt_len: usize,
    max_tokens: usize,
    stop_tokens: Arc<[u32]>,
    sampler: Sampler,
    events: Sender<TokenEvent>,
    /// Place in the waiting queue; given up on the first admission.
    pub(super) place: Option<OwnedSemaphorePermit>,
    pub(super) arrived: Instant,
    pub(super) last_token: Option<Instant>,
    pub(super) finished: bool,
}

impl Sequence {
    /// A sequence and the end that its tokens come out of.
    ///
    /// The channel has room for the longest possible answer, so a slow reader never holds up the step loop and what he
    /// leaves lying is bounded by his own `max_tokens`. Its memory is allocated as it fills. He holds no KV blocks once
    /// the answer is complete.
    pub fn new(request: SequenceRequest, place: Option<OwnedSemaphorePermit>) -> (Self, Receiver<TokenEvent>) {
        let (events, receiver) = mpsc::channel(request.max_tokens.max(1));
        let sampler = Sampler::new(request.sampling, request.seed, &request.prompt);
        let sequence = Sequence {
            prompt_len: request.prompt.len(),
            tokens: request.prompt,
            computed: 0,
            blocks: Vec::new(),
            max_tokens: request.max_tokens,
            stop_tokens: request.stop_tokens,
            sampler,
            events,
            place,
            arrived: Instant::now(),
            last_token: None,
            finished: false,
        };
        (sequence, receiver)
    }

    /// Tokens still to be computed before the next one can be chosen.
    pub(super) fn pending(&self) -> usize {
        self.tokens.len() - self.computed
    }

    /// Whether nobody reads the answer any more.
    pub(super) fn is_abandoned(&self) -> bool {
        self.events.is_closed()
    }

    /// Chooses the next token from `logits` and sends it; sets `finished` with the last one.
    pub(super) fn advance(&mut self, logits: &mut [f32], scratch: &mut Scratch) {
        let (token, logprobs) = self.sampler.sample(logits, scratch);
        self.tokens.push(token);
        let finish = if self.stop_tokens.contains(&token) {
            Some(FinishReason::Stop)
        } else if self.tokens.len() - self.prompt_len >= self.max_tokens {
            Some(FinishReason::Length)
        } else {
            None
        };
        // A reader who has left is noticed at the next step boundary.
        let _ = self.events.try_send(TokenEvent { token, logprobs: logprobs.map(Box::new), finish });
        self.finished = finish.is_some();
    }
}
