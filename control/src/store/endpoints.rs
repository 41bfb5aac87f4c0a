//! What there is about an endpoint beside its document: one row each, all of them in memory too, so that reading touches no disk.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::ArcSwap;
use rusqlite::{Connection, OptionalExtension, Transaction, params};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use weirgate_config::Snapshot;
use weirgate_config::document::ConfigSpec;

use super::Store;
use crate::{Caller, ControlError};

/// Who did something.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Author {
    /// Principal's name; `file` for an edit of a config file.
    pub name: String,
    /// `User` or `ServicePrincipal`; absent for a file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
}

impl Author {
    /// Whoever edits the config folder.
    pub fn file() -> Self {
        Author { name: "file".to_owned(), kind: None }
    }
}

impl From<&Caller> for Author {
    fn from(caller: &Caller) -> Self {
        Author { name: caller.principal.name.to_string(), kind: Some(caller.kind().to_owned()) }
    }
}

/// An endpoint's row. Times are milliseconds since the epoch.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Record {
    /// 32 hex digits; the same for the endpoint's life.
    pub id: String,
    /// Who made the endpoint.
    pub creator: Author,
    /// When.
    pub created_at: u64,
    /// Of the last accepted change.
    pub updated_at: u64,
    /// Counts the configs that were active; 0 before the first.
    pub config_version: u64,
    /// [`fingerprint`] of the document that is served; `None` while the name is only reserved.
    pub document: Option<String>,
    /// [`fingerprint`] of its `config`; `None` if it has none.
    pub config: Option<String>,
    /// What came of the last update of the config.
    pub update: Update,
    /// The served entities of the active config, by name.
    pub entities: BTreeMap<String, Made>,
    /// Since when its file is gone. If it comes back soon, it is the same endpoint.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gone_at: Option<u64>,
}

/// The update of a config that takes time, and how the last one ended.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Update {
    /// None is under way; the last one succeeded.
    #[default]
    NotUpdating,
    /// A config waits for its models.
    InProgress(Pending),
    /// The last one failed.
    UpdateFailed(Failed),
    /// The last one was cancelled.
    UpdateCanceled,
}

/// A config that is not active yet.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Pending {
    /// The config, with a name for each entity.
    pub config: ConfigSpec,
    /// Since when it waits.
    pub started_at: u64,
    /// Who asked for it.
    pub by: Author,
}

/// A config that never became active.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Failed {
    /// What was asked for.
    pub pending: Pending,
    /// Why, by served entity. Entities that are not named were given up with the others.
    pub reasons: BTreeMap<String, String>,
}

/// When and by whom a served entity was made as it is.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Made {
    /// By whom.
    pub by: String,
    /// When.
    pub at: u64,
    /// [`fingerprint`] of the entity's document.
    pub fingerprint: String,
}

/// SHA-256 of a document's JSON, in hex.
pub fn fingerprint(document: &impl Serialize) -> String {
    // Documents are plain data: they always serialise.
    hex::encode(Sha256::digest(serde_json::to_vec(document).unwrap_or_default()))
}

/// All rows at one moment, and the documents that they follow.
#[derive(Debug, Clone, Default)]
pub struct Records {
    rows: BTreeMap<Arc<str>, Arc<Record>>,
    snapshot: Option<Arc<Snapshot>>,
}

impl Records {
    /// The state that these rows were last brought in line with; `None` before the first.
    pub fn snapshot(&self) -> Option<&Arc<Snapshot>> {
        self.snapshot.as_ref()
    }

    /// The row of an endpoint.
    pub fn get(&self, name: &str) -> Option<&Arc<Record>> {
        self.rows.get(name)
    }

    /// Name and row of the endpoint with this id.
    pub fn with_id(&self, id: &str) -> Option<(&Arc<str>, &Arc<Record>)> {
        self.rows.iter().find(|(_, record)| record.id == id)
    }

