//! JWT bearer tokens of configured issuers: keys fetched and kept fresh, signatures and claims checked, verdicts remembered.
//!
//! RFC 7519 (claims), 7515 (compact serialisation), 7517 (key sets), 7518 and 8037 (algorithms), 8725 (what to refuse), OpenID Connect
//! Discovery 1.0. Signatures are checked by ring, which TLS needs anyway: the `jsonwebtoken` crate would bring a second cryptography
//! library, and looks at the system's clock itself.

mod claims;
mod fetch;
mod issuer;
mod keys;
mod token;
mod verdicts;

use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::ArcSwap;
use futures_util::future::join_all;
use tokio::sync::Notify;
use weirgate_config::snapshot::JwtIssuer;
use weirgate_policy::identity::{Credential, hash_token};

use fetch::Fetcher;
use issuer::Issuer;
use token::{LONGEST_TOKEN, Token};
use verdicts::{Verdict, Verdicts};

/// The accepted issuers with their keys.
pub struct Issuers {
    table: ArcSwap<Table>,
    verdicts: Verdicts,
    /// Makes [`Issuers::keep_fresh`] look at the table again.
    changed: Notify,
    /// Held by the one who replaces the table.
    configuring: Mutex<()>,
}

struct Table {
    issuers: Vec<Arc<Issuer>>,
    fetcher: Arc<Fetcher>,
}

impl Table {
    fn issuer(&self, name: &str) -> Option<&Arc<Issuer>> {
        self.issuers.iter().find(|issuer| issuer.config.issuer == name)
    }
}

/// Why a token is refused. Nobody but the debug log is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
enum Refused {
    #[error("it is longer than {LONGEST_TOKEN} bytes")]
    TooLong,
    #[error("it is no JWS in compact form")]
    Malformed,
    #[error("its type is not that of a bearer token")]
    Type,
    #[error("it has critical header parameters, of which none is understood")]
    Critical,
    #[error("its algorithm is not accepted")]
    Algorithm,
    #[error("its issuer is not configured")]
    Issuer,
    #[error("its claim {0} is absent or malformed")]
    Claim(&'static str),
    #[error("it is for another audience")]
    Audience,
    #[error("it has expired")]
    Expired,
    #[error("it is not valid yet")]
    NotYet,
    #[error("it names nobody")]
    Nobody,
    #[error("the issuer has no such key")]
    UnknownKey,
    #[error("its signature does not fit")]
    Signature,
}

impl Issuers {
    /// `allow_private`: whether keys may be fetched from private addresses and over plain http (`upstreams.allow_private`).
    pub fn new(issuers: &[JwtIssuer], allow_private: bool) -> Self {
        let fetcher = Arc::new(Fetcher::new(allow_private));
        let issuers = issuers.iter().cloned().map(|config| Arc::new(Issuer::new(config))).collect();
        Issuers {
            table: ArcSwap::from_pointee(Table { issuers, fetcher }),
            verdicts: Verdicts::default(),
            changed: Notify::new(),
            configuring: Mutex::new(()),
        }
    }

    /// Takes a changed list over; keys of unchanged issuers stay.
    pub fn configure(&self, issuers: &[JwtIssuer], allow_private: bool) {
        let _alone = self.configuring.lock().unwrap_or_else(PoisonError::into_inner);
        let old = self.table.load_full();
        let same_rules = old.fetcher.allows_private() == allow_private;
        if same_rules && old.issuers.iter().map(|issuer| &issuer.config).eq(issuers) {
            return;
        }
        let fetcher = if same_rules { old.fetcher.clone() } else { Arc::new(Fetcher::new(allow_private)) };
        let take_over = |config: &JwtIssuer| match old.issuer(&config.issuer) {
            Some(before) if same_rules && before.config == *config => before.clone(),
            Some(before) if same_rules && before.config.jwks_url == config.jwks_url => {
                Arc::new(Issuer::with_keys_of(config.clone(), before))
            }
            _ => Arc::new(Issuer::new(config.clone())),
        };
        let new = Table { issuers: issuers.iter().map(take_over).collect(), fetcher };
        let gone: Vec<_> =
            old.issuers.iter().filter(|old| !new.issuers.iter().any(|new| Arc::ptr_eq(old, new))).collect();
        self.table.store(Arc::new(new));
        gone.into_iter().for_each(|issuer| issuer.retire());
        self.changed.notify_one();
    }

    /// Whether a bearer token has the form of a JWT and any issuer is configured; costs next to nothing.
    pub fn concerns(&self, token: &[u8]) -> bool {
        token.len() <= LONGEST_TOKEN
            && token.iter().filter(|byte| **byte == b'.').count() == 2
            && !self.table.load().issuers.is_empty()
    }

    /// Whose token it is, if it is good at `now` (Unix seconds). A verdict is remembered until the token expires (bounded in time and
    /// number); an unknown key id leads to one fetch of the issuer's keys, shared by all who wait and rate-limited.
    pub async fn authenticate(&self, token: &[u8], now: u64) -> Option<Credential> {
        match self.judge(token, now).await {
            Ok(credential) => Some(credential),
            Err(why) => {
                log::debug!("a JWT is refused: {why}");
                None
            }
        }
    }

    async fn judge(&self, bytes: &[u8], now: u64) -> Result<Credential, Refused> {
        if bytes.len() > LONGEST_TOKEN {
            return Err(Refused::TooLong);
        }
        let hash = hash_token(bytes);
        if let Some(credential) = self.verdicts.get(&hash, now) {
            return Ok(credential);
        }
        let token = Token::parse(bytes)?;
        // Everything that costs little is refused before a key is looked for: nobody's claims are believed before the signature.
        let issuer = self.table.load().issuer(token.issuer()?).cloned().ok_or(Refused::Issuer)?;
        if !issuer.config.algorithms.contains(&token.algorithm) {
            return Err(Refused::Algorithm);
        }
        let credential = claims::credential(&token.claims, &issuer.config, now)?;
        let keys = issuer.keys_with(token.key_id.as_deref()).await.ok_or(Refused::UnknownKey)?;
        keys.verify(&token)?;
        self.verdicts.put(hash, Verdict::new(credential.clone(), issuer, keys, now), now);
        Ok(credential)
    }

    /// Fetches keys before they are needed and again when they grow old; runs until dropped.
    pub async fn keep_fresh(&self) {
        loop {
            let table = self.table.load_full();
            let all = join_all(table.issuers.iter().map(|issuer| issuer.keep_fresh(&table.fetcher)));
            // Each of `all` is endless; with no issuer there is only the change to wait for.
            tokio::select! {
                _ = all, if !table.issuers.is_empty() => {}
                () = self.changed.notified() => {}
            }
        }
    }
}

#[cfg(test)]
#[path = "tests/mod.rs"]
mod tests;
