//! The last good config documents: what a gateway serves that is started again while the files on disk do not validate.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use rusqlite::{Connection, params};

use super::Store;
use crate::ControlError;

impl Store {
    /// What was kept last, by path in the config folder; empty if nothing ever was.
    pub fn documents(&self) -> Result<BTreeMap<PathBuf, String>, ControlError> {
        self.read(load)
    }

    /// Keeps documents that have validated, in place of those kept before. Only what differs is written.
    pub fn save_documents(&self, documents: &BTreeMap<PathBuf, String>) -> Result<(), ControlError> {
        if self.documents()? == *documents {
            return Ok(());
        }
        self.write(|transaction| {
            let kept = load(transaction)?;
            for path in kept.keys().filter(|path| !documents.contains_key(*path)) {
                transaction.execute("DELETE FROM documents WHERE path = ?1", [name(path)?])?;
            }
            let changed = documents.iter().filter(|(path, text)| kept.get(*path) != Some(text));
            changed.into_iter().try_for_each(|(path, text)| put(transaction, path, text))
        })
    }
}

pub(super) fn put(connection: &Connection, path: &Path, text: &str) -> Result<(), ControlError> {
    let upsert = "INSERT INTO documents (path, text) VALUES (?1, ?2) ON CONFLICT (path) DO UPDATE SET text = ?2";
    connection.execute(upsert, params![name(path)?, text])?;
    Ok(())
}

fn load(connection: &Connection) -> Result<BTreeMap<PathBuf, String>, ControlError> {
    let mut select = connection.prepare("SELECT path, text FROM documents")?;
    let rows = select.query_map([], |row| Ok((row.get::<_, String>(0)?.into(), row.get(1)?)))?;
    Ok(rows.collect::<Result<_, _>>()?)
}

fn name(path: &Path) -> Result<&str, ControlError> {
    path.to_str().ok_or_else(|| ControlError::Damaged { path: path.into(), why: "its name is not UTF-8".into() })
}
