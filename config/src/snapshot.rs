//! What the data plane runs on: compiled, immutable, cheap to share. Made by `load`; never changed afterwards.

use std::{collections::BTreeMap, fmt, net::SocketAddr, path::PathBuf, sync::Arc, time::Duration};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use url::Url;

pub use crate::document::{BedrockProvider, PermissionLevel, Task};
use crate::{diagnostic::Diagnostic, document::EndpointSpec, secret::Secret};

/// One complete, valid state of the gateway.
#[derive(Clone)]
pub struct Snapshot {
    /// Number of this state: 1 for the one that a [`Keeper`](crate::Keeper) opened with, one more for each later one. 0 from a bare `load`.
    pub generation: u64,
    /// What `weirgate.yaml` says, defaults filled in.
    pub settings: Settings,
    /// Endpoints by name.
    pub endpoints: BTreeMap<Arc<str>, Arc<Endpoint>>,
    /// Catalogue models by name and version.
    pub models: BTreeMap<ModelId, Arc<Model>>,
    /// Accepted bearer tokens.
    pub tokens: Vec<TokenEntry>,
    /// Principals whose groups the configuration decides, whatever their tokens say.
    pub principals: Vec<PrincipalSpec>,
    /// Whose JWTs are accepted.
    pub issuers: Vec<JwtIssuer>,
    /// What is allowed and should still be looked at.
    pub warnings: Vec<Diagnostic>,
    /// SHA-256 over every input: document names and bytes, referenced files, certificates.
    pub digest: [u8; 32],
    /// The documents it was compiled from by their path in the folder, to be kept as the last good ones.
    pub documents: BTreeMap<PathBuf, Arc<str>>,
}

/// Without the documents' texts, which may hold secrets in the clear.
impl fmt::Debug for Snapshot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Snapshot")
            .field("generation", &self.generation)
            .field("settings", &self.settings)
            .field("endpoints", &self.endpoints)
            .field("models", &self.models)
            .field("warnings", &self.warnings)
            .finish_non_exhaustive()
    }
}

/// Gateway-wide settings.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// Public listeners, in file order.
    pub listeners: Vec<Listener>,
    /// Private listener for metrics and health, if any.
    pub operations: Option<Operations>,
    /// Data-plane workers; 0 = one per core.
    pub threads: usize,
    /// Caps on bodies and time.
    pub limits: Limits,
    /// Keep-alive towards clients.
    pub keepalive: KeepAlive,
    /// Deadlines and pool towards upstreams.
    pub upstreams: UpstreamDefaults,
    /// How long running requests may go on after SIGTERM.
    pub grace: Duration,
    /// The local inference engine's process.
    pub engine: EngineSettings,
    /// Whether the REST API shows the values of secrets to principals with READ on the scope.
    pub readable_secrets: bool,
}

/// The private listener.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Operations {
    /// Address to bind.
    pub address: SocketAddr,
    /// Whether the control API answers there too.
    pub control_api: bool,
}

/// A public listener.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listener {
    /// Address to bind.
    pub address: SocketAddr,
    /// TLS, if any.
    pub tls: Option<TlsFiles>,
    /// Whether HTTP/2 without TLS is accepted.
    pub h2c: bool,
}

/// Certificate chain and key, both PEM, as absolute or working-directory-relative paths.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsFiles {
    /// Certificate chain.
    pub cert: PathBuf,
    /// Private key.
    pub key: PathBuf,
}

/// Caps on request bodies and on the time a client may take. Sizes in bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Largest request body on query routes.
    pub body: u64,
    /// Largest request body on control routes.
    pub control_body: u64,
    /// All request bodies held at once.
    pub bodies_in_flight: u64,
    /// To receive a request head.
    pub head_timeout: Duration,
    /// Between two reads of a request body.
    pub body_timeout: Duration,
    /// Between two successful writes to the client.
    pub write_timeout: Duration,
}

