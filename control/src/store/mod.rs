//! The state that is not config: SQLite in WAL mode under `state/weirgate.db`, with one module per kind of content.
//!
//! Several processes may use it at once (two gateways during an upgrade, a command beside a running gateway). Writes are transactions
//! synced to disk before they return; reading never waits for a writer. All methods block for disk; async code calls them through
//! `spawn_blocking`.

pub mod acls;
mod backup;
mod documents;
pub mod endpoints;
mod keyring;
mod migrate;
pub mod secrets;
mod takeover;
pub mod tokens;

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use rusqlite::{Connection, OpenFlags, OptionalExtension, Transaction, TransactionBehavior, params};

use crate::ControlError;

/// The database's file under the state folder.
const DATABASE: &str = "weirgate.db";
/// How long a writer waits for another process' transaction.
const BUSY: Duration = Duration::from_secs(10);

/// The state database.
pub struct Store {
    folder: PathBuf,
    writer: Mutex<Connection>,
    reader: Mutex<Connection>,
    /// `data_version` of the writer's connection when it was last asked. A connection's own writes do not change it.
    seen: AtomicI64,
    workspace_id: String,
    keyring: keyring::Keyring,
    cache: endpoints::Cache,
    saved: documents::Saved,
}

impl Store {
    /// Opens the database under a state folder, making both (mode 0700 and 0600) if they are not there, and brings its schema up to date.
    /// What an older version kept in JSON files there is taken over.
    pub fn open(folder: &Path) -> Result<Self, ControlError> {
        make_folder(folder)?;
        // Switching to WAL, migrating and taking over are one process' work at a time.
        let _opening = lock_folder(folder)?;
        let path = folder.join(DATABASE);
        make_private(&path)?;
        let mut writer = connect(&path)?;
        migrate::run(&mut writer, &path)?;
        takeover::run(&mut writer, folder)?;
        let workspace_id = meta_or_insert(&writer, "workspace_id", || (rand::random::<u64>() >> 12).to_string())?;
        tokens::remove_expired(&writer)?;
        let reader = connect(&path)?;
        let seen = AtomicI64::new(data_version(&writer)?);
        let cache = endpoints::cache(&reader)?;
        Ok(Store {
            folder: folder.into(),
            writer: Mutex::new(writer),
            reader: Mutex::new(reader),
            seen,
            workspace_id,
            keyring: keyring::Keyring::new(folder),
            cache,
            saved: documents::Saved::default(),
        })
    }

    /// The state folder.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// A number that stays the same for the life of the state: the value of the header `X-Databricks-Org-Id`.
    pub fn workspace_id(&self) -> &str {
        &self.workspace_id
    }

    /// Whether another process has written since this was last asked.
    pub fn changed_elsewhere(&self) -> Result<bool, ControlError> {
        let version = data_version(&self.writer.lock().unwrap_or_else(PoisonError::into_inner))?;
        Ok(self.seen.swap(version, Ordering::AcqRel) != version)
    }

    /// Runs a transaction: all of it is on disk when this returns `Ok`, none of it otherwise.
    pub(crate) fn write<T>(
        &self,
        run: impl FnOnce(&Transaction<'_>) -> Result<T, ControlError>,
    ) -> Result<T, ControlError> {
        let mut connection = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let result = run(&transaction)?;
        transaction.commit()?;
        Ok(result)
    }

    /// Reads; sees the last committed state.
    pub(crate) fn read<T>(&self, run: impl FnOnce(&Connection) -> Result<T, ControlError>) -> Result<T, ControlError> {
        run(&self.reader.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// A value of `meta`.
fn meta(connection: &Connection, key: &str) -> Result<Option<String>, ControlError> {
    Ok(connection.query_row("SELECT value FROM meta WHERE key = ?1", [key], |row| row.get(0)).optional()?)
}

/// A value of `meta`, made if it is not there.
fn meta_or_insert(connection: &Connection, key: &str, make: impl FnOnce() -> String) -> Result<String, ControlError> {
    if let Some(value) = meta(connection, key)? {
        return Ok(value);
    }
    let value = make();
    connection.execute("INSERT INTO meta (key, value) VALUES (?1, ?2)", params![key, value])?;
    Ok(value)
}

/// SQLite's integers are signed; a time beyond them is as good as never.
fn to_sql(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

fn from_sql(number: i64) -> u64 {
    u64::try_from(number).unwrap_or(0)
}

fn connect(path: &Path) -> Result<Connection, ControlError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(BUSY)?;
    connection.pragma_update(None, "journal_mode", "WAL")?;
    // A commit is on disk before it is acknowledged.
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.pragma_update(None, "foreign_keys", true)?;
    connection.pragma_update(None, "secure_delete", true)?;
    Ok(connection)
}

fn data_version(connection: &Connection) -> Result<i64, ControlError> {
    Ok(connection.pragma_query_value(None, "data_version", |row| row.get(0))?)
}

fn make_folder(folder: &Path) -> Result<(), ControlError> {
    use std::os::unix::fs::DirBuilderExt;
    let made = fs::DirBuilder::new().recursive(true).mode(0o700).create(folder);
    made.map_err(|source| ControlError::Io { what: "make", path: folder.into(), source })
}

fn lock_folder(folder: &Path) -> Result<File, ControlError> {
    let locked = File::open(folder).and_then(|file| file.lock().map(|()| file));
    locked.map_err(|source| ControlError::Io { what: "lock", path: folder.into(), source })
}

/// SQLite gives its `-wal` and `-shm` files the mode of the database.
fn make_private(path: &Path) -> Result<(), ControlError> {
    use std::os::unix::fs::OpenOptionsExt;
    // Only a new file is opened here: closing an existing one would drop the POSIX locks that SQLite holds on it in this process.
    match fs::OpenOptions::new().create_new(true).write(true).mode(0o600).open(path) {
        Err(e) if e.kind() != std::io::ErrorKind::AlreadyExists => {
            Err(ControlError::Io { what: "make", path: path.into(), source: e })
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
#[path = "store_tests.rs"]
mod tests;
