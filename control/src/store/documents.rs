//! The last good config documents: what a gateway serves that is started again while the files on disk do not validate.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use rusqlite::{Connection, params};

use super::{Store, data_version};
use crate::ControlError;

/// Documents by path in the config folder.
type Documents = BTreeMap<PathBuf, Arc<str>>;

/// What was saved last and the database's `data_version` then, so that a save need not read all of it again unless another process
/// has written.
#[derive(Default)]
pub(super) struct Saved(Mutex<Option<(i64, Documents)>>);

impl Store {
    /// What was kept last, by path in the config folder; empty if nothing ever was.
    pub fn documents(&self) -> Result<Documents, ControlError> {
        self.read(load)
    }

    /// Keeps documents that have validated, in place of those kept before. Only what differs is written.
    pub fn save_documents(&self, documents: &Documents) -> Result<(), ControlError> {
        let mut saved = self.saved.0.lock().unwrap_or_else(PoisonError::into_inner);
        let version = data_version(&self.writer.lock().unwrap_or_else(PoisonError::into_inner))?;
        let kept = match saved.take() {
            Some((then, kept)) if then == version => kept,
            _ => self.documents()?,
        };
        if differences(&kept, documents).next().is_some() {
            self.write(|transaction| {
                let overtaken = data_version(transaction)? != version;
                let kept = if overtaken { load(transaction)? } else { kept };
                differences(&kept, documents).try_for_each(|(path, text)| match text {
                    Some(text) => put(transaction, path, text),
                    None => {
                        Ok(transaction.execute("DELETE FROM documents WHERE path = ?1", [name(path)?]).map(|_| ())?)
                    }
                })
            })?;
        }
        *saved = Some((version, documents.clone()));
        Ok(())
    }
}

/// What has to be written, and removed, to get from one to the other.
fn differences<'d>(
    from: &'d Documents,
    to: &'d Documents,
) -> impl Iterator<Item = (&'d PathBuf, Option<&'d Arc<str>>)> {
    let same = |before: &Arc<str>, text: &Arc<str>| Arc::ptr_eq(before, text) || before == text;
    let new = to.iter().filter(move |(path, text)| !from.get(*path).is_some_and(|before| same(before, text)));
    let gone = from.keys().filter(|path| !to.contains_key(*path));
    gone.map(|path| (path, None)).chain(new.map(|(path, text)| (path, Some(text))))
}

pub(super) fn put(connection: &Connection, path: &Path, text: &str) -> Result<(), ControlError> {
    let upsert = "INSERT INTO documents (path, text) VALUES (?1, ?2) ON CONFLICT (path) DO UPDATE SET text = ?2";
    connection.execute(upsert, params![name(path)?, text])?;
    Ok(())
}

fn load(connection: &Connection) -> Result<Documents, ControlError> {
    let mut select = connection.prepare("SELECT path, text FROM documents")?;
    let rows = select.query_map([], |row| Ok((row.get::<_, String>(0)?.into(), row.get::<_, String>(1)?.into())))?;
    Ok(rows.collect::<Result<_, _>>()?)
}

fn name(path: &Path) -> Result<&str, ControlError> {
    path.to_str().ok_or_else(|| ControlError::Damaged { path: path.into(), why: "its name is not UTF-8".into() })
}
