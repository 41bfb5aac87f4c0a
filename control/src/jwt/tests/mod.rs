mod fetching;
mod judging;
mod properties;
mod provider;
mod signer;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use weirgate_config::snapshot::{JwtAlgorithm, JwtIssuer};
use weirgate_policy::identity::Credential;

use super::Issuers;
use provider::Provider;
use signer::Signer;

/// The time at which the tests' tokens are looked at.
const NOW: u64 = 1_800_000_000;

/// Accepts everything that there is, from an issuer whose keys are at `provider`.
fn config(provider: &Provider) -> JwtIssuer {
    use JwtAlgorithm::*;
    JwtIssuer {
        issuer: provider.url(""),
        audiences: vec!["weirgate".into(), "https://other.example".into()],
        jwks_url: Some(provider.url("/keys").parse().unwrap()),
        algorithms: vec![RS256, RS384, RS512, PS256, PS384, PS512, ES256, ES384, EdDSA],
        user_claim: "email".into(),
        user_prefix: String::new(),
        service_principal_claim: Some("azp".into()),
        groups_claim: Some("groups".into()),
        groups: BTreeMap::new(),
        leeway: Duration::from_secs(60),
    }
}

/// Claims that `config` accepts.
fn claims(config: &JwtIssuer) -> Value {
    json!({"iss": config.issuer, "aud": "weirgate", "exp": NOW + 1000, "iat": NOW - 10, "nbf": NOW - 10, "email": "ada@x.org",
        "groups": ["research", "ops"]})
}

/// With the task that fetches keys, as in the gateway.
fn running(configs: &[JwtIssuer], allow_private: bool) -> Arc<Issuers> {
    let issuers = Arc::new(Issuers::new(configs, allow_private));
    let keeper = issuers.clone();
    tokio::spawn(async move { keeper.keep_fresh().await });
    issuers
}

/// A provider with one key, and what it takes to use it.
async fn one_key(signer: &Signer) -> (Arc<Provider>, JwtIssuer, Arc<Issuers>) {
    let provider = Provider::start(vec![signer.jwk()]).await;
    let config = config(&provider);
    let issuers = running(std::slice::from_ref(&config), true);
    (provider, config, issuers)
}

async fn authenticate(issuers: &Issuers, token: &str) -> Option<Credential> {
    issuers.authenticate(token.as_bytes(), NOW).await
}
