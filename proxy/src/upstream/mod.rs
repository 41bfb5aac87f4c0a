//! What is behind a served entity, prepared so that a request only has to fill in its own part.

pub mod address;
pub mod credential;
mod grant;
mod provider;
mod sigv4;
pub mod token;
pub mod wire;

use std::sync::Arc;
use std::time::Duration;

use pingora_core::upstreams::peer::HttpPeer;
use url::Url;
use weirgate_config::snapshot::{ExternalModel, Model, Serving, Target, UpstreamDefaults};
use weirgate_policy::door::Refusal;
use weirgate_policy::reason::Reason;
use weirgate_translate::{Pair, Secrets};

use crate::engines::Engine;
use crate::error::ProxyError;
use crate::registry::Registries;
use address::Address;
use credential::{Authorization, Credential};
pub use provider::task_of;
use provider::{Api, join, task_path};

/// Deadlines towards an upstream.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Timeouts {
    /// To connect, TLS included.
    pub connect: Duration,
    /// From the request sent to the head of the answer.
    pub first_byte: Duration,
    /// Between two reads or writes.
    pub gap: Duration,
    /// For the whole call.
    pub total: Duration,
    /// How long a pooled connection may idle.
    pub idle: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        let seconds = Duration::from_secs;
        Timeouts {
            connect: seconds(2),
            first_byte: seconds(60),
            gap: seconds(60),
            total: seconds(600),
            idle: seconds(50),
        }
    }
}

impl From<&UpstreamDefaults> for Timeouts {
    fn from(defaults: &UpstreamDefaults) -> Self {
        let UpstreamDefaults { connect, first_byte, gap, total, idle, .. } = defaults;
        Timeouts { connect: *connect, first_byte: *first_byte, gap: *gap, total: *total, idle: *idle }
    }
}

impl Timeouts {
    fn apply(&self, peer: &mut HttpPeer) {
        peer.options.connection_timeout = Some(self.connect);
        peer.options.total_connection_timeout = Some(self.connect);
        peer.options.idle_timeout = Some(self.idle);
    }
}

const JSON: &str = "application/json";

/// Where requests go, and how long they may take.
#[derive(Clone)]
pub struct Place {
    /// The address.
    pub address: Arc<Address>,
    /// Deadlines.
    pub timeouts: Timeouts,
}

/// What is behind a served entity, ready to be called.
pub struct Upstream {
    /// Provider as the contract spells it, for messages and metrics.
    pub provider: &'static str,
    /// Where it lives.
    pub place: Place,
    /// How to speak to it; `None` = in the client's schema.
    pub pair: Option<&'static Pair>,
    /// Client headers that it gets to see.
    pub passes: &'static [&'static str],
    head: Head,
    /// What the head cannot hold because it changes.
    credential: Credential,
    /// The model's name there.
    model: ModelName,
    /// The credentials as sent, to be masked in quoted errors.
    pub secrets: Secrets,
    /// The engine whose health decides whether it gets traffic.
    pub engine: Option<Arc<Engine>>,
}

/// How an upstream calls the model.
enum ModelName {
    Fixed(Arc<str>),
    /// As the engine itself says on `/v1/models`.
    Learned(Arc<Engine>),
}

impl Upstream {
    /// Builds what a target needs; the refusal is what a query to it gets.
    pub fn build(target: &Target, settings: &UpstreamDefaults, shared: &Registries) -> Result<Self, Refusal> {
        match target {
            Target::External(model) => Self::external(model, settings, shared),
            Target::Local(model) => Self::local(model, settings, shared),
        }
    }

    fn external(model: &ExternalModel, settings: &UpstreamDefaults, shared: &Registries) -> Result<Self, Refusal> {
        let Api { url, pair, headers, credential, secrets, passes } = Api::of(model, settings, shared)?;
        let refuse = |e: ProxyError| Refusal::new(Reason::Internal, e.to_string());
        Ok(Upstream {
            provider: model.provider.provider_name(),
            place: shared.place_of_url(&url, settings).map_err(refuse)?,
            pair,
            passes,
            head: Head::new(&url, JSON, &headers),
            credential,
            model: ModelName::Fixed(model.name.clone()),
            secrets: Secrets::new(secrets.iter().map(String::as_str)),
            engine: None,
        })
    }

