//! OAuth access tokens for upstreams: fetched by one task beside the requests, at first use and again before they end.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use arc_swap::ArcSwapOption;
use bytes::Bytes;
use pingora_timeout::timeout;
use quanta::Instant;
use serde::Deserialize;
use serde_json::Value;
use tokio::sync::{Notify, watch};
use url::Url;
use weirgate_policy::door::Refusal;
use weirgate_policy::reason::Reason;
use weirgate_translate::{Secrets, mask};

use super::address::Address;
use super::credential::Authorization;
use super::grant::Grant;
use super::provider::header_value;
use super::{Head, Place};
use crate::live::{Live, unix_now};

const FORM: &str = "application/x-www-form-urlencoded";
/// How often to look for tokens that are to be renewed.
const EVERY: Duration = Duration::from_secs(1);
/// A token endpoint that takes longer is down.
const PATIENCE: Duration = Duration::from_secs(15);
/// After a failure the endpoint is left alone for so long.
const PAUSE: Duration = Duration::from_secs(2);
/// Larger answers are no token's.
const LARGEST_ANSWER: usize = 64 << 10;
/// The life of a token that does not say how long it lives (RFC 6749 §5.1 recommends that it does).
const DEFAULT_LIFE: u64 = 300;

/// An access token and the way to get it.
pub struct Token {
    id: [u8; 32],
    grant: Grant,
    url: Url,
    place: Place,
    held: ArcSwapOption<Held>,
    /// The last attempt: when it ended, and why it failed if it did.
    tried: watch::Sender<Option<(Instant, Option<Refusal>)>>,
    wanted: AtomicBool,
    fetching: AtomicBool,
    wake: Arc<Notify>,
}

/// A token as it is held.
pub struct Held {
    /// `Bearer …`
    pub authorization: String,
    renew_at: Instant,
    ends_at: Instant,
}

impl Token {
    /// The place that gives it out.
    pub fn address(&self) -> &Arc<Address> {
        &self.place.address
    }

    /// The token. Only the first request, and one after a token that could not be renewed, has to wait.
    pub async fn get(&self) -> Result<Arc<Held>, Refusal> {
        if let Some(held) = self.fresh() {
            return Ok(held);
        }
        let mut tried = self.tried.subscribe();
        if let Some((at, Some(refusal))) = &*tried.borrow()
            && at.elapsed() < PAUSE
        {
            return Err(refusal.clone());
        }
        self.wanted.store(true, Ordering::Release);
        self.wake.notify_one();
        // It may have come between the two looks.
        if let Some(held) = self.fresh() {
            return Ok(held);
        }
        let gone = || Refusal::new(Reason::Internal, "the gateway is going down");
        tried.changed().await.map_err(|_| gone())?;
        let outcome = tried.borrow().as_ref().and_then(|(_, refusal)| refusal.clone());
        match outcome {
            Some(refusal) => Err(refusal),
            None => self.fresh().ok_or_else(|| self.refuse(Reason::ProviderFailed, "gave a token that has ended")),
        }
    }

    fn fresh(&self) -> Option<Arc<Held>> {
        self.held.load_full().filter(|held| Instant::now() < held.ends_at)
    }

    /// Whether it is to be fetched now.
    fn is_due(&self) -> bool {
        let due = match &*self.held.load() {
            Some(held) => Instant::now() >= held.renew_at,
            None => self.wanted.load(Ordering::Acquire),
        };
        let tried = self.tried.borrow();
        let paused = matches!(&*tried, Some((at, Some(_))) if at.elapsed() < PAUSE);
        due && !paused
    }

    async fn renew(&self, live: &Live) {
        let fetched = timeout(PATIENCE, self.fetch(live)).await;
        let late = || self.refuse(Reason::UpstreamTimeout, "did not answer in time");
        let failure = match fetched.map_err(|_| late()).flatten() {
            Ok(held) => {
                self.held.store(Some(Arc::new(held)));
                None
            }
            Err(refusal) => {
                log::warn!("no access token: {}", refusal.message);
                Some(refusal)
            }
        };
        self.tried.send_replace(Some((Instant::now(), failure)));
    }

