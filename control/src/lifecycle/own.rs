//! Values that callers sent in the clear: sealed into a scope of the endpoint's own, and removed when nobody names them any more.

use std::collections::HashSet;

use weirgate_config::document::{ConfigSpec, SecretRef};
use zeroize::Zeroizing;

use crate::store::Store;
use crate::store::secrets::{KEPT_UNUSED, OWN_PREFIX};
use crate::{Control, ControlError, credentials, now_ms};

/// Puts every plaintext of a config into the store and a reference in its place. Each value has a key of its own, so that the config that
/// is active until then keeps its secrets.
pub(crate) fn seal(store: &Store, id: &str, config: &mut ConfigSpec) -> Result<(), ControlError> {
    let scope = format!("{OWN_PREFIX}{id}");
    let mut values: Vec<(String, Zeroizing<String>)> = Vec::new();
    for credential in credentials::of_config(config) {
        if let Some(plaintext) = credential.plaintext.take() {
            let key = hex::encode(rand::random::<[u8; 16]>());
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

/// Removes what was sealed for an endpoint that was deleted.
pub(crate) fn unseal(store: &Store, id: &str) {
    if let Err(error) = store.drop_own_scope(&format!("{OWN_PREFIX}{id}")) {
        log::error!("secrets of a deleted endpoint are still in the store for some days: {error}");
    }
}

/// Removes those of the gateway's own secrets that neither a document nor a waiting config names. Does nothing while the files are broken:
/// what is on disk may name more than what is served.
pub(super) fn sweep(control: &Control) {
    if control.keeper.broken().is_some() {
        return;
    }
    let (snapshot, records) = (control.keeper.current(), control.store.records());
    let waiting = records.iter().filter_map(|(_, record)| Some(&record.pending()?.config));
    let served = snapshot.endpoints.values().filter_map(|endpoint| endpoint.document.config.as_ref());
    let named: HashSet<(String, String)> = served.chain(waiting).flat_map(credentials::own_secrets).collect();
    let in_use = |scope: &str, key: &str| named.contains(&(scope.to_owned(), key.to_owned()));
    if let Err(error) = control.store.forget_gone(now_ms().saturating_sub(KEPT_UNUSED)) {
        log::error!("endpoints whose files are gone are still in the store: {error}");
    }
    match control.store.sweep_own_secrets(now_ms(), in_use) {
        Ok(0) => {}
        Ok(count) => log::info!("removed {count} secrets of configs that are no more"),
        Err(error) => log::error!("secrets that nobody uses are still in the store: {error}"),
    }
}
