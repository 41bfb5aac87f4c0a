//! The engine's one error type.

use std::path::PathBuf;

/// Why the engine could not do something. The text says what to do about it.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// A file that could not be read.
    #[error("cannot read {path}: {source}")]
    Read {
        /// The file or folder.
        path: PathBuf,
        /// The system's reason.
        source: std::io::Error,
    },
    /// A model file whose content is wrong, or of a form that this engine does not know.
    #[error("{path}: {what}")]
    Model {
        /// The file or folder.
        path: PathBuf,
        /// What is wrong, and what would be right.
        what: String,
    },
    /// An address that cannot be listened on.
    #[error("cannot listen on {address}: {source}")]
    Listen {
        /// The address, as `--listen` takes it.
        address: String,
        /// The system's reason.
        source: std::io::Error,
    },
    /// A request that cannot be served as it is (the client's fault).
    #[error("{message}")]
    Request {
        /// The parameter at fault, as the client spells it.
        param: Option<&'static str>,
        /// What is wrong, with the numbers.
        message: String,
    },
    /// The engine has too much to do; the client may come back.
    #[error("the engine is busy: {0}")]
    Busy(String),
    /// A fault of the engine itself.
    #[error("internal fault: {0}")]
    Internal(String),
}

impl EngineError {
    /// A fault of the model's file or folder `path`.
    pub fn model(path: impl Into<PathBuf>, what: impl Into<String>) -> Self {
        Self::Model { path: path.into(), what: what.into() }
    }
}
