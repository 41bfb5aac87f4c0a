//! What is behind a served entity, prepared so that a request only has to fill in its own part.

pub mod address;
pub mod wire;

use std::sync::Arc;
use std::time::Duration;

use pingora_core::upstreams::peer::HttpPeer;
use url::Url;
use weirgate_config::secret::Secret;
use weirgate_config::snapshot::{
    CustomAuth, ExternalModel, Model, ProviderConfig, Serving, Target, Task, UpstreamDefaults,
};
use weirgate_policy::door::Refusal;
use weirgate_policy::reason::Reason;
use weirgate_translate::Secrets;

use crate::engines::Engine;
use crate::registry::Registries;
use address::Address;

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

/// A same-schema upstream, ready to be called.
pub struct Upstream {
    /// Provider as the contract spells it, for messages and metrics.
    pub provider: &'static str,
    /// Where it lives.
    pub address: Arc<Address>,
    /// Deadlines.
    pub timeouts: Timeouts,
    /// Request line and fixed headers, up to where the request's own headers go.
    head: Vec<u8>,
    /// The model's name there.
    model: ModelName,
    /// The credential as sent, to be masked in quoted errors.
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
        let provider = model.provider.provider_name();
        let (url, headers) = match &model.provider {
            ProviderConfig::OpenAi { base, key, organization } => {
                let mut headers = vec![bearer(key)?];
                if let Some(organization) = organization {
                    headers.push(("openai-organization", header_value(organization, "openai_organization")?));
                }
                (join(base, task_path(model.task)), headers)
            }
            ProviderConfig::DatabricksModelServing { workspace_url, token } => {
                let path = format!("serving-endpoints/{}/invocations", encode(&model.name));
                (join(workspace_url, &path), vec![bearer(token)?])
            }
            ProviderConfig::Custom { url, auth } => {
                let header = match auth {
                    CustomAuth::Bearer(token) => bearer(token)?,
                    CustomAuth::Header { name, value } => (name.as_str(), secret_value(value)?),
                };
                (custom_url(url, model.task), vec![header])
            }
            _ => {
                return Err(Refusal::new(
                    Reason::NotImplemented,
                    format!(
                        "this version of weirgate cannot call provider {provider} yet; openai, databricks-model-serving and custom work"
                    ),
                ));
            }
        };
        let address =
            shared.address_of_url(&url, settings).map_err(|e| Refusal::new(Reason::Internal, e.to_string()))?;
        let timeouts = Timeouts::from(settings);
        let secrets = Secrets::new(headers.first().map(|(_, value)| value.trim_start_matches("Bearer ")));
        let head = head(&url, &headers);
        let model = ModelName::Fixed(model.name.clone());
        Ok(Upstream { provider, address, timeouts, head, model, secrets, engine: None })
    }

    fn local(model: &Arc<Model>, settings: &UpstreamDefaults, shared: &Registries) -> Result<Self, Refusal> {
        let refuse = |e: crate::error::ProxyError| Refusal::new(Reason::Internal, e.to_string());
        let (Some(task), Serving::Source(_) | Serving::Engine { .. }) = (model.task, &model.serving) else {
            return Err(Refusal::new(
                Reason::NotImplemented,
                "this version of weirgate cannot call custom model servers yet; engines and external models work",
            ));
        };
        let engine = shared.engines.get_or_start(model, settings, shared).map_err(refuse)?;
        let name = match (&model.served_name, &model.serving) {
            (Some(name), _) => ModelName::Fixed(name.clone()),
            (None, Serving::Source(_)) => ModelName::Fixed(model.id.name.clone()),
            (None, _) => ModelName::Learned(engine.clone()),
        };
        let head = head(&join(&engine.base, &format!("v1/{}", task_path(task))), &[]);
        Ok(Upstream {
            provider: "weirgate-inference",
            address: engine.address.clone(),
            timeouts: Timeouts::from(settings),
            head,
            model: name,
            secrets: Secrets::default(),
            engine: Some(engine),
        })
    }

    /// Whether it may get traffic now.
    pub fn is_ready(&self) -> bool {
        self.engine.as_ref().is_none_or(|engine| engine.is_ready())
    }

    /// The model's name to put into the body.
    pub fn model(&self) -> Arc<str> {
        match &self.model {
            ModelName::Fixed(name) => name.clone(),
            ModelName::Learned(engine) => engine.served_name(),
        }
    }

    /// The request's head: fixed part, length, and the few headers that are passed on.
    pub fn request_head(&self, length: usize, passed_on: &[(&str, &[u8])]) -> Vec<u8> {
        let own: usize = passed_on.iter().map(|(name, value)| name.len() + value.len() + 4).sum();
        let mut head = Vec::with_capacity(self.head.len() + own + 32);
        head.extend_from_slice(&self.head);
        for (name, value) in passed_on {
            push_header(&mut head, name, value);
        }
        push_header(&mut head, "content-length", length.to_string().as_bytes());
        head.extend_from_slice(b"\r\n");
        head
    }
}

