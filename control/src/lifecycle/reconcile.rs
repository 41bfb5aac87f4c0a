//! Rows follow documents: whatever door a change came in by, this takes note of it. The one place where `config_version` moves by a
//! change.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use weirgate_config::Snapshot;
use weirgate_config::document::EndpointSpec;

use super::machine::Seen;
use crate::audit::{Audit, Entry};
use crate::store::Store;
use crate::store::endpoints::{Author, Record, Rows};
use crate::{ControlError, now_ms};

/// A row without a document may be one whose document another gateway is about to write; after this time, in milliseconds, it is not.
const ORPHAN_AFTER: u64 = 60_000;

/// Takes note of documents.
pub(super) struct Reconciler {
    store: Arc<Store>,
    audit: Arc<Audit>,
    folder: PathBuf,
    /// What was taken note of last.
    seen: BTreeMap<Arc<str>, Arc<EndpointSpec>>,
    /// The last state that was to be taken note of, and whether that is still to be done.
    newest: u64,
    pub(super) is_behind: bool,
}

/// An edit of a file, for the audit log: what was done to which endpoint, and its version before and after.
struct ByFile {
    action: &'static str,
    endpoint: Arc<str>,
    versions: [Option<u64>; 2],
}

impl Reconciler {
    pub fn new(store: Arc<Store>, audit: Arc<Audit>, folder: &Path) -> Self {
        Reconciler { store, audit, folder: folder.into(), seen: BTreeMap::new(), newest: 0, is_behind: false }
    }

    /// Brings the rows in line with what is served. A failure is logged and remembered, for [`Self::catch_up`].
    pub fn run(&mut self, snapshot: &Arc<Snapshot>) {
        if snapshot.generation < self.newest {
            return;
        }
        self.newest = snapshot.generation;
        let done = self.rows(snapshot);
        self.is_behind = done.is_err();
        match done {
            Ok(by_file) => by_file.iter().for_each(|edit| self.note(edit)),
            Err(error) => log::error!("the state does not follow the config, and is to be caught up: {error}"),
        }
    }

    /// Tries again what failed.
    pub fn catch_up(&mut self, snapshot: &Arc<Snapshot>) {
        if self.is_behind {
            self.run(snapshot);
        }
    }

    fn note(&self, ByFile { action, endpoint, versions: [old_version, new_version] }: &ByFile) {
        self.audit.write(&Entry {
            actor: "file",
            actor_kind: "System",
            address: None,
            request_id: None,
            action,
            target: endpoint,
            old_version: *old_version,
            new_version: *new_version,
            outcome: "ok",
        });
    }

    fn rows(&mut self, snapshot: &Arc<Snapshot>) -> Result<Vec<ByFile>, ControlError> {
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
        let mut by_file = Vec::new();
        if new.is_empty() && gone.is_empty() {
            self.store.follow_unchanged(snapshot);
        } else {
            let now = now_ms();
            by_file = self.store.follow(snapshot, |rows| {
                let mut edits = Vec::new();
                for (name, seen) in &new {
                    edits.extend(observe(&self.store, rows, name, seen, now)?);
                }
                for (name, _) in &gone {
                    edits.extend(self.remove(rows, name, now)?);
                }
                Ok(edits)
            })?;
        }
        self.seen = snapshot.endpoints.iter().map(|(name, e)| (Arc::clone(name), Arc::clone(&e.document))).collect();
        Ok(by_file)
    }

    /// Removes the row of an endpoint that is not served, unless its file is there or about to be.
    fn remove(&self, rows: &mut Rows<'_>, name: &Arc<str>, now: u64) -> Result<Option<ByFile>, ControlError> {
        let Some(record) = rows.get(name)? else { return Ok(None) };
        let path = |ending| self.folder.join("endpoints").join(format!("{name}.{ending}"));
        let has_file = ["yaml", "yml"].into_iter().any(|ending| path(ending).exists());
        let is_young = record.document.is_none() && record.created_at + ORPHAN_AFTER > now;
        if has_file || is_young {
            return Ok(None);
        }
        let versions = [Some(record.config_version), None];
        if record.document.is_none() || self.store.author_of(name, "") != Author::file() {
            rows.remove(name)?;
            return Ok(None);
        }
        // A file may be away for a moment: moved, stashed, checked out. Its id is in other people's hands.
        rows.put(name, Record { gone_at: Some(now), ..record })?;
        Ok(Some(ByFile { action: "endpoint.delete", endpoint: Arc::clone(name), versions }))
    }
}

fn observe(
    store: &Store,
    rows: &mut Rows<'_>,
    name: &Arc<str>,
    seen: &Seen,
    now: u64,
) -> Result<Option<ByFile>, ControlError> {
    let by = seen.author(store, name);
    let before = rows.get(name)?;
    let old_version = before.as_ref().filter(|record| record.gone_at.is_none()).map(|record| record.config_version);
    let mut record = before.unwrap_or_else(|| Record::reserved(by.clone(), now));
    let is_back = record.gone_at.take().is_some();
    if !record.observe(seen, &by, now) && !is_back {
        return Ok(None);
    }
    let versions = [old_version, Some(record.config_version)];
    rows.put(name, record)?;
    let action = if old_version.is_some() { "endpoint.update" } else { "endpoint.create" };
    Ok((by == Author::file()).then(|| ByFile { action, endpoint: Arc::clone(name), versions }))
}