    fn local(model: &Arc<Model>, settings: &UpstreamDefaults, shared: &Registries) -> Result<Self, Refusal> {
        let refuse = |e: ProxyError| Refusal::new(Reason::Internal, e.to_string());
        let (Some(task), Serving::Source(_) | Serving::Engine { .. }) = (model.task, &model.serving) else {
            return Err(Refusal::new(
                Reason::NotImplemented,
                "this version of weirgate cannot call custom model servers yet; engines and external models work",
            ));
        };
        let engine = shared.engines.get_or_start(model, settings, shared).map_err(refuse)?;
        let place = match &model.serving {
            // The engine outlives a change of deadlines, the address has them built in.
            Serving::Engine { url } => shared.place_of_url(url, settings).map_err(refuse)?,
            _ => Place { address: engine.address.clone(), timeouts: Timeouts::from(settings) },
        };
        let name = match (&model.served_name, &model.serving) {
            (Some(name), _) => ModelName::Fixed(name.clone()),
            (None, Serving::Source(_)) => ModelName::Fixed(model.id.name.clone()),
            (None, _) => ModelName::Learned(engine.clone()),
        };
        Ok(Upstream {
            provider: "weirgate-inference",
            place,
            pair: None,
            passes: provider::OPENAI_PASSES,
            head: Head::new(&join(&engine.base, &format!("v1/{}", task_path(task))), JSON, &[]),
            credential: Credential::Fixed,
            model: name,
            secrets: Secrets::default(),
            engine: Some(engine),
        })
    }

    /// Whether it may get traffic now.
    pub fn is_ready(&self) -> bool {
        self.engine.as_ref().is_none_or(|engine| engine.is_ready())
    }

    /// The model's name to put into the request.
    pub fn model(&self) -> Arc<str> {
        match &self.model {
            ModelName::Fixed(name) => name.clone(),
            ModelName::Learned(engine) => engine.served_name(),
        }
    }

    /// The addresses that it needs: its own, and that of its tokens.
    pub fn addresses(&self) -> impl Iterator<Item = &Arc<Address>> {
        [Some(&self.place.address), self.credential.address()].into_iter().flatten()
    }

    /// The head of a request for `path` below the upstream's own, with credentials, length, the request's own headers
    /// and `passed_on`, which are whole header lines.
    pub async fn request_head(
        &self,
        path: &str,
        own: &[(&'static str, String)],
        passed_on: &[u8],
        body: &[u8],
    ) -> Result<Vec<u8>, Refusal> {
        let authorization = match &self.credential {
            Credential::Fixed => Authorization::None,
            Credential::Token(token) => Authorization::Token(token.get().await?),
            Credential::Aws(signer) => Authorization::Signed(signer.sign(&self.head.url(path), body)?),
        };
        Ok(self.head.with(path, own, &authorization, passed_on, body.len()))
    }
}

/// What all requests to a place begin with.
struct Head {
    /// Scheme and authority, as a signature covers them.
    origin: String,
    /// The request's target, or its beginning.
    target: String,
    /// What follows the target: version and headers.
    rest: Vec<u8>,
}

impl Head {
    fn new(url: &Url, content_type: &str, headers: &[(String, String)]) -> Self {
        let host = url.host_str().unwrap_or("localhost");
        let host = url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"));
        let mut target = url.path().to_owned();
        if let Some(query) = url.query() {
            target.push('?');
            target.push_str(query);
        }
        let mut rest = Vec::with_capacity(256);
        rest.extend_from_slice(b" HTTP/1.1\r\n");
        push_header(&mut rest, "host", host.as_bytes());
        for (name, value) in headers {
            push_header(&mut rest, name, value.as_bytes());
        }
        push_header(&mut rest, "content-type", content_type.as_bytes());
        // Usage is read and streams are repaired as they pass, so answers must come uncompressed.
        push_header(&mut rest, "accept-encoding", b"identity");
        push_header(&mut rest, "user-agent", concat!("weirgate/", env!("CARGO_PKG_VERSION")).as_bytes());
        Head { origin: format!("{}://{host}", url.scheme()), target, rest }
    }

    /// The whole URL of a path below.
    fn url(&self, path: &str) -> String {
        format!("{}{}{path}", self.origin, self.target.trim_end_matches('/'))
    }

    fn with(
        &self,
        path: &str,
        own: &[(&'static str, String)],
        authorization: &Authorization,
        passed_on: &[u8],
        length: usize,
    ) -> Vec<u8> {
        let fixed = self.target.len() + self.rest.len() + path.len() + passed_on.len();
        let own_size: usize = own.iter().map(|(name, value)| name.len() + value.len() + 4).sum();
        let mut head = Vec::with_capacity(fixed + own_size + authorization.size() + 64);
        head.extend_from_slice(b"POST ");
        let base = if path.is_empty() { &self.target } else { self.target.trim_end_matches('/') };
        head.extend_from_slice(base.as_bytes());
        head.extend_from_slice(path.as_bytes());
        head.extend_from_slice(&self.rest);
        authorization.push(&mut head);
        for (name, value) in own {
            push_header(&mut head, name, value.as_bytes());
        }
        head.extend_from_slice(passed_on);
        push_header(&mut head, "content-length", length.to_string().as_bytes());
        head.extend_from_slice(b"\r\n");
        head
    }
}

/// Adds one header line.
pub fn push_header(head: &mut Vec<u8>, name: &str, value: &[u8]) {
    head.extend_from_slice(name.as_bytes());
    head.extend_from_slice(b": ");
    head.extend_from_slice(value);
    head.extend_from_slice(b"\r\n");
}

#[cfg(test)]
#[path = "mod_tests.rs"]
mod tests;