/// Keep-alive towards clients.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeepAlive {
    /// How long an idle connection stays open.
    pub idle: Duration,
    /// Requests per connection; `None` = no limit.
    pub max_requests: Option<u32>,
}

/// Deadlines and pool towards upstreams.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UpstreamDefaults {
    /// Whether loopback, private and link-local addresses and plain http are allowed.
    pub allow_private: bool,
    /// To connect, TLS included.
    pub connect: Duration,
    /// From the request sent to the first byte of the answer.
    pub first_byte: Duration,
    /// Between two reads of the answer.
    pub gap: Duration,
    /// For the whole attempt.
    pub total: Duration,
    /// How long a pooled connection may stay idle.
    pub idle: Duration,
    /// Pooled connections per worker.
    pub pool: usize,
}

/// How the supervised engine is started.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EngineSettings {
    /// The program; `None` = `weirgate-inference` beside the gateway's own binary or on the `PATH`.
    pub command: Option<PathBuf>,
    /// Compute threads; `None` = the engine decides.
    pub threads: Option<usize>,
    /// How long the models of a new config may take to get ready before the update has failed.
    pub deploy_timeout: Duration,
}

/// A bearer token that the configuration knows by its hash.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenEntry {
    /// SHA-256 of the token's text.
    pub sha256: [u8; 32],
    /// Who presents it.
    pub principal: PrincipalSpec,
    /// Unix seconds from which on it is refused.
    pub expires_at: Option<u64>,
}

/// A principal as the configuration names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PrincipalSpec {
    /// User or service principal.
    pub kind: PrincipalKind,
    /// User name or application id.
    pub name: Arc<str>,
    /// Groups, without the implied `users`.
    pub groups: Vec<Arc<str>>,
    /// Member of `admins`.
    pub admin: bool,
}

/// An issuer of JWT bearer tokens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JwtIssuer {
    /// The `iss` claim, to the letter.
    pub issuer: String,
    /// Accepted `aud` values; at least one.
    pub audiences: Vec<String>,
    /// Where its keys are; `None` = the `jwks_uri` of `<issuer>/.well-known/openid-configuration`.
    pub jwks_url: Option<Url>,
    /// Accepted `alg` values; asymmetric ones only.
    pub algorithms: Vec<JwtAlgorithm>,
    /// Claim that names the user.
    pub user_claim: String,
    /// Put before the user's and the service principal's name.
    pub user_prefix: String,
    /// Claim that names the service principal, looked at when the user claim is absent.
    pub service_principal_claim: Option<String>,
    /// Claim with the list of groups.
    pub groups_claim: Option<String>,
    /// Group names of the issuer and what they are called here. With entries, unmapped groups are dropped.
    pub groups: BTreeMap<String, Arc<str>>,
    /// How far clocks may differ.
    pub leeway: Duration,
}

/// Signature algorithms of JWTs (RFC 7518 §3.1, RFC 8037).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[allow(missing_docs, reason = "the RFC's own names")]
pub enum JwtAlgorithm {
    RS256,
    RS384,
    RS512,
    PS256,
    PS384,
    PS512,
    ES256,
    ES384,
    EdDSA,
}

/// Kinds of principal that can hold a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PrincipalKind {
    /// A person.
    User,
    /// A machine.
    ServicePrincipal,
}

/// What an endpoint's served entities are (contract §4.2, rule 1: one kind per endpoint).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum EndpointKind {
    /// Models of providers.
    External,
    /// Models of the own engine or of a vLLM-compatible server.
    Foundation,
    /// Models behind a scoring server.
    Custom,
    /// No config yet; cannot be queried.
    Empty,
}

/// A compiled endpoint.
#[derive(Clone, Debug)]
pub struct Endpoint {
    /// Its name.
    pub name: Arc<str>,
    /// Kind of all its entities.
    pub kind: EndpointKind,
    /// Common task; `None` for custom models and empty endpoints.
    pub task: Option<Task>,
    /// Served entities in file order; weights sum to 100 unless empty.
    pub entities: Vec<Arc<ServedEntity>>,
    /// Direct grants; `None` = the document names none, and every principal may query.
    pub permissions: Option<Vec<Permission>>,
    /// The document it was compiled from.
    pub document: Arc<EndpointSpec>,
}