    /// All rows by endpoint name.
    pub fn iter(&self) -> impl Iterator<Item = (&Arc<str>, &Arc<Record>)> {
        self.rows.iter()
    }
}

/// An edit of a document by the API that is under way, for whoever takes note of it.
#[derive(Debug, Clone, PartialEq)]
struct Edit {
    endpoint: String,
    document: String,
    by: Author,
}

/// The rows in memory.
#[derive(Default)]
pub(super) struct Cache {
    records: ArcSwap<Records>,
    /// Held from a transaction's begin until its result is in memory, so that memory follows the disk's order.
    changing: Mutex<()>,
    edit: Mutex<Option<Edit>>,
}

/// The rows within a transaction.
pub struct Rows<'t> {
    transaction: &'t Transaction<'t>,
    /// What was read or written, as it is when the transaction is done.
    known: BTreeMap<Arc<str>, Option<Arc<Record>>>,
}

impl Rows<'_> {
    /// A row as it is on disk, this transaction's changes included.
    pub fn get(&mut self, name: &str) -> Result<Option<Record>, ControlError> {
        if !self.known.contains_key(name) {
            // Memory may be behind: another process may have written it.
            let record = select(self.transaction, name)?.map(Arc::new);
            self.known.insert(name.into(), record);
        }
        Ok(self.known.get(name).and_then(|record| record.as_deref().cloned()))
    }

    /// Writes a row.
    pub fn put(&mut self, name: &str, record: Record) -> Result<(), ControlError> {
        let text = serde_json::to_string(&record)
            .map_err(|error| ControlError::Damaged { path: name.into(), why: error.to_string() })?;
        let upsert = "INSERT INTO endpoints (name, id, record) VALUES (?1, ?2, ?3) \
                      ON CONFLICT (name) DO UPDATE SET id = ?2, record = ?3";
        self.transaction.execute(upsert, params![name, record.id, text])?;
        self.known.insert(name.into(), Some(Arc::new(record)));
        Ok(())
    }

    /// Removes a row, if it is there.
    pub fn remove(&mut self, name: &str) -> Result<(), ControlError> {
        self.transaction.execute("DELETE FROM endpoints WHERE name = ?1", [name])?;
        self.known.insert(name.into(), None);
        Ok(())
    }
}

impl Store {
    /// All rows, from memory.
    pub fn records(&self) -> Arc<Records> {
        self.cache.records.load_full()
    }

    /// The row of an endpoint, from memory.
    pub fn record(&self, name: &str) -> Option<Arc<Record>> {
        self.cache.records.load().get(name).cloned()
    }

    /// Reads all rows from disk: another process may have written (see [`Store::changed_elsewhere`]).
    pub fn reload_records(&self) -> Result<(), ControlError> {
        let _changing = self.cache.changing.lock().unwrap_or_else(PoisonError::into_inner);
        let snapshot = self.records().snapshot.clone();
        self.cache.records.store(Arc::new(Records { rows: self.read(load)?, snapshot }));
        Ok(())
    }

