//! The audit log: who changed what, when, from where. JSON lines under `state/audit/`, rotated by size; never a secret.

use std::fs::{self, File};
use std::io::{ErrorKind, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use jiff::Timestamp;
use serde::Serialize;

use crate::{ControlError, now_ms};

/// The file under `state/audit/`.
const NAME: &str = "audit.jsonl";

/// One change, or the attempt at one.
#[derive(Debug, Clone, Serialize)]
pub struct Entry<'a> {
    /// Principal's name; `file` for an edit of a config file, `command` for the command line.
    pub actor: &'a str,
    /// `User`, `ServicePrincipal` or `System`.
    pub actor_kind: &'a str,
    /// Address and port of the caller, if there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub address: Option<String>,
    /// The request's id.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub request_id: Option<&'a str>,
    /// What, for example `endpoint.create`.
    pub action: &'a str,
    /// On what: an endpoint's name, `scope/key`, a token's id.
    pub target: &'a str,
    /// Version before (`config_version` of an endpoint).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub old_version: Option<u64>,
    /// Version after.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub new_version: Option<u64>,
    /// `ok`, or the reason's name.
    pub outcome: &'a str,
}

/// Bytes after which a file is put aside.
const FULL: u64 = 64 << 20;
/// Files that were put aside and are kept: `audit.jsonl.1` is the youngest.
const KEPT: u32 = 10;

/// An entry as it is written.
#[derive(Serialize)]
struct Line<'a> {
    time: Timestamp,
    #[serde(flatten)]
    entry: &'a Entry<'a>,
}

/// The log's writer. Several processes may write at once: each line is one write at the end of the file.
pub struct Audit {
    folder: PathBuf,
    full: u64,
    file: Mutex<File>,
}

impl Audit {
    /// Opens `state/audit/audit.jsonl`, making folder and file (mode 0700 and 0600) if they are not there.
    pub fn open(state: &Path) -> Result<Self, ControlError> {
        Audit::with_size(state, FULL)
    }

    fn with_size(state: &Path, full: u64) -> Result<Self, ControlError> {
        let folder = state.join("audit");
        let made = fs::DirBuilder::new().recursive(true).mode(0o700).create(&folder);
        made.map_err(|source| ControlError::Io { what: "make", path: folder.clone(), source })?;
        let path = folder.join(NAME);
        let file = append(&path).map_err(|source| ControlError::Io { what: "open", path, source })?;
        Ok(Audit { folder, full, file: Mutex::new(file) })
    }

    /// Writes one line, with the time. That it cannot be written is logged, and does not fail the change.
    pub fn write(&self, entry: &Entry<'_>) {
        if let Err(error) = self.try_write(entry) {
            let (path, Entry { actor, action, target, outcome, .. }) = (self.folder.join(NAME), entry);
            log::error!("cannot write to {}: {error}; not in it: {actor} {action} {target}: {outcome}", path.display());
        }
    }

    fn try_write(&self, entry: &Entry<'_>) -> std::io::Result<()> {
        let time = Timestamp::from_millisecond(i64::try_from(now_ms()).unwrap_or(i64::MAX)).unwrap_or(Timestamp::MAX);
        let mut line = serde_json::to_vec(&Line { time, entry })?;
        line.push(b'\n');
        let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        if !self.has_room(&file, line.len() as u64)? {
            // One process puts the file aside; the others then find a new one.
            let lock = File::open(&self.folder)?;
            lock.lock()?;
            *file = append(&self.folder.join(NAME))?;
            if !self.has_room(&file, line.len() as u64)? {
                self.put_aside()?;
                *file = append(&self.folder.join(NAME))?;
            }
        }
        file.write_all(&line)
    }

    /// Whether this is still the log's file, and a line fits.
    fn has_room(&self, file: &File, line: u64) -> std::io::Result<bool> {
        let ours = file.metadata()?;
        let same = match fs::metadata(self.folder.join(NAME)) {
            Ok(current) => (current.dev(), current.ino()) == (ours.dev(), ours.ino()),
            Err(e) if e.kind() == ErrorKind::NotFound => false,
            Err(e) => return Err(e),
        };
        Ok(same && (ours.len() == 0 || ours.len() + line <= self.full))
    }

    /// `audit.jsonl` becomes `.1`, `.1` becomes `.2`, and so on; the oldest goes.
    fn put_aside(&self) -> std::io::Result<()> {
        let numbered = |n: u32| self.folder.join(if n == 0 { NAME.into() } else { format!("{NAME}.{n}") });
        for n in (0..KEPT).rev() {
            match fs::rename(numbered(n), numbered(n + 1)) {
                Err(e) if e.kind() != ErrorKind::NotFound => return Err(e),
                _ => (),
            }
        }
        Ok(())
    }
}

fn append(path: &Path) -> std::io::Result<File> {
    fs::OpenOptions::new().create(true).append(true).mode(0o600).open(path)
}

#[cfg(test)]
#[path = "audit_tests.rs"]
mod tests;
