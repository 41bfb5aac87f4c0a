//! A stream on its way back, whatever its provider's API.

use bytes::Bytes;
use serde::de::IgnoredAny;

use crate::error::{Broken, Failure};
use crate::openai;
use crate::pair::{Back, Pair, Reply, Streaming};
use crate::split::{Event, Splitter};
use crate::write::Chunks;
use crate::{Secrets, Usage};

/// The header in which AWS names an HTTP error's type; the name of an error event stands there too.
const ERROR_TYPE: &str = "x-amzn-errortype";

/// Translates the events of one stream. It sees no event that the framing says is an error: [`Pair::error`] reads
/// those.
pub trait Machine: Send {
    /// Takes one event and writes what it says.
    ///
    /// # Errors
    /// [`Failure`]: the stream ends as failed; what was written before is still sent.
    fn event(&mut self, event: &Event<'_>, out: &mut Chunks) -> Result<Flow, Failure>;

    /// The bytes have ended without [`Flow::Done`].
    ///
    /// # Errors
    /// [`Broken::Truncated`] unless an API has no mark for the end and all has come.
    fn end(&mut self, _out: &mut Chunks) -> Result<(), Failure> {
        Err(Broken::Truncated.into())
    }
}

/// Whether more of a stream is to come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flow {
    /// It goes on.
    More,
    /// That was all: usage and `[DONE]` follow.
    Done,
}

/// A stream on its way to the client: chunks of any size in, whole events out. It behaves as [`openai::Stream`]
/// says, whichever schema comes in.
pub enum Stream {
    /// Of a provider that speaks the client's schema.
    Same(openai::Stream),
    /// Of any other.
    Translated(Translated),
}

/// A stream of a provider with a schema of its own.
pub struct Translated {
    splitter: Splitter,
    inner: Inner,
}

struct Inner {
    pair: &'static Pair,
    secrets: Secrets,
    machine: Box<dyn Machine>,
    chunks: Chunks,
    outcome: Option<Result<(), Failure>>,
}

impl Stream {
    pub(crate) fn translated(pair: &'static Pair, streaming: Streaming, back: Back) -> Self {
        let machine = (streaming.machine)(&back);
        let chunks = Chunks::new(pair.task(), back.asked.include_usage, back.fill);
        let inner = Inner { pair, secrets: back.secrets, machine, chunks, outcome: None };
        Self::Translated(Translated { splitter: Splitter::new(streaming.framing), inner })
    }

    /// Takes a chunk from upstream and returns what goes to the client: whole events, or nothing yet. After the end
    /// ([`Stream::outcome`]) it returns nothing more.
    pub fn push(&mut self, chunk: &Bytes) -> Bytes {
        match self {
            Self::Same(stream) => stream.push(chunk),
            Self::Translated(stream) => stream.push(chunk),
        }
    }

    /// Upstream's bytes have ended. Returns what was held back and is whole after all.
    pub fn finish(&mut self) -> Bytes {
        match self {
            Self::Same(stream) => stream.finish(),
            Self::Translated(stream) => stream.finish(),
        }
    }

    /// How the stream ended; `None` while it has not.
    pub fn outcome(&self) -> Option<Result<(), &Failure>> {
        match self {
            Self::Same(stream) => stream.outcome(),
            Self::Translated(stream) => stream.inner.outcome.as_ref().map(|outcome| outcome.as_ref().copied()),
        }
    }

    /// Whether some text, reasoning or tool call has come: the commit point, and the time to first token.
    pub fn first_content_seen(&self) -> bool {
        self.answer_chars() > 0
    }

    /// The last usage that the provider gave, asked for or not.
    pub fn usage(&self) -> Option<Usage> {
        match self {
            Self::Same(stream) => stream.usage(),
            Self::Translated(stream) => stream.inner.chunks.last_usage(),
        }
    }

    /// Characters of answer so far, for [`Usage::estimated`] where the provider gives no usage.
    pub fn answer_chars(&self) -> u64 {
        match self {
            Self::Same(stream) => stream.answer_chars(),
            Self::Translated(stream) => stream.inner.chunks.chars(),
        }
    }
}

impl Translated {
    fn push(&mut self, chunk: &Bytes) -> Bytes {
        let Self { splitter, inner } = self;
        if inner.outcome.is_some() {
            return Bytes::new();
        }
        if let Err(broken) = splitter.push(chunk, |event| inner.event(&event)) {
            inner.fail(broken.into());
        }
        inner.chunks.take()
    }

    fn finish(&mut self) -> Bytes {
        let Self { splitter, inner } = self;
        if inner.outcome.is_some() {
            return Bytes::new();
        }
        splitter.finish(|event| inner.event(&event));
        inner.end(splitter.rest());
        inner.chunks.take()
    }
}

impl Inner {
    fn event(&mut self, event: &Event<'_>) {
        if self.outcome.is_some() {
            return;
        }
        if event.is_error {
            // As the same error comes over HTTP, so that a pair reads both with one function.
            let header = |name: &str| (name == ERROR_TYPE).then_some(event.name);
            let reply = Reply { status: 200, header: &header, body: event.data };
            return self.fail(Failure::Provider(self.pair.error(&reply, &self.secrets)));
        }
        match self.machine.event(event, &mut self.chunks) {
            Ok(Flow::More) => {}
            Ok(Flow::Done) => self.done(),
            Err(failure) => self.fail(failure),
        }
    }

    /// The bytes have ended, with this left over.
    fn end(&mut self, rest: &[u8]) {
        if self.outcome.is_some() {
            return;
        }
        // Some providers answer a request for a stream with a plain JSON error, and status 200.
        if rest.trim_ascii().starts_with(b"{") && serde_json::from_slice::<IgnoredAny>(rest).is_ok() {
            let reply = Reply { status: 200, header: &|_| None, body: rest };
            return self.fail(Failure::Provider(self.pair.error(&reply, &self.secrets)));
        }
        match self.machine.end(&mut self.chunks) {
            Ok(()) => self.done(),
            Err(failure) => self.fail(failure),
        }
    }

    fn done(&mut self) {
        self.chunks.end();
        self.outcome = Some(Ok(()));
    }

    fn fail(&mut self, failure: Failure) {
        self.outcome = Some(Err(failure));
    }
}