    /// Changes rows in one transaction; on disk and in memory when this returns `Ok`.
    pub fn change_records<T>(
        &self,
        change: impl FnOnce(&mut Rows<'_>) -> Result<T, ControlError>,
    ) -> Result<T, ControlError> {
        self.change_and_follow(None, change)
    }

    /// The same for rows that are brought in line with a state: nobody sees the one without the other.
    pub(crate) fn follow<T>(
        &self,
        snapshot: &Arc<Snapshot>,
        change: impl FnOnce(&mut Rows<'_>) -> Result<T, ControlError>,
    ) -> Result<T, ControlError> {
        self.change_and_follow(Some(snapshot), change)
    }

    /// Says that the rows are in line with a state as they are.
    pub(crate) fn follow_unchanged(&self, snapshot: &Arc<Snapshot>) {
        let _changing = self.cache.changing.lock().unwrap_or_else(PoisonError::into_inner);
        let records = Records { snapshot: Some(Arc::clone(snapshot)), ..Records::clone(&self.records()) };
        self.cache.records.store(Arc::new(records));
    }

    fn change_and_follow<T>(
        &self,
        snapshot: Option<&Arc<Snapshot>>,
        change: impl FnOnce(&mut Rows<'_>) -> Result<T, ControlError>,
    ) -> Result<T, ControlError> {
        let _changing = self.cache.changing.lock().unwrap_or_else(PoisonError::into_inner);
        let (result, known) = self.write(|transaction| {
            let mut rows = Rows { transaction, known: BTreeMap::new() };
            let result = change(&mut rows)?;
            Ok((result, rows.known))
        })?;
        let mut records = Records::clone(&self.records());
        for (name, record) in known {
            match record {
                Some(record) if record.gone_at.is_none() => records.rows.insert(name, record),
                _ => records.rows.remove(&name),
            };
        }
        records.snapshot = snapshot.cloned().or(records.snapshot);
        self.cache.records.store(Arc::new(records));
        Ok(result)
    }

    /// Says who makes the edit of a document that follows (an empty one: its removal); it is known by its content, so what is left over
    /// does no harm.
    pub(crate) fn announce_edit(&self, endpoint: &str, document: String, by: Author) {
        let edit = Edit { endpoint: endpoint.to_owned(), document, by };
        *self.cache.edit.lock().unwrap_or_else(PoisonError::into_inner) = Some(edit);
    }

    /// Forgets what was announced: it is done, or came to nothing.
    pub(crate) fn announce_nothing(&self) {
        *self.cache.edit.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// Forgets endpoints whose file went away before a time.
    pub(crate) fn forget_gone(&self, before: u64) -> Result<(), ControlError> {
        let before = i64::try_from(before).unwrap_or(i64::MAX);
        self.write(|transaction| {
            transaction.execute("DELETE FROM endpoints WHERE json_extract(record, '$.gone_at') < ?1", [before])?;
            Ok(())
        })
    }

    /// Who made an endpoint's document.
    pub(crate) fn author_of(&self, endpoint: &str, document: &str) -> Author {
        let edit = self.cache.edit.lock().unwrap_or_else(PoisonError::into_inner);
        let announced = edit.as_ref().filter(|edit| edit.endpoint == endpoint && edit.document == document);
        announced.map_or_else(Author::file, |edit| edit.by.clone())
    }
}

pub(super) fn cache(connection: &Connection) -> Result<Cache, ControlError> {
    let records = Records { rows: load(connection)?, snapshot: None };
    Ok(Cache { records: ArcSwap::from_pointee(records), ..Cache::default() })
}

fn load(connection: &Connection) -> Result<BTreeMap<Arc<str>, Arc<Record>>, ControlError> {
    let mut query = connection.prepare("SELECT name, record FROM endpoints")?;
    let mut rows = query.query([])?;
    let mut records = BTreeMap::new();
    while let Some(row) = rows.next()? {
        let (name, text): (String, String) = (row.get(0)?, row.get(1)?);
        let record = parse(&name, &text)?;
        if record.gone_at.is_none() {
            records.insert(name.into(), Arc::new(record));
        }
    }
    Ok(records)
}

fn select(connection: &Connection, name: &str) -> Result<Option<Record>, ControlError> {
    let query = "SELECT record FROM endpoints WHERE name = ?1";
    let text: Option<String> = connection.query_row(query, [name], |row| row.get(0)).optional()?;
    text.map(|text| parse(name, &text)).transpose()
}

fn parse(name: &str, text: &str) -> Result<Record, ControlError> {
    serde_json::from_str(text).map_err(|error| ControlError::Damaged {
        path: format!("weirgate.db, endpoint {name}").into(),
        why: error.to_string(),
    })
}

#[cfg(test)]
#[path = "endpoints_tests.rs"]
mod tests;
