//! The last good config documents, `state/last-good.json`: what a gateway serves that is started again while the files
//! on disk do not validate.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::{ControlError, atomic};

/// Documents by their path in the config folder.
pub type Documents = BTreeMap<PathBuf, String>;

fn file(state: &Path) -> PathBuf {
    state.join("last-good.json")
}

/// Keeps documents that have validated. The file is readable by its owner only: plaintext secrets may be in it.
pub fn save(state: &Path, documents: &Documents) -> Result<(), ControlError> {
    atomic::write(&file(state), documents)
}

/// What was kept last, if anything.
pub fn load(state: &Path) -> Result<Option<Documents>, ControlError> {
    atomic::read(&file(state))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_saved_last_is_loaded() {
        let state = tempfile::tempdir().unwrap();
        assert_eq!(load(state.path()).unwrap(), None);
        for text in ["threads: 1", "threads: 2"] {
            let documents = Documents::from([("weirgate.yaml".into(), text.into())]);
            save(state.path(), &documents).unwrap();
            assert_eq!(load(state.path()).unwrap(), Some(documents));
        }
        std::fs::write(file(state.path()), "{").unwrap();
        assert!(matches!(load(state.path()), Err(ControlError::Damaged { .. })));
    }
}
