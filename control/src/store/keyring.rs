//! Where the master key is: given by the operator, or in `state/master.key`. The id of the key that the secrets are sealed with is in the
//! database, so each process finds out by itself that the key was changed.

use std::fs::{self, File};
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use arc_swap::ArcSwapOption;
use rusqlite::{Connection, Transaction, params};
use zeroize::Zeroizing;

use super::{Store, meta};
use crate::ControlError;
use crate::vault::{MASTER_KEY_VARIABLE, MasterKey};

/// The key's id in `meta`.
pub(super) const KEY_ID: &str = "master_key_id";

/// The keys that this process knows.
pub(super) struct Keyring {
    folder: PathBuf,
    given: OnceLock<Vec<Arc<MasterKey>>>,
    current: ArcSwapOption<MasterKey>,
}

impl Keyring {
    pub(super) fn new(folder: &Path) -> Self {
        Keyring { folder: folder.into(), given: OnceLock::new(), current: ArcSwapOption::empty() }
    }

    /// The key that secrets are sealed with; `None` while there are neither secrets nor a key.
    fn current(&self, connection: &Connection) -> Result<Option<Arc<MasterKey>>, ControlError> {
        meta(connection, KEY_ID)?.map(|id| self.with_id(&id)).transpose()
    }

    /// The key of this id: as it was used last, or found anew after a change.
    pub(super) fn with_id(&self, id: &str) -> Result<Arc<MasterKey>, ControlError> {
        if let Some(key) = self.current.load_full().filter(|key| key.id() == id) {
            return Ok(key);
        }
        let key = self.find(id)?;
        self.current.store(Some(key.clone()));
        Ok(key)
    }

    /// As [`Keyring::current`], and settles on a key if nothing is sealed yet.
    fn current_or_new(&self, transaction: &Transaction<'_>) -> Result<Arc<MasterKey>, ControlError> {
        match self.current(transaction) {
            Ok(Some(key)) => return Ok(key),
            Err(error) if has_secrets(transaction)? => return Err(error),
            _ => (),
        }
        let key = match self.given().first() {
            Some(given) => given.clone(),
            None => Arc::new(read_key(&self.file())?.map_or_else(|| self.make_file(), Ok)?),
        };
        settle_on(transaction, key.id())?;
        self.current.store(Some(key.clone()));
        Ok(key)
    }

    /// The key of this id. A rotation may rename the new file to the file meanwhile, so they are looked at in that order.
    fn find(&self, id: &str) -> Result<Arc<MasterKey>, ControlError> {
        if let Some(key) = self.given().iter().find(|key| key.id() == id) {
            return Ok(key.clone());
        }
        if self.given().is_empty() {
            for path in [self.new_file(), self.file()] {
                if let Some(key) = read_key(&path)?.filter(|key| key.id() == id) {
                    return Ok(Arc::new(key));
                }
            }
        }
        Err(self.not_found())
    }

    fn not_found(&self) -> ControlError {
        const NOT_IT: &str = "is not the key that the secrets in the state are encrypted with";
        let file = self.file();
        if !self.given().is_empty() {
            let what =
                "set it to that key (after a rotation: the new one), or unset it if the key is in state/master.key";
            return wrong(format!("{MASTER_KEY_VARIABLE} {NOT_IT}"), what);
        }
        let why = match file.exists() {
            true => format!("{} {NOT_IT}", file.display()),
            false => format!("there are encrypted secrets, but neither {MASTER_KEY_VARIABLE} nor {}", file.display()),
        };
        wrong(why, "set that variable if the key was given in it, else restore the file from a backup")
    }

    /// Ends a rotation that was cut off: the new file becomes the file if the secrets are sealed with it, else it is of no use.
    fn finish_rotation(&self, transaction: &Transaction<'_>) -> Result<(), ControlError> {
        let (new, file) = (self.new_file(), self.file());
        let Some(key) = read_key(&new)? else { return Ok(()) };
        let done = if meta(transaction, KEY_ID)?.as_deref() == Some(key.id()) {
            fs::rename(&new, &file).and_then(|()| sync_folder(&self.folder))
        } else {
            fs::remove_file(&new)
        };
        done.map_err(|source| ControlError::Io { what: "rename or remove", path: new, source })
    }

    /// The operator's keys.
    fn given(&self) -> &[Arc<MasterKey>] {
        self.given.get().map_or(&[], Vec::as_slice)
    }

    fn make_file(&self) -> Result<MasterKey, ControlError> {
        let key = MasterKey::generate();
        write_key(&self.file(), &key)?;
        log::info!("made a master key for secrets: {}; back it up, apart from the state", self.file().display());
        Ok(key)
    }

    fn file(&self) -> PathBuf {
        self.folder.join("master.key")
    }

    fn new_file(&self) -> PathBuf {
        self.folder.join("master.key.new")
    }
}

impl Store {
    /// Settles which master key the secrets are sealed with: the one given, else that in `state/master.key`, which is made (mode 0600) if
    /// there is none. Of several that are given the one counts that fits, and the first if there are no secrets yet. Ends a rotation that
    /// was cut off. Call it once at start, so that a wrong key is noticed then.
    ///
    /// # Errors
    /// [`ControlError::MasterKey`] if there are secrets, and they are sealed with another key.
    pub fn unlock(&self, given: impl IntoIterator<Item = MasterKey>) -> Result<(), ControlError> {
        let _ = self.keyring.given.set(given.into_iter().map(Arc::new).collect());
        self.write(|transaction| {
            self.keyring.finish_rotation(transaction)?;
            self.keyring.current_or_new(transaction).map(drop)
        })
    }

