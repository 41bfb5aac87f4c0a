//! The crate's one error type.

use std::path::PathBuf;

/// Why the state could not be read or written. The text says what to do about it.
#[derive(Debug, thiserror::Error)]
pub enum ControlError {
    /// A file or folder under `state/` failed.
    #[error("cannot {what} {path}: {source}; check that the folder exists and belongs to the user that runs weirgate")]
    Io {
        /// What was tried.
        what: &'static str,
        /// On what.
        path: PathBuf,
        /// The system's reason.
        source: std::io::Error,
    },
    /// The token file is not what this version writes.
    #[error(
        "{path} is not a token file of this version: {why}; restore it from a backup, or move it away to start with no tokens"
    )]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
}
