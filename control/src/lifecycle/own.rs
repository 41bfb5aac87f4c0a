//! Values that callers sent in the clear: sealed into a scope of the endpoint's own, and removed when nobody names them any more.

use std::collections::HashSet;

use weirgate_config::Snapshot;
use weirgate_config::document::{ConfigSpec, SecretRef};
use zeroize::Zeroizing;

use super::reconcile::ORPHAN_AFTER;
use crate::store::Store;
use crate::store::secrets::OWN_PREFIX;
use crate::{ControlError, credentials, now_ms};

/// Puts every plaintext of a config into the store and a reference in its place. Each value has a key of its own, so that the config that
/// is active until then keeps its secrets.
pub(crate) fn seal(store: &Store, id: &str, config: &mut ConfigSpec) -> Result<(), ControlError> {
    let scope = format!("{OWN_PREFIX}{id}");
    let mut values: Vec<(String, Zeroizing<String>)> = Vec::new();
    for credential in credentials::of_config(config) {
        if let Some(plaintext) = credential.plaintext.take() {
            // The time tells what a crash has left from what is about to be named.
            let key = format!("{:012x}-{:016x}", now_ms(), rand::random::<u64>());
            *credential.reference = Some(SecretRef(format!("{{{{secrets/{scope}/{key}}}}}")));
            values.push((key, Zeroizing::new(plaintext.0)));
        }
    }
    if values.is_empty() {
        return Ok(());
    }
    let values: Vec<(String, &str)> = values.iter().map(|(key, value)| (key.clone(), value.as_str())).collect();
    store.put_own_secrets(&scope, &values)
}

/// Removes those of the gateway's own secrets that may be dropped and that neither a document nor a waiting config names.
pub(super) fn sweep(
    store: &Store,
    snapshot: &Snapshot,
    may_drop: impl Fn(&str, &str) -> bool,
) -> Result<(), ControlError> {
    let records = store.records();
    let waiting = records.iter().filter_map(|(_, record)| Some(&record.pending()?.config));
    let served = snapshot.endpoints.values().filter_map(|endpoint| endpoint.document.config.as_ref());
    let named: HashSet<(String, String)> = served.chain(waiting).flat_map(credentials::own_secrets).collect();
    let in_use = |scope: &str, key: &str| named.contains(&(scope.to_owned(), key.to_owned())) || !may_drop(scope, key);
    store.sweep_own_secrets(in_use).map(drop)
}

/// Removes what a crash has left between the sealing of a value and the writing of its document.
pub(super) fn sweep_orphans(store: &Store, snapshot: &Snapshot) {
    let now = now_ms();
    let made = |key: &str| u64::from_str_radix(key.split('-').next()?, 16).ok();
    let is_old = |_: &str, key: &str| made(key).is_none_or(|made| made + ORPHAN_AFTER < now);
    if let Err(error) = sweep(store, snapshot, is_old) {
        log::error!("secrets that nobody uses are still in the store: {error}");
    }
}
