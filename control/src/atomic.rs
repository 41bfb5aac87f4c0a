//! JSON files that are there whole or not at all.

use std::fs::{self, File};
use std::io::Write;
use std::path::Path;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::ControlError;

/// Reads a file; `None` when there is none.
pub(crate) fn read<T: DeserializeOwned>(path: &Path) -> Result<Option<T>, ControlError> {
    let text = match fs::read(path) {
        Ok(text) => text,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(source) => return Err(ControlError::Io { what: "read", path: path.into(), source }),
    };
    serde_json::from_slice(&text).map(Some).map_err(|e| ControlError::Damaged { path: path.into(), why: e.to_string() })
}

/// Replaces a file, mode 0600: temporary file, fsync, rename, fsync of the folder. A crash leaves the old or the new.
pub(crate) fn write<T: Serialize>(path: &Path, value: &T) -> Result<(), ControlError> {
    let replace = || -> std::io::Result<()> {
        let folder = path.parent().unwrap_or(Path::new("."));
        let mut temporary = tempfile::NamedTempFile::new_in(folder)?;
        temporary.write_all(&serde_json::to_vec_pretty(value)?)?;
        temporary.as_file().sync_all()?;
        temporary.persist(path)?;
        File::open(folder)?.sync_all()
    };
    replace().map_err(|source| ControlError::Io { what: "write", path: path.into(), source })
}
