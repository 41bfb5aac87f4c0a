//! The one holder of the configuration: what is on disk, what is served, and the two doors to both.
//!
//! All changes of state go through one lock, so file edits and API writes come one after the other, each compiled, published and then
//! told to the listeners in that order. Reading the present state takes no lock.

mod change;

use std::{
    collections::BTreeMap,
    io::ErrorKind,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use arc_swap::{ArcSwap, ArcSwapOption};

use self::change::Change;
use crate::{
    dependencies::{Dependencies, merged},
    diagnostic::{Diagnostics, Problem},
    document::EndpointSpec,
    inputs::{Contents, ENDPOINTS_FOLDER, Inputs, digest, endpoint_paths, read_document},
    load::{Outcome, load_inputs},
    secret::{Resolver, SecretSource},
    snapshot::Snapshot,
    write,
};

/// What a listener is told.
#[derive(Clone, Debug)]
pub enum News {
    /// This state is served from now on.
    Good(Arc<Snapshot>),
    /// The files do not validate; the last good state goes on being served. Told once per distinct text; a `Good` that follows from an
    /// API write does not end it, see [`Keeper::broken`].
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
    #[error(
        "{} was changed by hand since it was read; read the endpoint again and repeat the change. If this stays, the files on disk do not validate: see /readyz",
        file.display()
    )]
    Stale {
        /// Relative to the config folder.
        file: PathBuf,
    },
    /// The new document is not valid.
    #[error("{}", crate::rest::sentence(.0))]
    Invalid(Vec<Problem>),
    /// Another process holds the lock for long.
    #[error(
        "another process has held the lock {} for too long; try again, and if this stays, look for a gateway that hangs",
        file.display()
    )]
    Locked {
        /// As given to [`Keeper::open`].
        file: PathBuf,
    },
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
pub struct Keeper {
    folder: PathBuf,
    lock: PathBuf,
    secrets: Arc<dyn SecretSource + Send + Sync>,
    current: ArcSwap<Snapshot>,
    broken: ArcSwapOption<Diagnostics>,
    state: Mutex<State>,
}

/// What only the holder of the lock looks at.
struct State {
    /// What the served state was made of.
    basis: Basis,
    /// What was looked at last, served or broken: seeing something else means that there is something to do.
    seen: Seen,
    /// Whether it has been said that the lock file does not work.
    warned: bool,
    listeners: Vec<Listener>,
}

struct Basis {
    /// What each document depends on.
    parts: BTreeMap<PathBuf, Dependencies>,
    contents: Contents,
}

type Listener = Box<dyn FnMut(&News) + Send>;

struct Seen {
    digest: [u8; 32],
    dependencies: Dependencies,
}

impl Keeper {
    /// Loads the folder. `last_good` = documents to serve when the folder does not validate; `lock` = a file that two gateways
    /// on the same folder lock while they write (made if absent). The state that it opens with has generation 1.
    ///
    /// # Errors
    /// The folder does not validate and there is no valid `last_good`.
    pub fn open(
        folder: &Path,
        lock: &Path,
        secrets: Arc<dyn SecretSource + Send + Sync>,
        last_good: Option<BTreeMap<PathBuf, Arc<str>>>,
    ) -> Result<Self, Arc<Diagnostics>> {
        undo_removals(folder, lock);
        let Outcome { result, parts, contents, digest } = load_inputs(&Inputs::read(folder), folder, &*secrets);
        let seen = Seen { digest, dependencies: merged(&parts) };
        let (mut snapshot, basis, broken) = match result {
            Ok(snapshot) => (snapshot, Basis { parts, contents }, None),
            Err(diagnostics) => {
                let broken = Arc::new(diagnostics);
                let documents = last_good.ok_or_else(|| Arc::clone(&broken))?;
                let outcome = load_inputs(&Inputs::from_texts(documents), folder, &*secrets);
                let Ok(snapshot) = outcome.result else { return Err(broken) };
                (snapshot, Basis { parts: outcome.parts, contents: outcome.contents }, Some(broken))
            }
        };
        snapshot.generation = 1;
        Ok(Self {
            folder: folder.to_owned(),
            lock: lock.to_owned(),
            secrets,
            current: ArcSwap::from_pointee(snapshot),
            broken: ArcSwapOption::new(broken),
            state: Mutex::new(State { basis, seen, warned: false, listeners: Vec::new() }),
        })
    }

