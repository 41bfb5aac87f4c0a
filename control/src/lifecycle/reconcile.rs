//! Rows follow documents: whatever door a change came in by, this takes note of it. The one place where `config_version` moves by a
//! change.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use weirgate_config::Snapshot;
use weirgate_config::document::EndpointSpec;

use super::machine::Seen;
use crate::store::Store;
use crate::store::endpoints::{Record, Rows};
use crate::{ControlError, now_ms};

/// A row without a document may be one whose document another gateway is about to write; after this time, in milliseconds, it is not.
const ORPHAN_AFTER: u64 = 60_000;

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
        if let Err(error) = self.rows(snapshot) {
            log::error!("the state does not follow the config: {error}");
        }
    }

    fn rows(&mut self, snapshot: &Snapshot) -> Result<(), ControlError> {
        let is_new = |name: &Arc<str>, document: &Arc<EndpointSpec>| {
            !self.seen.get(name).is_some_and(|seen| Arc::ptr_eq(seen, document) || seen == document)
        };
        let new = snapshot.endpoints.iter().filter(|(name, endpoint)| is_new(name, &endpoint.document));
        let records = self.store.records();
        let is_noted = |name: &str, seen: &Seen| records.get(name).is_some_and(|record| seen.is_noted_by(record));
        let new: Vec<(&Arc<str>, Seen)> = new
            .map(|(name, endpoint)| (name, Seen::from(&**endpoint)))
            .filter(|(name, seen)| !is_noted(name, seen))
            .collect();
        let gone: Vec<_> = records.iter().filter(|(name, _)| !snapshot.endpoints.contains_key(*name)).collect();
        if !new.is_empty() || !gone.is_empty() {
            let now = now_ms();
            self.store.change_records(|rows| {
                new.iter().try_for_each(|(name, seen)| observe(&self.store, rows, name, seen, now))?;
                gone.iter().try_for_each(|(name, _)| self.remove(rows, name, now))
            })?;
        }
        self.seen = snapshot.endpoints.iter().map(|(name, e)| (Arc::clone(name), Arc::clone(&e.document))).collect();
        Ok(())
    }

    /// Removes the row of an endpoint that is not served, unless its file is there or about to be.
    fn remove(&self, rows: &mut Rows<'_>, name: &str, now: u64) -> Result<(), ControlError> {
        let Some(record) = rows.get(name)? else { return Ok(()) };
        let path = |ending| self.folder.join("endpoints").join(format!("{name}.{ending}"));
        let has_file = ["yaml", "yml"].into_iter().any(|ending| path(ending).exists());
        let is_young = record.document.is_none() && record.created_at + ORPHAN_AFTER > now;
        if has_file || is_young { Ok(()) } else { rows.remove(name) }
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
