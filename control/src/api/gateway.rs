//! The state of the gateway for platform teams, and what it does not do.

use schemars::JsonSchema;
use serde::Serialize;
use weirgate_config::{Diagnostic, Severity};
use weirgate_policy::door::Refusal;
use weirgate_policy::reason::Reason;

use super::{Answer, Method, Problem, Request, Route};

pub(super) fn routes() -> Vec<Route> {
    vec![
        Route::new(
            Method::Get,
            "/api/2.0/gateway/status",
            "What is served, and why the files are not if they are not.",
            status,
        )
        .admin()
        .answers::<GatewayStatus>(),
        Route::new(Method::Post, OAUTH_PATH, "OAuth for machines; not offered by this gateway.", no_oauth)
            .refuses(&[Reason::NotImplemented]),
    ]
}

/// What the gateway serves.
#[derive(Debug, Serialize, JsonSchema)]
struct GatewayStatus {
    /// Of the gateway's program.
    version: &'static str,
    /// Number of the state that is served; one more with every change.
    generation: u64,
    /// SHA-256 of the files that it was made of, in hex: replicas that serve the same state show the same.
    digest: String,
    /// Endpoints that are served.
    endpoints: usize,
    /// Why the files on disk are not served: `file:line:column: what`, one error a line. Absent if they are.
    #[serde(skip_serializing_if = "Option::is_none")]
    config_error: Option<String>,
    /// What is served and should still be looked at.
    warnings: Vec<String>,
}

fn status(request: Request) -> Result<Answer, Problem> {
    let (keeper, snapshot) = (&request.control.keeper, request.control.keeper.current());
    Ok(Answer::json(&GatewayStatus {
        version: env!("CARGO_PKG_VERSION"),
        generation: snapshot.generation,
        digest: hex::encode(snapshot.digest),
        endpoints: snapshot.endpoints.len(),
        config_error: keeper.broken().map(|why| lines(why.iter().filter(|d| d.severity == Severity::Error)).join("\n")),
        warnings: lines(snapshot.warnings.iter()),
    }))
}

fn lines<'d>(diagnostics: impl Iterator<Item = &'d Diagnostic>) -> Vec<String> {
    diagnostics.map(ToString::to_string).collect()
}

fn no_oauth(_: Request) -> Result<Answer, Problem> {
    Err(oauth_refusal().into())
}

/// Where OAuth clients ask for tokens.
pub const OAUTH_PATH: &str = "/oidc/v1/token";

/// What they are told; they bring no token of the gateway's yet, so it is said before anyone is asked for one.
pub fn oauth_refusal() -> Refusal {
    Refusal::new(
        Reason::NotImplemented,
        "this gateway does not issue OAuth tokens; make a token at POST /api/2.0/token/create, or send a JWT of an issuer that weirgate.yaml names",
    )
}
