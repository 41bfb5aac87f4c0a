//! Verdicts on tokens that were good, so that a client's next requests cost no signature check.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use weirgate_policy::identity::{Credential, TokenHash};

use super::issuer::Issuer;
use super::keys::KeySet;

const SHARDS: usize = 16;
const MOST_PER_SHARD: usize = 1024;
/// Seconds.
const LONGEST: u64 = 300;

/// A token that was good, and what this depended on.
pub(super) struct Verdict {
    credential: Credential,
    until: u64,
    issuer: Arc<Issuer>,
    keys: Arc<KeySet>,
}

impl Verdict {
    pub fn new(credential: Credential, issuer: Arc<Issuer>, keys: Arc<KeySet>, now: u64) -> Self {
        let limit = now.saturating_add(LONGEST);
        let until = credential.expires_at.map_or(limit, |end| end.min(limit));
        Verdict { credential, until, issuer, keys }
    }

    /// Whether it still holds. Looking when it is used, not clearing on a change, also catches a verdict that was on its way when the
    /// change came.
    fn holds(&self, now: u64) -> bool {
        now < self.until && self.issuer.trusts(&self.keys)
    }
}

#[derive(Default)]
pub(super) struct Verdicts {
    shards: [Mutex<HashMap<TokenHash, Verdict>>; SHARDS],
}

impl Verdicts {
    pub fn get(&self, hash: &TokenHash, now: u64) -> Option<Credential> {
        let shard = self.shard(hash);
        shard.get(hash).filter(|verdict| verdict.holds(now)).map(|verdict| verdict.credential.clone())
    }

    pub fn put(&self, hash: TokenHash, verdict: Verdict, now: u64) {
        let mut shard = self.shard(&hash);
        if shard.len() >= MOST_PER_SHARD {
            shard.retain(|_, verdict| verdict.holds(now));
        }
        if shard.len() >= MOST_PER_SHARD
            && let Some(first) = shard.iter().min_by_key(|(_, verdict)| verdict.until).map(|(hash, _)| *hash)
        {
            shard.remove(&first);
        }
        shard.insert(hash, verdict);
    }

    fn shard(&self, hash: &TokenHash) -> MutexGuard<'_, HashMap<TokenHash, Verdict>> {
        let [first, ..] = *hash;
        #[allow(clippy::indexing_slicing, reason = "taken modulo the length")]
        self.shards[usize::from(first) % SHARDS].lock().unwrap_or_else(PoisonError::into_inner)
    }

    #[cfg(test)]
    pub fn len(&self) -> usize {
        self.shards.iter().map(|shard| shard.lock().unwrap().len()).sum()
    }
}
