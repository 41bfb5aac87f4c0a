//! `weirgate.yaml`.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{ByteSize, Span};
use crate::snapshot::JwtAlgorithm;

/// Gateway settings: listeners, limits, deadlines, authentication. Every key is optional.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields, title = "weirgate.yaml")]
#[serde(default)]
pub struct GatewaySpec {
    /// Public listeners. Default: one on 127.0.0.1:8080.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub listeners: Option<Vec<ListenerSpec>>,
    /// Private listener for /metrics, /healthz and /readyz. Default: none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub operations: Option<OperationsSpec>,
    /// Data-plane workers; 0 = one per core.
    #[schemars(range(max = 1024))]
    pub threads: u32,
    /// Caps on request bodies and on the time a client may take.
    pub limits: LimitsSpec,
    /// Keep-alive towards clients.
    pub keepalive: KeepAliveSpec,
    /// Deadlines and pool towards providers and engines.
    pub upstreams: UpstreamsSpec,
    /// What happens on SIGTERM.
    pub shutdown: ShutdownSpec,
    /// Who may call.
    pub authentication: AuthenticationSpec,
    /// The local inference engine.
    pub engine: EngineSpec,
    /// Secrets of the REST API.
    pub secrets: SecretsSpec,
}

/// A public listener.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct ListenerSpec {
    /// IP address and port, for example 0.0.0.0:8080 or [::]:8080.
    pub address: String,
    /// Certificate and key; without it the listener is plain.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tls: Option<TlsSpec>,
    /// Whether HTTP/2 without TLS is accepted. Default: true.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub h2c: Option<bool>,
}

/// TLS of a listener. Paths are relative to the config folder.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct TlsSpec {
    /// PEM file with the certificate chain, leaf first.
    pub cert: String,
    /// PEM file with the private key.
    pub key: String,
}

/// The private listener.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct OperationsSpec {
    /// IP address and port.
    pub address: String,
    /// Whether the control API answers here too, with the same authentication. Default: false.
    #[serde(default)]
    pub control_api: bool,
}

/// Caps on request bodies and on the time a client may take.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
#[serde(default)]
pub struct LimitsSpec {
    /// Largest body on query routes; 413 beyond.
    pub body: ByteSize,
    /// Largest body on control routes; 413 beyond.
    pub control_body: ByteSize,
    /// All request bodies held at once; 503 beyond.
    pub bodies_in_flight: ByteSize,
    /// To receive a request head.
    pub head_timeout: Span,
    /// Between two reads of a request body.
    pub body_timeout: Span,
    /// Between two writes to a client that does not read.
    pub write_timeout: Span,
}

impl Default for LimitsSpec {
    fn default() -> Self {
        Self {
            body: ByteSize(32 << 20),
            control_body: ByteSize(4 << 20),
            bodies_in_flight: ByteSize(1 << 30),
            head_timeout: Span::seconds(10),
            body_timeout: Span::seconds(30),
            write_timeout: Span::seconds(60),
        }
    }
}

/// Keep-alive towards clients.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
#[serde(default)]
pub struct KeepAliveSpec {
    /// How long an idle connection stays open.
    pub idle: Span,
    /// Requests per connection. Default: no limit.
    #[schemars(range(min = 1))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_requests: Option<u32>,
}

impl Default for KeepAliveSpec {
    fn default() -> Self {
        Self { idle: Span::seconds(60), max_requests: None }
    }
}

/// Deadlines and pool towards providers and engines.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
#[serde(default)]
pub struct UpstreamsSpec {
    /// Allow upstreams on loopback, private and link-local addresses, and plain http. For local engines and tests.
    pub allow_private: bool,
    /// To connect, TLS included.
    pub connect: Span,
    /// From the request sent to the first byte of the answer.
    pub first_byte: Span,
    /// Between two reads of the answer.
    pub gap: Span,
    /// For a whole attempt.
    pub total: Span,
    /// How long a pooled connection may stay idle; keep it below the provider's own limit.
    pub idle: Span,
    /// Pooled idle connections per worker.
    #[schemars(range(max = 65536))]
    pub pool: u32,
}

impl Default for UpstreamsSpec {
    fn default() -> Self {
        Self {
            allow_private: false,
            connect: Span::seconds(2),
            first_byte: Span::seconds(60),
            gap: Span::seconds(60),
            total: Span::seconds(600),
            idle: Span::seconds(50),
            pool: 512,
        }
    }
}