/// One model behind an endpoint.
#[derive(Clone, Debug)]
pub struct ServedEntity {
    /// Unique in the endpoint.
    pub name: Arc<str>,
    /// Share of traffic in percent, 0-100.
    pub weight: u32,
    /// Who answers.
    pub target: Target,
    /// Token rate bounds; `None` = pay-per-token, or not a foundation model.
    pub throughput: Option<Throughput>,
}

/// Provisioned throughput in tokens per second.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Throughput {
    /// Always kept ready; 0 = may scale to zero.
    pub min: u32,
    /// Never exceeded.
    pub max: u32,
}

/// Who answers for a served entity.
#[derive(Clone, Debug)]
#[allow(
    clippy::large_enum_variant,
    reason = "few, long-lived, always behind an Arc; a box would be one more hop per request"
)]
pub enum Target {
    /// A provider's model.
    External(Box<ExternalModel>),
    /// A catalogue model.
    Local(Arc<Model>),
}

/// A provider's model with everything needed to call it.
#[derive(Clone, Debug, PartialEq)]
pub struct ExternalModel {
    /// The provider's model id.
    pub name: Arc<str>,
    /// What it is used for.
    pub task: Task,
    /// Base URL and credentials.
    pub provider: ProviderConfig,
}

/// A provider's base URL and credentials (contract §6.3, product.md §4). Bases have no trailing slash in their path beyond the root's.
#[derive(Clone, Debug, PartialEq)]
pub enum ProviderConfig {
    /// OpenAI, or anything that speaks its schema at a base.
    OpenAi {
        /// `…/v1`
        base: Url,
        /// Bearer token.
        key: Secret,
        /// `OpenAI-Organization`
        organization: Option<String>,
    },
    /// OpenAI on Azure with an API key.
    Azure {
        /// The resource's root.
        base: Url,
        /// `api-key`
        key: Secret,
        /// `api-version` in the query.
        api_version: String,
        /// Deployment in the path.
        deployment: String,
        /// `OpenAI-Organization`
        organization: Option<String>,
    },
    /// OpenAI on Azure with Entra ID.
    AzureAd {
        /// The resource's root.
        base: Url,
        /// How to get the bearer token.
        credential: EntraCredential,
        /// `api-version` in the query.
        api_version: String,
        /// Deployment in the path.
        deployment: String,
        /// `OpenAI-Organization`
        organization: Option<String>,
    },
    /// Anthropic.
    Anthropic {
        /// API root.
        base: Url,
        /// `x-api-key`
        key: Secret,
    },
    /// Cohere.
    Cohere {
        /// API root.
        base: Url,
        /// Bearer token.
        key: Secret,
    },
    /// Amazon Bedrock.
    AmazonBedrock {
        /// `bedrock-runtime` of the region, or the given base.
        base: Url,
        /// Region for the signature.
        region: String,
        /// Maker of the model, which decides the body's form.
        maker: BedrockProvider,
        /// How requests are signed.
        credential: AwsCredential,
    },
    /// AI21 Labs.
    Ai21Labs {
        /// `…/studio/v1`
        base: Url,
        /// Bearer token.
        key: Secret,
    },
    /// Google Cloud Vertex AI.
    VertexAi {
        /// `{region}-aiplatform`, or the given base.
        base: Url,
        /// Region in the path.
        region: String,
        /// Project in the path.
        project: String,
        /// Service-account JSON, or a bare PEM.
        private_key: Secret,
        /// Account of a bare PEM.
        client_email: Option<String>,
    },
    /// Another workspace's serving endpoints.
    DatabricksModelServing {
        /// The workspace's root.
        workspace_url: Url,
        /// Bearer token.
        token: Secret,
    },
    /// PaLM (retired upstream).
    Palm {
        /// `x-goog-api-key`
        key: Secret,
    },
    /// Anything with OpenAI's format.
    Custom {
        /// As given; contract §6.4 says when a suffix is appended.
        url: Url,
        /// Header or bearer.
        auth: CustomAuth,
    },
}

