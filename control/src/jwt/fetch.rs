//! Fetches an issuer's key set, from where the configuration or the issuer's discovery document says.

use std::net::IpAddr;
use std::sync::OnceLock;
use std::time::Duration;

use http::header::CACHE_CONTROL;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use reqwest::{Client, Response};
use serde::Deserialize;
use tokio::net::lookup_host;
use url::{Host, Url};
use weirgate_config::address::is_private;
use weirgate_config::snapshot::JwtIssuer;

use super::keys::KeySet;

/// For one request, with everything that belongs to it.
pub(super) const PATIENCE: Duration = Duration::from_secs(5);
const LARGEST_BODY: usize = 1 << 20;
/// How long keys are good for if their answer does not say.
const USUALLY_GOOD_FOR: Duration = Duration::from_mins(5);
const SHORTEST_GOOD_FOR: Duration = Duration::from_mins(1);
const LONGEST_GOOD_FOR: Duration = Duration::from_hours(1);

pub(super) struct Fetcher {
    allow_private: bool,
    /// Made when first used: it reads the system's certificate authorities.
    client: OnceLock<Result<Client, String>>,
}

pub(super) struct Fetched {
    pub keys: KeySet,
    /// When to fetch again.
    pub good_for: Duration,
}

/// What is needed of OpenID Connect Discovery 1.0 §3.
#[derive(Deserialize)]
struct Discovery {
    issuer: String,
    jwks_uri: String,
}

impl Fetcher {
    pub fn new(allow_private: bool) -> Self {
        Fetcher { allow_private, client: OnceLock::new() }
    }

    pub fn allows_private(&self) -> bool {
        self.allow_private
    }

    pub async fn keys(&self, issuer: &JwtIssuer) -> Result<Fetched, String> {
        let url = match &issuer.jwks_url {
            Some(url) => url.clone(),
            None => self.discover(&issuer.issuer).await?,
        };
        let (body, good_for) = self.get(url).await?;
        Ok(Fetched { keys: KeySet::parse(&body)?, good_for })
    }

    async fn discover(&self, issuer: &str) -> Result<Url, String> {
        let url = format!("{}/.well-known/openid-configuration", issuer.trim_end_matches('/'));
        let url = Url::parse(&url).map_err(|e| format!("{url}: {e}; set jwks_url"))?;
        let (body, _) = self.get(url).await?;
        let found: Discovery =
            serde_json::from_slice(&body).map_err(|e| format!("the discovery document cannot be read: {e}"))?;
        // Discovery §4.3: else one issuer could speak for another.
        if found.issuer != issuer {
            return Err(format!("the discovery document is that of the issuer {:?}", found.issuer));
        }
        Url::parse(&found.jwks_uri).map_err(|e| format!("the discovery document's jwks_uri is no URL: {e}"))
    }

    /// Body, and how long it is good for.
    async fn get(&self, url: Url) -> Result<(Vec<u8>, Duration), String> {
        self.may_ask(&url)?;
        let client = self.client.get_or_init(|| client(self.allow_private)).as_ref().map_err(String::clone)?;
        let place = format!("{}{}", url.origin().ascii_serialization(), url.path());
        let said = |e: reqwest::Error| format!("{place}: {}", reasons(&e.without_url()));
        let mut answer = client.get(url).send().await.map_err(said)?;
        if answer.status() != http::StatusCode::OK {
            return Err(format!("{place} answered {}; a redirect is not followed", answer.status()));
        }
        let good_for = good_for(&answer);
        let mut body = Vec::new();
        while let Some(piece) = answer.chunk().await.map_err(said)? {
            if body.len() + piece.len() > LARGEST_BODY {
                return Err(format!("{place} answered more than {LARGEST_BODY} bytes"));
            }
            body.extend_from_slice(&piece);
        }
        Ok((body, good_for))
    }

    /// Names are checked when they are resolved.
    fn may_ask(&self, url: &Url) -> Result<(), String> {
        let address: Option<IpAddr> = match url.host() {
            Some(Host::Ipv4(address)) => Some(address.into()),
            Some(Host::Ipv6(address)) => Some(address.into()),
            _ => None,
        };
        match url.scheme() {
            _ if self.allow_private => Ok(()),
            "https" if address.is_some_and(is_private) => {
                Err(format!("{PRIVATE} ({})", url.origin().ascii_serialization()))
            }
            "https" => Ok(()),
            scheme => Err(format!("keys are fetched over https, not {scheme}, unless upstreams.allow_private is true")),
        }
    }
}

const PRIVATE: &str = "private addresses are refused unless upstreams.allow_private is true";

fn client(allow_private: bool) -> Result<Client, String> {
    // Whoever installed a provider before has installed this one.
    let _ = rustls::crypto::ring::default_provider().install_default();
    Client::builder()
        .timeout(PATIENCE)
        // A proxy or a redirect could lead to an address that is refused here.
        .no_proxy()
        .redirect(reqwest::redirect::Policy::none())
        .dns_resolver(Resolver { allow_private })
        .build()
        .map_err(|e| format!("no HTTP client: {}; check the system's CA certificates", reasons(&e)))
}

/// Looks names up for each connection and leaves private addresses out, so that no name can lead to one (SSRF, DNS rebinding).
struct Resolver {
    allow_private: bool,
}

impl Resolve for Resolver {
    fn resolve(&self, name: Name) -> Resolving {
        let allow_private = self.allow_private;
        Box::pin(async move {
            let mut found: Vec<_> = lookup_host((name.as_str(), 0)).await?.collect();
            found.retain(|address| allow_private || !is_private(address.ip()));
            if found.is_empty() {
                return Err(PRIVATE.into());
            }
            Ok(Box::new(found.into_iter()) as Addrs)
        })
    }
}

/// `max-age` of the answer (RFC 9111 §5.2.2.1), within limits.
fn good_for(answer: &Response) -> Duration {
    let directives = answer.headers().get_all(CACHE_CONTROL).iter().filter_map(|value| value.to_str().ok());
    let age = directives.flat_map(|value| value.split(',')).find_map(|directive| {
        let (name, value) = directive.split_once('=')?;
        name.trim().eq_ignore_ascii_case("max-age").then(|| value.trim().trim_matches('"').parse().ok())?
    });
    age.map_or(USUALLY_GOOD_FOR, |age| Duration::from_secs(age).clamp(SHORTEST_GOOD_FOR, LONGEST_GOOD_FOR))
}

/// An error with what caused it, which reqwest's own text leaves out.
fn reasons(error: &reqwest::Error) -> String {
    let mut text = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(inner) = source {
        text = format!("{text}: {inner}");
        source = inner.source();
    }
    text
}