/// What happens on SIGTERM.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
#[serde(default)]
pub struct ShutdownSpec {
    /// How long running requests may go on.
    pub grace: Span,
}

impl Default for ShutdownSpec {
    fn default() -> Self {
        Self { grace: Span::seconds(600) }
    }
}

/// Who may call.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
#[serde(default)]
pub struct AuthenticationSpec {
    /// Bearer tokens by their hash.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub tokens: Vec<TokenSpec>,
    /// Groups and rights of principals, whatever their tokens say.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub principals: Vec<KnownPrincipalSpec>,
    /// Issuers whose JWTs are accepted as bearer tokens.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub jwt: Vec<JwtIssuerSpec>,
}

/// A bearer token. Exactly one of user and service_principal.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct TokenSpec {
    /// SHA-256 of the token in hex (`printf %s "$TOKEN" | sha256sum`).
    #[schemars(regex(pattern = r"^[0-9a-fA-F]{64}$"), extend("x-expected" = "64 hex digits, the SHA-256 of the token"))]
    pub sha256: String,
    /// Name of the user who holds it.
    #[schemars(length(min = 1, max = 255))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// Application id of the service principal that holds it.
    #[schemars(length(min = 1, max = 255))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub service_principal: Option<String>,
    /// Groups of the principal, beside `users`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub groups: Vec<String>,
    /// Member of `admins`: may do everything.
    #[serde(default)]
    pub admin: bool,
    /// When it stops being accepted, RFC 3339, for example 2027-01-31T00:00:00Z.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expires: Option<String>,
}

/// A principal whose groups are decided here. Exactly one of user and service_principal.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct KnownPrincipalSpec {
    /// Name of the user.
    #[schemars(length(min = 1, max = 255))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// Application id of the service principal.
    #[schemars(length(min = 1, max = 255))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub service_principal: Option<String>,
    /// Its groups, beside `users`; replaces what its tokens say.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub groups: Vec<String>,
    /// Member of `admins`: may do everything.
    #[serde(default)]
    pub admin: bool,
}

/// An issuer of JWTs (RFC 7519), for example an OpenID Connect provider.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct JwtIssuerSpec {
    /// The `iss` claim, to the letter.
    #[schemars(length(min = 1, max = 1024))]
    pub issuer: String,
    /// Accepted `aud` claims; one of them must be in the token.
    #[schemars(length(min = 1))]
    pub audiences: Vec<String>,
    /// Where its keys (JWKS) are. Default: the jwks_uri of ISSUER/.well-known/openid-configuration.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub jwks_url: Option<String>,
    /// Accepted signature algorithms. Default: RS256 and ES256.
    #[schemars(length(min = 1))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub algorithms: Option<Vec<JwtAlgorithm>>,
    /// Claim that names the user. Default: sub.
    #[schemars(length(min = 1, max = 255))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user_claim: Option<String>,
    /// Put before the names of its users and service principals, so that they are no one else's, for example `okta:`. Default: nothing.
    #[schemars(length(min = 1, max = 64))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user_prefix: Option<String>,
    /// Claim with the application id of a service principal, for tokens without the user's claim.
    #[schemars(length(min = 1, max = 255))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub service_principal_claim: Option<String>,
    /// Claim with the list of groups. Default: tokens bring no groups.
    #[schemars(length(min = 1, max = 255))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub groups_claim: Option<String>,
    /// What the issuer's groups are called here; with entries, all other groups are dropped. Only an entry leads to `admins`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub groups: BTreeMap<String, String>,
    /// How far clocks may differ, at most 10m. Default: 60s.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub leeway: Option<Span>,
}

/// Secrets of the REST API.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
#[serde(default)]
pub struct SecretsSpec {
    /// Whether `GET /api/2.0/secrets/get` shows values to principals with READ on the scope. Default: false, nobody can read one back.
    pub readable: bool,
}

/// The local inference engine.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
#[serde(default)]
pub struct EngineSpec {
    /// The weirgate-inference program: a path relative to the config folder, or a bare name on the PATH. Default: found beside the gateway.
    #[schemars(length(min = 1))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub command: Option<String>,
    /// Compute threads. Default: the engine decides.
    #[schemars(range(min = 1, max = 1024))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub threads: Option<u32>,
    /// How long the models of a new config may take to get ready before the update has failed and the old config stays.
    pub deploy_timeout: Span,
}

impl Default for EngineSpec {
    fn default() -> Self {
        Self { command: None, threads: None, deploy_timeout: Span::seconds(600) }
    }
}