    async fn fetch(&self, live: &Live) -> Result<Held, Refusal> {
        let asked_at = Instant::now();
        let body = Bytes::from(self.grant.form(&self.url, unix_now())?);
        let head = Head::new(&self.url, FORM, &[]).with("", &[], &Authorization::None, b"", body.len());
        let mut answer = live.wire.send(&self.place, &head, &body, &mut 0).await?;
        let mut said = Vec::new();
        while let Some(piece) = answer.chunk(&self.place).await? {
            said.extend_from_slice(&piece);
            if said.len() > LARGEST_ANSWER {
                return Err(self.refuse(Reason::UpstreamBrokenAnswer, "sent an answer that is too large for a token"));
            }
        }
        if !(200..300).contains(&answer.status) {
            return Err(self.refused(answer.status, &said));
        }
        let given: Given = serde_json::from_slice(&said)
            .map_err(|_| self.refuse(Reason::UpstreamBrokenAnswer, "sent an answer without access_token"))?;
        let life = Duration::from_secs(given.life());
        Ok(Held {
            authorization: header_value(&format!("Bearer {}", given.access_token), "the access token")?,
            renew_at: asked_at + life.mul_f32(0.8),
            // What is on its way must still be accepted when it arrives.
            ends_at: asked_at + life.saturating_sub(Duration::from_secs(10).min(life / 10)),
        })
    }

    /// The token endpoint's own refusal (RFC 6749 §5.2).
    fn refused(&self, status: u16, said: &[u8]) -> Refusal {
        let said: Value = serde_json::from_slice(said).unwrap_or_default();
        let text = |key: &str| said.get(key).and_then(Value::as_str).unwrap_or_default();
        let why = format!("{} {}", text("error"), text("error_description"));
        let why: String = mask::clean(&why, &self.secrets()).chars().take(500).collect();
        let reason = if status < 500 && status != 429 { Reason::ProviderAuth } else { Reason::ProviderFailed };
        self.refuse(reason, &format!("gave no access token ({status}): {why}"))
    }

    fn refuse(&self, reason: Reason, what: &str) -> Refusal {
        Refusal::new(reason, format!("{} {what}", self.place.address.label))
    }

    fn secrets(&self) -> Secrets {
        match &self.grant {
            Grant::Client { secret, .. } => Secrets::new([secret.as_str()]),
            Grant::Account(_) => Secrets::default(),
        }
    }
}

/// A token endpoint's answer (RFC 6749 §5.1).
#[derive(Deserialize)]
struct Given {
    access_token: String,
    #[serde(default)]
    expires_in: Value,
}

impl Given {
    /// Seconds; some endpoints write them as text.
    fn life(&self) -> u64 {
        match &self.expires_in {
            Value::Number(seconds) => seconds.as_u64(),
            Value::String(seconds) => seconds.parse().ok(),
            _ => None,
        }
        .unwrap_or(DEFAULT_LIFE)
        .min(24 * 3600)
    }
}

/// All tokens in use. One that several upstreams get in the same way is one.
#[derive(Default)]
pub struct Tokens {
    known: Mutex<Vec<Weak<Token>>>,
    wake: Arc<Notify>,
}

impl Tokens {
    /// The token that is got in this way. `id` tells ways apart: a digest over all that they hold.
    pub fn get(&self, id: [u8; 32], grant: Grant, url: Url, place: Place) -> Arc<Token> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.retain(|token| token.strong_count() > 0);
        if let Some(token) = known.iter().filter_map(Weak::upgrade).find(|token| token.id == id) {
            return token;
        }
        let token = Arc::new(Token {
            id,
            grant,
            url,
            place,
            held: ArcSwapOption::empty(),
            tried: watch::Sender::new(None),
            wanted: AtomicBool::new(false),
            fetching: AtomicBool::new(false),
            wake: self.wake.clone(),
        });
        known.push(Arc::downgrade(&token));
        token
    }

    fn due(&self) -> Vec<Arc<Token>> {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.iter().filter_map(Weak::upgrade).filter(|token| token.is_due()).collect()
    }
}

/// Fetches tokens, each by one task at a time, for ever.
pub async fn run(live: &Arc<Live>) {
    let tokens = &live.shared.tokens;
    loop {
        // A token that is wanted now need not wait for the next look.
        let _ = timeout(EVERY, tokens.wake.notified()).await;
        for token in tokens.due() {
            if token.fetching.swap(true, Ordering::AcqRel) {
                continue;
            }
            let live = live.clone();
            tokio::spawn(async move {
                token.renew(&live).await;
                token.fetching.store(false, Ordering::Release);
            });
        }
    }
}