    /// The config folder.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Where secrets are looked up.
    pub fn secrets(&self) -> &Arc<dyn SecretSource + Send + Sync> {
        &self.secrets
    }

    /// What is served: the last good state.
    pub fn current(&self) -> Arc<Snapshot> {
        self.current.load_full()
    }

    /// Why the files on disk are not served, if they are not.
    pub fn broken(&self) -> Option<Arc<Diagnostics>> {
        self.broken.load_full()
    }

    /// Calls `listener` for all later news, in order, under the keeper's lock: it must not call `edit`, `refresh` or `listen`.
    pub fn listen(&self, listener: impl FnMut(&News) + Send + 'static) {
        self.state().listeners.push(Box::new(listener));
    }

    /// Looks at disk and secrets now, and publishes what has changed. Blocks; not for an async thread.
    pub fn refresh(&self) {
        self.look_alone(|_| true);
    }

    /// As [`Self::refresh`]; a state that does not validate is told only if it has settled: its digest is the one of the last look.
    /// Otherwise nothing is told and its digest returned, for a file that is being written looks broken too.
    pub(crate) fn refresh_settled(&self, last: Option<[u8; 32]>) -> Option<[u8; 32]> {
        self.look_alone(|digest| last == Some(*digest))
    }

    /// One API write: `decide` gets the present state and says what becomes of the endpoint's file; the new state is compiled
    /// (last good + this change, so one broken file does not block the others), written (temporary file, fsync, rename, fsync of
    /// the folder), published and told. When this returns, new requests are served by it. Blocks; not for an async thread.
    ///
    /// A document that says what is served already is not written and not published; neither is the removal of one that is not there.
    ///
    /// # Errors
    /// What `decide` returns, or an [`EditError`].
    pub fn edit<E: From<EditError>>(
        &self,
        endpoint: &str,
        decide: impl FnOnce(&Snapshot) -> Result<Edit, E>,
    ) -> Result<Arc<Snapshot>, E> {
        change::check_name(endpoint)?;
        let mut state = self.state();
        let _lock = write::lock(&self.lock).map_err(|source| match source.kind() {
            ErrorKind::TimedOut => EditError::Locked { file: self.lock.clone() },
            _ => EditError::Io { file: self.lock.clone(), source },
        })?;
        let current = self.current();
        if let Some(file) = self.changed_by_hand(endpoint, &current) {
            self.look(&mut state, |_| false);
            return Err(EditError::Stale { file }.into());
        }
        let change = match decide(&current)? {
            Edit::Put(spec) => Change::put(endpoint, *spec, &current, &self.resolver())?,
            Edit::Delete => Change::delete(endpoint, &current),
        };
        let Some(change) = change else { return Ok(current) };
        if let Err(error) = change.write(&self.folder, &current) {
            if matches!(error, EditError::Stale { .. }) {
                self.look(&mut state, |_| false);
            }
            return Err(error.into());
        }
        let snapshot = change.apply(&current, &mut state.basis);
        let dependencies = merged(&state.basis.parts);
        let digest = digest(&state.basis.contents, &dependencies);
        // With a broken neighbour the disk holds another state than the served one, which is still to be looked at.
        if self.broken.load().is_none() {
            state.seen = Seen { digest, dependencies };
        }
        Ok(self.publish(&mut state, Snapshot { digest, ..snapshot }))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // A panic in a listener leaves a complete state behind.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn resolver(&self) -> Resolver<'_> {
        Resolver { folder: &self.folder, store: &*self.secrets }
    }

    /// The endpoint's file if it is not the one that is served.
    fn changed_by_hand(&self, endpoint: &str, current: &Snapshot) -> Option<PathBuf> {
        let is_served = |file: &PathBuf| match read_document(&self.folder.join(file)) {
            Some(Ok(text)) => current.documents.get(file) == Some(&text),
            Some(Err(_)) => false,
            None => !current.documents.contains_key(file),
        };
        endpoint_paths(endpoint).into_iter().find(|file| !is_served(file))
    }