    /// Seals every secret with a new master key, in one transaction, and returns how many there are.
    ///
    /// Without `new` the key is made here and replaces `state/master.key`; gateways that run on the state find it by themselves. With `new`
    /// the operator keeps the key: gateways must have it among those in `WEIRGATE_MASTER_KEY`. A crash leaves the old key or the new one
    /// in force, and its file in place.
    ///
    /// # Errors
    /// [`ControlError::MasterKey`] if the present key is not at hand, if it was given by the operator and no new one is, or if a secret
    /// cannot be opened; then nothing has changed.
    pub fn rotate_master_key(&self, new: Option<MasterKey>) -> Result<usize, ControlError> {
        let keyring = &self.keyring;
        if new.is_none() && !keyring.given().is_empty() {
            let why = format!("it comes from {MASTER_KEY_VARIABLE}, so the new one must be passed in");
            return Err(wrong(why, "make one with `head -c 32 /dev/urandom | base64` and pass it"));
        }
        let in_file = new.is_none();
        let new = new.unwrap_or_else(MasterKey::generate);
        let count = self.write(|transaction| {
            keyring.finish_rotation(transaction)?;
            let old = keyring.current_or_new(transaction)?;
            if in_file {
                write_key(&keyring.new_file(), &new)?;
            }
            let count = reseal(transaction, &old, &new)?;
            settle_on(transaction, new.id())?;
            Ok(count)
        })?;
        keyring.current.store(Some(Arc::new(new)));
        self.write(|transaction| keyring.finish_rotation(transaction))?;
        self.forget_overwritten();
        Ok(count)
    }

    /// The key to seal with, within the transaction that writes what it sealed.
    pub(super) fn sealing_key(&self, transaction: &Transaction<'_>) -> Result<Arc<MasterKey>, ControlError> {
        self.keyring.current_or_new(transaction)
    }

    /// Values sealed with the old key are still in the write-ahead log. Best effort: a reader may hold it.
    fn forget_overwritten(&self) {
        let truncated = self.read(|connection| {
            Ok(connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get::<_, i64>(0))?)
        });
        if !matches!(truncated, Ok(0)) {
            log::info!("the write-ahead log still holds values under the old key; it is overwritten as it is used");
        }
    }
}

fn settle_on(transaction: &Transaction<'_>, id: &str) -> Result<(), ControlError> {
    let upsert = "INSERT INTO meta (key, value) VALUES (?1, ?2) ON CONFLICT (key) DO UPDATE SET value = ?2";
    transaction.execute(upsert, params![KEY_ID, id])?;
    Ok(())
}

fn reseal(transaction: &Transaction<'_>, old: &MasterKey, new: &MasterKey) -> Result<usize, ControlError> {
    let mut select = transaction.prepare("SELECT scope, key FROM secrets")?;
    let names = select.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
    let names: Vec<(String, String)> = names.collect::<Result<_, _>>()?;
    let mut get = transaction.prepare("SELECT sealed FROM secrets WHERE scope = ?1 AND key = ?2")?;
    let mut put = transaction.prepare("UPDATE secrets SET sealed = ?3 WHERE scope = ?1 AND key = ?2")?;
    for (scope, key) in &names {
        let sealed: Vec<u8> = get.query_row([scope, key], |row| row.get(0))?;
        let Some(value) = old.open(scope, key, &sealed) else {
            let why = format!("the secret {scope}/{key} cannot be opened with it");
            return Err(wrong(why, "put that secret again or delete it, then rotate"));
        };
        put.execute(params![scope, key, new.seal(scope, key, &value)?])?;
    }
    Ok(names.len())
}

fn has_secrets(connection: &Connection) -> Result<bool, ControlError> {
    Ok(connection.query_row("SELECT EXISTS (SELECT 1 FROM secrets)", [], |row| row.get(0))?)
}

fn wrong(why: String, what: &str) -> ControlError {
    ControlError::MasterKey(format!("{why}; {what}"))
}

fn read_key(path: &Path) -> Result<Option<MasterKey>, ControlError> {
    match fs::read_to_string(path).map(Zeroizing::new) {
        Ok(text) => match MasterKey::parse(&text) {
            Ok(key) => Ok(Some(key)),
            Err(error) => Err(wrong(format!("{}: {error}", path.display()), "restore the file from a backup")),
        },
        Err(e) if e.kind() == ErrorKind::NotFound => Ok(None),
        Err(source) => Err(ControlError::Io { what: "read", path: path.into(), source }),
    }
}

/// There whole or not at all, mode 0600, synced to disk.
fn write_key(path: &Path, key: &MasterKey) -> Result<(), ControlError> {
    let write = || -> std::io::Result<()> {
        let folder = path.parent().unwrap_or(Path::new("."));
        let mut temporary = tempfile::NamedTempFile::new_in(folder)?;
        temporary.write_all(key.to_text().as_bytes())?;
        temporary.write_all(b"\n")?;
        temporary.as_file().sync_all()?;
        temporary.persist(path)?;
        sync_folder(folder)
    };
    write().map_err(|source| ControlError::Io { what: "write", path: path.into(), source })
}

fn sync_folder(folder: &Path) -> std::io::Result<()> {
    File::open(folder)?.sync_all()
}

#[cfg(test)]
#[path = "keyring_tests.rs"]
mod tests;
