//! A translation pair: how one API of a provider is asked for what OpenAI's schema asks, and how its answers read.

use std::fmt;

use bytes::Bytes;
use serde::Serialize;

use crate::error::{Broken, Failure, ProviderError};
use crate::openai::Answer;
use crate::params::wrong;
use crate::peek::PeekError;
use crate::stream::{Machine, Stream};
use crate::table::Params;
use crate::wire::Text;
use crate::write::{self, Completed, Vectors};
use crate::{Ask, Fill, Framing, Secrets, Task, chat, completions, embeddings};

/// One API of a provider.
pub struct Pair {
    /// The provider as the config names it.
    pub provider: &'static str,
    /// The API's own name, to tell a provider's apart.
    pub api: &'static str,
    /// What becomes of each parameter.
    pub params: Params,
    /// The functions, by task.
    pub how: How,
    /// Reads an error answer, or an error that a stream ended with.
    pub error: fn(&Reply<'_>, &Secrets) -> ProviderError,
}

/// The functions of a pair. What its table refuses never reaches them; what it drops they leave out.
pub enum How {
    /// `llm/v1/chat`
    Chat {
        /// Translates a request.
        request: fn(&chat::Request<'_>, &Cx<'_>) -> Result<Outgoing, PeekError>,
        /// Translates a whole answer.
        answer: ReadCompleted,
        /// Translates a stream; `None` if the API has none.
        stream: Option<Streaming>,
    },
    /// `llm/v1/completions`
    Completions {
        /// Translates a request.
        request: fn(&completions::Request<'_>, &Cx<'_>) -> Result<Outgoing, PeekError>,
        /// Translates a whole answer.
        answer: ReadCompleted,
        /// Translates a stream; `None` if the API has none.
        stream: Option<Streaming>,
    },
    /// `llm/v1/embeddings`
    Embeddings {
        /// Most inputs of one request; more are sent in several.
        batch: usize,
        /// Translates a request for these of its inputs.
        request: fn(&embeddings::Request<'_>, &[Text<'_>], &Cx<'_>) -> Result<Outgoing, PeekError>,
        /// Translates the answer to one request.
        answer: for<'r> fn(&Reply<'r>, &Back) -> Result<Vectors<'r>, Failure>,
    },
}

/// Reads a whole answer of chat or completions.
pub type ReadCompleted = for<'r> fn(&Reply<'r>, &Back) -> Result<Completed<'r>, Failure>;

/// How a stream is read.
#[derive(Clone, Copy)]
pub struct Streaming {
    /// How it is cut into events.
    pub framing: Framing,
    /// Makes what translates the events of one stream.
    pub machine: fn(&Back) -> Box<dyn Machine>,
}

/// What a request function must know besides the request.
#[derive(Clone, Copy, Debug)]
pub struct Cx<'c> {
    /// The model's name at the provider.
    pub model: &'c str,
    /// Most tokens of an answer if the client does not say, for APIs that must be told; `None`: the pair's own.
    pub default_max_tokens: Option<u64>,
}

/// A request for the provider.
#[derive(Clone)]
pub struct Outgoing {
    /// What comes after the provider's base URL: path and query.
    pub path: String,
    /// Headers besides credentials, length and content type.
    pub headers: Vec<(&'static str, String)>,
    /// JSON bodies: one, or several if embeddings are asked for in batches. Each is a request of its own.
    pub bodies: Vec<Bytes>,
    /// Parameters of the client's that were left out, for the header `x-weirgate-dropped`.
    pub dropped: Vec<&'static str>,
    /// What the way back must know of the request.
    pub asked: Asked,
}

/// What the way back must know of a request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Asked {
    /// Whether usage was asked for in the stream.
    pub include_usage: bool,
    /// Whether the answer comes as the call of a tool named [`JSON_TOOL`], to be undone.
    pub json_tool: bool,
    /// Whether vectors are to be sent as base64.
    pub base64: bool,
}

/// Name of the tool that a model without `response_format` is made to answer with.
pub const JSON_TOOL: &str = "json_answer";

/// What answers and streams are read with.
#[derive(Clone, Debug)]
pub struct Back {
    /// For what the provider's answer leaves out.
    pub fill: Fill,
    /// Masked in error texts.
    pub secrets: Secrets,
    /// Of the request: [`Outgoing::asked`].
    pub asked: Asked,
}

/// A provider's whole answer, good or bad.
#[derive(Clone, Copy)]
pub struct Reply<'r> {
    /// The HTTP status.
    pub status: u16,
    /// Looks up a header by its lower-case name.
    pub header: &'r dyn Fn(&str) -> Option<&'r str>,
    /// The body.
    pub body: &'r [u8],
}

impl Pair {
    /// The task it is for.
    pub fn task(&self) -> Task {
        match self.how {
            How::Chat { .. } => Task::Chat,
            How::Completions { .. } => Task::Completions,
            How::Embeddings { .. } => Task::Embeddings,
        }
    }