    /// As [`Self::look`], while no other gateway writes: what it reads and tells is then never older than what another has told.
    fn look_alone(&self, tell: impl FnOnce(&[u8; 32]) -> bool) -> Option<[u8; 32]> {
        let mut state = self.state();
        if self.broken.load().is_some() {
            self.follow_secrets(&mut state);
        }
        if !self.has_changed(&state, &Inputs::read(&self.folder)) {
            return None;
        }
        let _lock = match write::lock(&self.lock) {
            Ok(lock) => Some(lock),
            // The next look tries again.
            Err(error) if error.kind() == ErrorKind::TimedOut => {
                log::warn!("{}: {error}", self.lock.display());
                return None;
            }
            // Where nothing can be locked nothing is written through this API either.
            Err(error) => {
                if !std::mem::replace(&mut state.warned, true) {
                    log::warn!("{}: {error}; files are read without it", self.lock.display());
                }
                None
            }
        };
        self.look(&mut state, tell)
    }

    fn has_changed(&self, state: &State, inputs: &Inputs) -> bool {
        digest(&inputs.contents(), &state.seen.dependencies.now(&self.resolver())) != state.seen.digest
    }

    /// While the files are broken, what is served still follows the secrets that it names.
    fn follow_secrets(&self, state: &mut State) {
        let before = merged(&state.basis.parts);
        if before.now(&self.resolver()) == before {
            return;
        }
        let inputs = Inputs::from_texts(self.current().documents.clone());
        let Outcome { result, parts, contents, .. } = load_inputs(&inputs, &self.folder, &*self.secrets);
        if let Ok(snapshot) = result {
            state.basis = Basis { parts, contents };
            self.publish(state, snapshot);
        }
    }

    /// Publishes what is on disk if it is new; `tell` decides for a broken state. Returns the digest of a broken state that was not told.
    fn look(&self, state: &mut State, tell: impl FnOnce(&[u8; 32]) -> bool) -> Option<[u8; 32]> {
        let inputs = Inputs::read(&self.folder);
        if !self.has_changed(state, &inputs) {
            return None;
        }
        let Outcome { result, parts, contents, digest } = load_inputs(&inputs, &self.folder, &*self.secrets);
        if result.is_err() && !tell(&digest) {
            return Some(digest);
        }
        state.seen = Seen { digest, dependencies: merged(&parts) };
        match result {
            Ok(snapshot) => {
                state.basis = Basis { parts, contents };
                let was_broken = self.broken.swap(None).is_some();
                let current = self.current();
                if current.digest != digest {
                    self.publish(state, snapshot);
                } else if was_broken {
                    state.tell(&News::Good(current));
                }
            }
            Err(diagnostics) => {
                let diagnostics = Arc::new(diagnostics);
                let before = self.broken.swap(Some(Arc::clone(&diagnostics)));
                if before.is_none_or(|before| *before != *diagnostics) {
                    state.tell(&News::Broken(diagnostics));
                }
            }
        }
        None
    }

    /// Serves a state from now on, under the next number.
    fn publish(&self, state: &mut State, mut snapshot: Snapshot) -> Arc<Snapshot> {
        snapshot.generation = self.current.load().generation + 1;
        let snapshot = Arc::new(snapshot);
        self.current.store(Arc::clone(&snapshot));
        state.tell(&News::Good(Arc::clone(&snapshot)));
        snapshot
    }
}

/// A crash while an endpoint was removed may have left its file aside. It was not acknowledged, so it has not happened.
fn undo_removals(folder: &Path, lock: &Path) {
    let endpoints = folder.join(ENDPOINTS_FOLDER);
    // Only then: a folder that cannot be written to has no lock to be had.
    if write::removals(&endpoints).is_ok_and(|found| found.is_empty()) {
        return;
    }
    if let Err(error) = write::lock(lock).and_then(|_lock| write::undo_removals(&endpoints)) {
        log::warn!("{}: files that were being removed cannot be put back: {error}", endpoints.display());
    }
}

impl State {
    fn tell(&mut self, news: &News) {
        for listener in &mut self.listeners {
            listener(news);
        }
    }
}

#[cfg(test)]
#[path = "keeper_tests.rs"]
mod tests;
