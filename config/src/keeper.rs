//! The one holder of the configuration: what is on disk, what is served, and the two doors to both.
//!
//! All changes of state go through one lock, so file edits and API writes come one after the other, each compiled, published and then
//! told to the listeners in that order. Reading the present state takes no lock.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::Arc,
};

use crate::{
    diagnostic::{Diagnostics, Problem},
    document::EndpointSpec,
    secret::SecretSource,
    snapshot::Snapshot,
};

/// What a listener is told.
#[derive(Clone, Debug)]
pub enum News {
    /// This state is served from now on.
    Good(Arc<Snapshot>),
    /// The files do not validate; the last good state goes on being served.
    Broken(Arc<Diagnostics>),
}

/// What an API write does to an endpoint's document.
#[derive(Clone, Debug)]
pub enum Edit {
    /// Creates or replaces it.
    Put(Box<EndpointSpec>),
    /// Removes it.
    Delete,
}

/// Why an API write did not happen; nothing has changed then.
#[derive(Debug, thiserror::Error)]
pub enum EditError {
    /// The file on disk is not the one that is served: someone edits it.
    #[error("{} was changed by hand since it was read; read the endpoint again and repeat the change", file.display())]
    Stale {
        /// Relative to the config folder.
        file: PathBuf,
    },
    /// The new document is not valid.
    #[error("{}", crate::rest::sentence(.0))]
    Invalid(Vec<Problem>),
    /// The disk failed.
    #[error("cannot write {}: {source}; check the disk and the folder's owner", file.display())]
    Io {
        /// Relative to the config folder.
        file: PathBuf,
        /// The system's reason.
        source: std::io::Error,
    },
}

/// Holder of the configuration.
pub struct Keeper {}

impl Keeper {
    /// Loads the folder. `last_good` = documents to serve when the folder does not validate; `lock` = a file that two gateways
    /// on the same folder lock while they write (made if absent).
    ///
    /// # Errors
    /// The folder does not validate and there is no valid `last_good`.
    pub fn open(
        _folder: &Path,
        _lock: &Path,
        _secrets: Arc<dyn SecretSource + Send + Sync>,
        _last_good: Option<BTreeMap<PathBuf, String>>,
    ) -> Result<Self, Arc<Diagnostics>> {
        unimplemented!("helper A")
    }

    /// The config folder.
    pub fn folder(&self) -> &Path {
        unimplemented!("helper A")
    }

    /// Where secrets are looked up.
    pub fn secrets(&self) -> &Arc<dyn SecretSource + Send + Sync> {
        unimplemented!("helper A")
    }

    /// What is served: the last good state.
    pub fn current(&self) -> Arc<Snapshot> {
        unimplemented!("helper A")
    }

    /// Why the files on disk are not served, if they are not.
    pub fn broken(&self) -> Option<Arc<Diagnostics>> {
        unimplemented!("helper A")
    }

    /// Calls `listener` for all later news, in order, under the keeper's lock: it must not call `edit` or `refresh`.
    pub fn listen(&self, _listener: impl FnMut(&News) + Send + 'static) {
        unimplemented!("helper A")
    }

    /// Looks at disk and secrets now, and publishes what has changed. Blocks; not for an async thread.
    pub fn refresh(&self) {
        unimplemented!("helper A")
    }

    /// One API write: `decide` gets the present state and says what becomes of the endpoint's file; the new state is compiled
    /// (last good + this change, so one broken file does not block the others), written (temporary file, fsync, rename, fsync of
    /// the folder), published and told. When this returns, new requests are served by it. Blocks; not for an async thread.
    ///
    /// # Errors
    /// What `decide` returns, or an [`EditError`].
    pub fn edit<E: From<EditError>>(
        &self,
        _endpoint: &str,
        _decide: impl FnOnce(&Snapshot) -> Result<Edit, E>,
    ) -> Result<Arc<Snapshot>, E> {
        unimplemented!("helper A")
    }
}
