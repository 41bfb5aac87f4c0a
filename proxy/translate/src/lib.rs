//! Translation between the wire schema of Weirgate's clients (OpenAI's) and those of providers, without I/O, clock
//! or runtime: bytes in, bytes out.
//!
//! A request is *peeked* at once ([`Ask::peek`]), which validates it and finds what the gateway itself needs. Where
//! the provider speaks the client's schema the bytes are kept: [`Ask::outgoing`] splices the model's name in, and
//! [`openai::Stream`] and [`openai::answer`] repair only what contract §8.6 names. Providers with a schema of their
//! own get a module each beside [`openai`], which is a list of [`Pair`]s; `docs/providers-dev.md` says how to add one.
//!
//! ```
//! use bytes::Bytes;
//! use weirgate_translate::{Ask, Fill, Model, Secrets, Task, openai};
//!
//! let body = br#"{"model": "my-endpoint", "messages": [{"role": "user", "content": "Hi"}], "stream": true}"#;
//! let ask = Ask::peek(body, Task::Chat)?;
//! assert_eq!(ask.model.as_deref(), Some("my-endpoint"));
//! let upstream_body = ask.outgoing(Model::Name("gpt-4o-mini"));
//! assert!(upstream_body.starts_with(br#"{"model": "gpt-4o-mini", "messages""#));
//!
//! let fill = Fill { id: "chatcmpl-1".into(), created: 1_700_000_000, model: "gpt-4o-mini".into() };
//! let mut stream = openai::Stream::new(ask.task(), ask.include_usage, fill, Secrets::default());
//! let chunk = Bytes::from_static(b": ping\n\ndata: {\"id\":\"a\",\"object\":\"chat.completion.chunk\",\"created\":1,\
//!     \"model\":\"m\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"Hello\"}}]}\n\ndata: [DONE]\n\n");
//! let to_client = stream.push(&chunk);
//! assert!(to_client.starts_with(b"data: {\"id\":\"a\"") && to_client.ends_with(b"data: [DONE]\n\n"));
//! assert!(stream.first_content_seen());
//! assert!(stream.finish().is_empty());
//! assert!(matches!(stream.outcome(), Some(Ok(()))));
//! # Ok::<(), weirgate_translate::PeekError>(())
//! ```
#![deny(missing_docs)]
#![forbid(unsafe_code)]

pub mod ai21;
pub mod anthropic;
pub mod bedrock;
pub mod chat;
pub mod cohere;
pub mod completions;
pub mod embeddings;
pub mod error;
mod json;
pub mod mask;
pub mod openai;
pub mod pair;
mod params;
mod peek;
#[cfg(test)]
mod recorded;
mod splice;
pub mod split;
mod stream;
pub mod table;
mod task;
mod text;
mod usage;
pub mod vertex;
pub mod wire;
pub mod write;

pub use error::{Broken, Failure, ProviderError};
pub use mask::Secrets;
pub use openai::Answer;
pub use pair::{Asked, Back, Cx, Outgoing, Pair, Reply};
pub use peek::{Ask, Model, PeekError};
pub use split::Framing;
pub use stream::{Flow, Machine, Stream};
pub use task::{Fill, Task};
pub use usage::{Count, Usage, estimate};

/// The pair for a model of a provider, both as the config names them; `None` if the provider has no such task, or
/// speaks the client's schema. `maker`: who made the model, where the config says so (`bedrock_provider`).
pub fn pair_for(provider: &str, task: Task, model: &str, maker: Option<&str>) -> Option<&'static Pair> {
    match provider {
        "ai21labs" => ai21::pair(task, model),
        "amazon-bedrock" => bedrock::pair(task, model, maker),
        "anthropic" => anthropic::pair(task),
        "cohere" => cohere::pair(task, model),
        "google-cloud-vertex-ai" => vertex::pair(task, model),
        _ => None,
    }
}

/// All pairs.
pub fn pairs() -> impl Iterator<Item = &'static Pair> {
    [ai21::PAIRS, anthropic::PAIRS, bedrock::PAIRS, cohere::PAIRS, vertex::PAIRS].into_iter().flatten().copied()
}