impl ProviderConfig {
    /// The provider as the contract spells it (`openai` for all three OpenAI forms).
    pub fn provider_name(&self) -> &'static str {
        match self {
            Self::OpenAi { .. } | Self::Azure { .. } | Self::AzureAd { .. } => "openai",
            Self::Anthropic { .. } => "anthropic",
            Self::Cohere { .. } => "cohere",
            Self::AmazonBedrock { .. } => "amazon-bedrock",
            Self::Ai21Labs { .. } => "ai21labs",
            Self::VertexAi { .. } => "google-cloud-vertex-ai",
            Self::DatabricksModelServing { .. } => "databricks-model-serving",
            Self::Palm { .. } => "palm",
            Self::Custom { .. } => "custom",
        }
    }
}

/// Credential for Azure with Entra ID.
#[derive(Clone, Debug, PartialEq)]
pub enum EntraCredential {
    /// Client-credentials grant.
    Client {
        /// Tenant.
        tenant_id: String,
        /// Application.
        client_id: String,
        /// Its secret.
        client_secret: Secret,
    },
    /// A ready access token.
    Token(Secret),
}

/// Credential for AWS Signature v4.
#[derive(Clone, Debug, PartialEq)]
pub enum AwsCredential {
    /// A key pair.
    Keys {
        /// Access key id.
        access_key_id: Secret,
        /// Secret access key.
        secret_access_key: Secret,
    },
    /// The machine's instance profile with this ARN.
    InstanceProfile(String),
}

/// Credential of a custom provider.
#[derive(Clone, Debug, PartialEq)]
pub enum CustomAuth {
    /// `name: value`
    Header {
        /// Header name.
        name: String,
        /// Header value.
        value: Secret,
    },
    /// `Authorization: Bearer …`
    Bearer(Secret),
}

/// Name and version of a catalogue model.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ModelId {
    /// For example `system.ai.smollm2_135m_instruct`.
    pub name: Arc<str>,
    /// Digits.
    pub version: Arc<str>,
}

impl fmt::Display for ModelId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} version {}", self.name, self.version)
    }
}

/// A catalogue model.
#[derive(Clone, Debug, PartialEq)]
pub struct Model {
    /// Name and version.
    pub id: ModelId,
    /// `None` for a custom model.
    pub task: Option<Task>,
    /// Who runs it.
    pub serving: Serving,
    /// The model's name on its server, when it differs from the catalogue's.
    pub served_name: Option<Arc<str>>,
    /// Architecture family, for example `llama`.
    pub model_type: Option<Arc<str>>,
    /// Step of provisioned throughput in tokens per second.
    pub throughput_chunk_size: Option<u32>,
    /// Used only when a request brings no system turn.
    pub default_system_prompt: Option<Arc<str>>,
}

/// Who runs a catalogue model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Serving {
    /// The own engine, from this file or folder.
    Source(PathBuf),
    /// A vLLM-compatible server at this root.
    Engine {
        /// Root, without `/v1`.
        url: Url,
    },
    /// An MLflow scoring server at this root.
    Server {
        /// Root, without `/invocations`.
        url: Url,
    },
}

/// A grant on an endpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Permission {
    /// To whom.
    pub principal: PermissionPrincipal,
    /// What.
    pub level: PermissionLevel,
}

/// Whom a grant names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PermissionPrincipal {
    /// A user by name.
    User(Arc<str>),
    /// A group by name.
    Group(Arc<str>),
    /// A service principal by application id.
    ServicePrincipal(Arc<str>),
}
