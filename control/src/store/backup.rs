//! A copy of the database while it is in use.

use std::fs::File;
use std::path::Path;

use super::{DATABASE, Store, connect};
use crate::ControlError;

impl Store {
    /// Writes the database as it is now to a new file, mode 0600, beside running gateways. The file is there whole or not at all.
    ///
    /// Secrets in it stay sealed; the master key is not part of it.
    ///
    /// # Errors
    /// [`ControlError::Io`] if the file is there already or cannot be written.
    pub fn backup(&self, to: &Path) -> Result<(), ControlError> {
        let failed = |source| ControlError::Io { what: "write a backup to", path: to.into(), source };
        let folder = match to.parent() {
            Some(folder) if folder != Path::new("") => folder,
            _ => Path::new("."),
        };
        let temporary = tempfile::NamedTempFile::new_in(folder).map_err(failed)?;
        // A connection of its own: readers and writers of this process go on meanwhile.
        let source = connect(&self.folder.join(DATABASE))?;
        let Some(name) = temporary.path().to_str() else {
            return Err(failed(std::io::Error::new(std::io::ErrorKind::InvalidFilename, "the path is not UTF-8")));
        };
        source.execute("VACUUM INTO ?1", [name])?;
        temporary.as_file().sync_all().map_err(failed)?;
        temporary.persist_noclobber(to).map_err(|e| failed(e.error))?;
        File::open(folder).and_then(|folder| folder.sync_all()).map_err(failed)
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_backup_opens_as_a_state_and_overwrites_nothing() {
        let (folder, elsewhere) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let store = Store::open(folder.path()).unwrap();
        store.ensure_service_principal("app", "root").unwrap();
        let to = elsewhere.path().join(DATABASE);
        store.backup(&to).unwrap();
        assert_eq!(to.metadata().unwrap().permissions().mode() & 0o777, 0o600);
        store.ensure_service_principal("later", "root").unwrap();
        assert!(matches!(store.backup(&to), Err(ControlError::Io { .. })));

        let restored = Store::open(elsewhere.path()).unwrap();
        assert_eq!(restored.workspace_id(), store.workspace_id());
        assert!(!restored.ensure_service_principal("app", "root").unwrap());
        assert!(restored.ensure_service_principal("later", "root").unwrap());
        let nowhere = elsewhere.path().join("no/such/folder/weirgate.db");
        assert!(matches!(store.backup(&nowhere), Err(ControlError::Io { .. })));
    }
}
