//! The crate's one error type.

use std::path::PathBuf;

use rusqlite::ErrorCode;
use weirgate_config::EditError;
use weirgate_policy::door::Refusal;
use weirgate_policy::reason::Reason;

/// Why the state could not be read or written, or a request not be granted. The text says what to do about it.
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
    /// A file of the state is not what this version writes.
    #[error(
        "{path} is not a state file of this version: {why}; restore it from a backup, or use the version of weirgate that wrote it"
    )]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// The database failed.
    #[error(
        "the state database failed: {0}; check the disk, and that the state folder belongs to the user that runs weirgate"
    )]
    Database(#[from] rusqlite::Error),
    /// The master key is missing or is not the one that the secrets are encrypted with.
    #[error("the master key: {0}")]
    MasterKey(String),
    /// What the caller is told.
    #[error("{}", .0.message)]
    Refused(Refusal),
}

impl From<Refusal> for ControlError {
    fn from(refusal: Refusal) -> Self {
        ControlError::Refused(refusal)
    }
}

impl From<EditError> for ControlError {
    fn from(error: EditError) -> Self {
        let reason = match &error {
            EditError::Stale { .. } => Reason::Conflict,
            EditError::Invalid(_) => Reason::InvalidParameter,
            EditError::Locked { .. } => Reason::Overloaded,
            EditError::Io { .. } => Reason::Internal,
        };
        ControlError::Refused(Refusal::new(reason, error.to_string()))
    }
}

impl ControlError {
    /// What the caller is told: what failed inside stays in the log.
    pub fn into_refusal(self) -> Refusal {
        match self {
            ControlError::Refused(refusal) => refusal,
            ControlError::Database(error) if is_busy(&error) => {
                let text = "another process holds the state database; try again, and if this stays, look for a command of weirgate that hangs";
                Refusal::new(Reason::Overloaded, text)
            }
            inner => {
                log::error!("{inner}");
                Refusal::new(Reason::Internal, "the gateway could not read or write its state; its log says why")
            }
        }
    }
}

fn is_busy(error: &rusqlite::Error) -> bool {
    matches!(error.sqlite_error_code(), Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked))
}