fn head(url: &Url, headers: &[(&str, String)]) -> Vec<u8> {
    let mut head = Vec::with_capacity(256);
    head.extend_from_slice(b"POST ");
    head.extend_from_slice(url.path().as_bytes());
    if let Some(query) = url.query() {
        head.push(b'?');
        head.extend_from_slice(query.as_bytes());
    }
    head.extend_from_slice(b" HTTP/1.1\r\n");
    let host = url.host_str().unwrap_or("localhost");
    let host = url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"));
    push_header(&mut head, "host", host.as_bytes());
    for (name, value) in headers {
        push_header(&mut head, name, value.as_bytes());
    }
    push_header(&mut head, "content-type", b"application/json");
    // Usage is read and streams are repaired as they pass, so answers must come uncompressed.
    push_header(&mut head, "accept-encoding", b"identity");
    push_header(&mut head, "user-agent", concat!("weirgate/", env!("CARGO_PKG_VERSION")).as_bytes());
    head
}

fn push_header(head: &mut Vec<u8>, name: &str, value: &[u8]) {
    head.extend_from_slice(name.as_bytes());
    head.extend_from_slice(b": ");
    head.extend_from_slice(value);
    head.extend_from_slice(b"\r\n");
}

fn bearer(secret: &Secret) -> Result<(&'static str, String), Refusal> {
    Ok(("authorization", format!("Bearer {}", secret_value(secret)?)))
}

fn secret_value(secret: &Secret) -> Result<String, Refusal> {
    match secret {
        Secret::Value(text) => header_value(text.expose().trim_end_matches(['\r', '\n']), "the credential"),
        Secret::Missing { reference, why } => {
            Err(Refusal::new(Reason::SecretMissing, format!("the secret {reference} has no value: {why}")))
        }
    }
}

/// Refuses what could break out of a header line (contract §6.2); never repeats the value.
fn header_value(value: &str, what: &str) -> Result<String, Refusal> {
    if http::HeaderValue::from_str(value).is_err() {
        return Err(Refusal::new(Reason::SecretMissing, format!("{what} holds characters that no header may hold")));
    }
    Ok(value.to_owned())
}

fn task_path(task: Task) -> &'static str {
    match task {
        Task::Chat => "chat/completions",
        Task::Completions => "completions",
        Task::Embeddings => "embeddings",
    }
}

/// Appends to a base's path, whatever its trailing slash; the base's query is kept.
fn join(base: &Url, path: &str) -> Url {
    let mut url = base.clone();
    url.set_path(&format!("{}/{path}", base.path().trim_end_matches('/')));
    url
}

/// Contract §6.4: a URL that ends in a task's path is taken as given, else the task's suffix is appended.
fn custom_url(url: &Url, task: Task) -> Url {
    let path = url.path().trim_end_matches('/');
    let complete = ["/chat/completions", "/completions", "/embeddings"].iter().any(|suffix| path.ends_with(suffix));
    if complete { url.clone() } else { join(url, task_path(task)) }
}

/// A path segment: all but unreserved characters escaped (RFC 3986 §2.3).
fn encode(segment: &str) -> String {
    const RESERVED: percent_encoding::AsciiSet =
        percent_encoding::NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');
    percent_encoding::utf8_percent_encode(segment, &RESERVED).to_string()
}

#[cfg(test)]
#[path = "mod_tests.rs"]
mod tests;
