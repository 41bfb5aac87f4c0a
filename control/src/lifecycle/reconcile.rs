//! Rows follow documents: whatever door a change came in by, this takes note of it. The one place where `config_version` moves by a
//! change.

use std::collections::{BTreeMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use weirgate_config::Snapshot;
use weirgate_config::document::EndpointSpec;

use super::machine::Seen;
use crate::credentials::own_secrets;
use crate::store::Store;
use crate::store::endpoints::{Record, Rows};
use crate::store::secrets::OWN_PREFIX;
use crate::{ControlError, now_ms};

/// A row or a secret without a document may be one whose document another gateway is about to write; after this time it is not.
pub(super) const ORPHAN_AFTER: u64 = 60_000;

/// Takes note of documents.
pub(super) struct Reconciler {
    store: Arc<Store>,
    folder: PathBuf,
    /// What was taken note of last.
    seen: BTreeMap<Arc<str>, Arc<EndpointSpec>>,
}

impl Reconciler {
    pub fn new(store: Arc<Store>, folder: &Path) -> Self {
        Reconciler { store, folder: folder.into(), seen: BTreeMap::new() }
    }

    /// Brings the rows in line with what is served. A failure is logged, and made up for at the next change.
    pub fn run(&mut self, snapshot: &Snapshot) {
        if let Err(error) = self.rows(snapshot).and_then(|dropped| self.sweep(snapshot, &dropped)) {
            log::error!("the state does not follow the config: {error}");
        }
    }

    /// Returns the scopes and secrets that no document names any more.
    fn rows(&mut self, snapshot: &Snapshot) -> Result<HashSet<(String, Option<String>)>, ControlError> {
        let changed: Vec<_> = snapshot
            .endpoints
            .iter()
            .filter(|(name, endpoint)| {
                let same =
                    |seen: &Arc<EndpointSpec>| Arc::ptr_eq(seen, &endpoint.document) || *seen == endpoint.document;
                !self.seen.get(*name).is_some_and(same)
            })
            .map(|(name, endpoint)| (name, Seen::from(&**endpoint)))
            .collect();
        let records = self.store.records();
        let gone: Vec<_> =
            records.iter().map(|(name, _)| name).filter(|name| !snapshot.endpoints.contains_key(*name)).collect();
        let mut dropped: HashSet<(String, Option<String>)> = HashSet::new();
        if !changed.is_empty() || !gone.is_empty() {
            let removed = self.store.change_records(|rows| {
                let now = now_ms();
                for (name, seen) in &changed {
                    observe(&self.store, rows, name, seen, now)?;
                }
                let mut removed = Vec::new();
                for name in gone {
                    removed.extend(self.remove(rows, name, now)?);
                }
                Ok(removed)
            })?;
            dropped.extend(removed.into_iter().map(|id| (format!("{OWN_PREFIX}{id}"), None)));
        }
        let before = std::mem::take(&mut self.seen);
        self.seen = snapshot.endpoints.iter().map(|(name, e)| (Arc::clone(name), Arc::clone(&e.document))).collect();
        let replaced =
            before.iter().filter(|(name, old)| self.seen.get(*name).is_none_or(|new| !Arc::ptr_eq(new, old)));
        let named = replaced.filter_map(|(_, old)| old.config.as_ref()).flat_map(own_secrets);
        dropped.extend(named.map(|(scope, key)| (scope, Some(key))));
        Ok(dropped)
    }

    /// Removes the row of an endpoint that is not served, unless its file is about to be; returns its id then.
    fn remove(&self, rows: &mut Rows<'_>, name: &str, now: u64) -> Result<Option<String>, ControlError> {
        let Some(record) = rows.get(name)? else { return Ok(None) };
        let has_file = ["yaml", "yml"]
            .iter()
            .any(|ending| self.folder.join("endpoints").join(format!("{name}.{ending}")).exists());
        let is_fresh = record.document.is_none() && record.created_at + ORPHAN_AFTER > now;
        if has_file || is_fresh {
            return Ok(None);
        }
        rows.remove(name)?;
        Ok(Some(record.id))
    }

    /// Removes the gateway's own secrets that nobody names: those that have just been dropped, and old ones that a crash has left.
    fn sweep(&self, snapshot: &Snapshot, dropped: &HashSet<(String, Option<String>)>) -> Result<(), ControlError> {
        if dropped.is_empty() {
            return Ok(());
        }
        super::own::sweep(&self.store, snapshot, |scope, key| {
            dropped.contains(&(scope.to_owned(), Some(key.to_owned()))) || dropped.contains(&(scope.to_owned(), None))
        })
    }
}

fn observe(store: &Store, rows: &mut Rows<'_>, name: &str, seen: &Seen, now: u64) -> Result<(), ControlError> {
    let by = seen.author(store, name);
    let mut record = match rows.get(name)? {
        Some(record) => record,
        None => Record::reserved(by.clone(), now),
    };
    if record.observe(seen, &by, now) { rows.put(name, record) } else { Ok(()) }
}