    /// Translates a request.
    ///
    /// # Errors
    /// [`PeekError::Field`] for what is not of OpenAI's schema, what the table refuses, and what this provider
    /// cannot be asked.
    pub fn request(&self, ask: &Ask<'_>, cx: &Cx<'_>) -> Result<Outgoing, PeekError> {
        let body = ask.text();
        if ask.stream && self.streaming().is_none() {
            return Err(wrong("stream", format!("must not be true: {} does not stream here", self.provider)));
        }
        let (dropped, mut outgoing) = match self.how {
            How::Chat { request, .. } => {
                let asked = chat::Request::read(&body)?;
                let given = asked.given().filter(|param| !asked.says_nothing(param));
                (self.params.check(given, self.provider)?, request(&asked, cx)?)
            }
            How::Completions { request, .. } => {
                let asked = completions::Request::read(&body)?;
                let given = asked.given().filter(|param| !asked.says_nothing(param));
                (self.params.check(given, self.provider)?, request(&asked, cx)?)
            }
            How::Embeddings { request, batch, .. } => {
                let asked = embeddings::Request::read(&body)?;
                let given = asked.given().filter(|param| !asked.says_nothing(param));
                let dropped = self.params.check(given, self.provider)?;
                let texts = asked.texts()?;
                let mut batches = texts.chunks(batch.max(1));
                let mut outgoing = request(&asked, batches.next().unwrap_or_default(), cx)?;
                for batch in batches {
                    outgoing.bodies.append(&mut request(&asked, batch, cx)?.bodies);
                }
                outgoing.asked.base64 = asked.base64()?;
                (dropped, outgoing)
            }
        };
        outgoing.asked.include_usage = ask.include_usage;
        outgoing.dropped.extend(dropped);
        outgoing.dropped.sort_unstable();
        outgoing.dropped.dedup();
        Ok(outgoing)
    }

    /// Translates a whole answer that came with a good status: one reply for each of the request's bodies.
    ///
    /// # Errors
    /// [`Failure::Broken`] for what is not of the provider's schema, [`Failure::Provider`] for an error in place of
    /// an answer.
    pub fn answer(&self, replies: &[Reply<'_>], back: &Back) -> Result<Answer, Failure> {
        let first = replies.first().ok_or(Broken::NotJson)?;
        match self.how {
            How::Chat { answer, .. } | How::Completions { answer, .. } => {
                let completed = answer(first, back)?;
                Ok(Answer {
                    body: completed.write(self.task(), &back.fill).into(),
                    usage: completed.usage,
                    answer_chars: completed.answer_chars(),
                })
            }
            How::Embeddings { answer, .. } => {
                let batches: Vec<Vectors<'_>> =
                    replies.iter().map(|reply| answer(reply, back)).collect::<Result<_, _>>()?;
                let body = write::vectors(&batches, back.asked.base64, &back.fill)?;
                Ok(Answer { body: body.into(), usage: write::vectors_usage(&batches), answer_chars: 0 })
            }
        }
    }

    /// Translates a stream; `None` for embeddings and APIs without streams, which [`Pair::request`] asks for none.
    pub fn stream(&'static self, back: Back) -> Option<Stream> {
        Some(Stream::translated(self, self.streaming()?, back))
    }

    /// Reads an error answer.
    pub fn error(&self, reply: &Reply<'_>, secrets: &Secrets) -> ProviderError {
        (self.error)(reply, secrets)
    }

    /// How its streams are read; `None` for embeddings and APIs without streams.
    pub fn streaming(&self) -> Option<Streaming> {
        match self.how {
            How::Chat { stream, .. } | How::Completions { stream, .. } => stream,
            How::Embeddings { .. } => None,
        }
    }
}

impl Outgoing {
    /// With this body, and nothing else said.
    ///
    /// # Errors
    /// [`PeekError::Field`] if the body cannot be written as JSON, which needs a map with keys that are no strings.
    pub fn new(path: impl Into<String>, body: &impl Serialize) -> Result<Self, PeekError> {
        let body = serde_json::to_vec(body).map_err(|error| wrong("", format!("cannot be sent on: {error}")))?;
        Ok(Self {
            path: path.into(),
            headers: Vec::new(),
            bodies: vec![body.into()],
            dropped: Vec::new(),
            asked: Asked::default(),
        })
    }
}

/// Without what people wrote.
impl fmt::Debug for Outgoing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut debug = f.debug_struct("Outgoing");
        debug.field("path", &self.path).field("dropped", &self.dropped).field("asked", &self.asked);
        debug.finish_non_exhaustive()
    }
}

impl Reply<'_> {
    /// The body as the provider's answer type.
    ///
    /// # Errors
    /// [`Broken::NotJson`] if it is something else.
    pub fn json<'r, T: serde::Deserialize<'r>>(&self) -> Result<T, Broken>
    where
        Self: 'r,
    {
        serde_json::from_slice(self.body).map_err(|_| Broken::NotJson)
    }
}

/// A path segment: all but unreserved characters escaped (RFC 3986 §2.3).
pub fn segment(text: &str) -> String {
    const RESERVED: percent_encoding::AsciiSet =
        percent_encoding::NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');
    percent_encoding::utf8_percent_encode(text, &RESERVED).to_string()
}

#[cfg(test)]
#[path = "pair_tests.rs"]
mod tests;
