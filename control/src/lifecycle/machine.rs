//! The state machine of an endpoint (contract §4.1) as pure functions over its row.

use std::collections::BTreeMap;

use weirgate_config::document::ConfigSpec;
use weirgate_config::snapshot::Endpoint;

use super::config::entities;
use crate::Store;
use crate::store::endpoints::{Author, Failed, Made, Pending, Record, Update, fingerprint};

/// A document that is served, as far as the row cares.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Seen {
    document: String,
    config: Option<String>,
    /// Name and fingerprint of each entity.
    entities: Vec<(String, String)>,
    only_by_file: bool,
}

impl From<&Endpoint> for Seen {
    fn from(endpoint: &Endpoint) -> Self {
        let config = endpoint.document.config.as_ref();
        let entities = config.map(entities).unwrap_or_default();
        Seen {
            document: fingerprint(&*endpoint.document),
            config: config.map(fingerprint),
            entities: entities.into_iter().map(|(name, entity)| (name, fingerprint(&entity))).collect(),
            only_by_file: endpoint.document.managed_by.is_some(),
        }
    }
}

impl Seen {
    /// Whether a row says so already.
    pub(crate) fn is_noted_by(&self, record: &Record) -> bool {
        record.document.as_ref() == Some(&self.document)
    }

    /// Who wrote the document.
    pub(crate) fn author(&self, store: &Store, name: &str) -> Author {
        store.author_of(name, &self.document)
    }
}

impl Record {
    /// The row of a name that is taken now and whose document is about to be written.
    pub(crate) fn reserved(creator: Author, now: u64) -> Self {
        let id = hex::encode(rand::random::<[u8; 16]>());
        Record { id, creator, created_at: now, updated_at: now, ..Record::default() }
    }

    /// This document is served from now on. Whether the row has changed; seeing the same document again changes nothing.
    pub(crate) fn observe(&mut self, seen: &Seen, by: &Author, now: u64) -> bool {
        if seen.is_noted_by(self) {
            return false;
        }
        if self.document.is_some() {
            self.touch(now);
        }
        self.document = Some(seen.document.clone());
        if self.config != seen.config {
            self.config_version += 1;
            self.config.clone_from(&seen.config);
            // What waited is active now; or someone else's config overtook it.
            let (by, update) = match &self.update {
                Update::InProgress(pending) if seen.config == Some(fingerprint(&pending.config)) => {
                    (pending.by.clone(), Update::NotUpdating)
                }
                Update::InProgress(_) => (by.clone(), Update::UpdateCanceled),
                _ => (by.clone(), Update::NotUpdating),
            };
            self.make_entities(&seen.entities, &by, now);
            self.update = update;
        }
        if seen.only_by_file && matches!(self.update, Update::InProgress(_)) {
            self.update = Update::UpdateCanceled;
        }
        true
    }

    /// Entities that stay as they are keep their maker.
    fn make_entities(&mut self, entities: &[(String, String)], by: &Author, now: u64) {
        let before = std::mem::take(&mut self.entities);
        let made = |name: &String, fingerprint: &String| match before.get(name) {
            Some(made) if made.fingerprint == *fingerprint => made.clone(),
            _ => Made { by: by.name.clone(), at: now, fingerprint: fingerprint.clone() },
        };
        self.entities = entities.iter().map(|(name, print)| (name.clone(), made(name, print))).collect();
    }

    /// A change was accepted.
    pub(crate) fn touch(&mut self, now: u64) {
        // Two changes within one millisecond still show.
        self.updated_at = now.max(self.updated_at + 1);
    }

    /// A config was accepted that is the active one already: a new version all the same.
    pub(crate) fn reaffirm(&mut self, now: u64) {
        self.config_version += 1;
        self.update = Update::NotUpdating;
        self.touch(now);
    }

    /// The config that waits for its models, if one does.
    pub(crate) fn pending(&self) -> Option<&Pending> {
        match &self.update {
            Update::InProgress(pending) => Some(pending),
            _ => None,
        }
    }

    /// A config begins to wait for its models. False, and nothing has changed, if one does already.
    pub(crate) fn start(&mut self, config: ConfigSpec, by: Author, now: u64) -> bool {
        let free = self.pending().is_none();
        if free {
            self.update = Update::InProgress(Pending { config, started_at: now, by });
            self.touch(now);
        }
        free
    }

    /// The config that waits is given up because of these entities. False if none waits.
    pub(crate) fn fail(&mut self, reasons: BTreeMap<String, String>, now: u64) -> bool {
        let Some(pending) = self.pending().cloned() else { return false };
        self.update = Update::UpdateFailed(Failed { pending, reasons });
        self.touch(now);
        true
    }

    /// The config that waits is given up because someone wants so. False if none waits.
    pub(crate) fn cancel(&mut self, now: u64) -> bool {
        let waits = self.pending().is_some();
        if waits {
            self.update = Update::UpdateCanceled;
            self.touch(now);
        }
        waits
    }
}

#[cfg(test)]
#[path = "machine_tests.rs"]
mod tests;
