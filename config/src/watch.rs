//! Watches a config folder from a thread of its own: a change → load → the callback.
//!
//! Events only say *when* to look; *whether* something changed is decided by a digest over everything that the state depends on. So editors
//! that replace files, Kubernetes' `..data` swaps, bursts, lost events and unrelated files need no code of their own.

mod folders;

use std::{
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
        mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use self::folders::Folders;
use crate::{
    dependencies::Dependencies,
    diagnostic::Diagnostics,
    inputs::Inputs,
    load::{Outcome, load_inputs},
    secret::{Resolver, SecretSource},
    snapshot::Snapshot,
};

/// Looks without an event: secrets and certificates outside the folder, lost events.
const POLL: Duration = Duration::from_secs(2);
/// The same while events cannot be had, for example because the folder is gone.
const POLL_BLIND: Duration = Duration::from_millis(250);
/// Under a steady stream of events the look is put off by at most this many debounces.
const LONGEST_DEBOUNCE: u32 = 5;
/// A broken state must stay the same for one debounce before it is reported; a file that is being written looks broken too.
const SETTLE_ROUNDS: usize = 5;

/// Why a watcher cannot run.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The system gives no thread.
    #[error("the config watcher's thread cannot be started: {0}")]
    Thread(#[source] std::io::Error),
}

/// A running watcher; dropping it stops its thread.
pub struct Watcher {
    stop: Arc<AtomicBool>,
    wake: SyncSender<()>,
    thread: Option<JoinHandle<()>>,
}

impl Watcher {
    /// Loads the folder and calls `on_change` once before this returns; afterwards, from the watcher's thread, once per change.
    ///
    /// A valid state comes with the next generation number, starting at 1. A broken one comes once per distinct content; when what follows
    /// it is the last good state again, that same snapshot comes again. `debounce` (about 40 ms) is the quiet time waited for after an event.
    ///
    /// # Errors
    /// [`ConfigError::Thread`]. A folder that cannot be watched by events is polled instead.
    pub fn start(
        folder: impl Into<PathBuf>,
        secrets: Arc<dyn SecretSource + Send + Sync>,
        debounce: Duration,
        on_change: impl FnMut(Result<Arc<Snapshot>, Arc<Diagnostics>>) + Send + 'static,
    ) -> Result<Self, ConfigError> {
        let folder = folder.into();
        let stop = Arc::new(AtomicBool::new(false));
        let (wake, mailbox) = sync_channel(1);
        let folders = Folders::new(&folder, wake.clone());
        let mut state =
            State { folder, secrets, on_change, good: None, seen: None, dependencies: Dependencies::default() };
        let inputs = Inputs::read(&state.folder);
        let first = state.load(&inputs);
        state.publish(first);
        let mut watch = Loop { state, folders, mailbox, stop: Arc::clone(&stop), debounce };
        let thread =
            thread::Builder::new().name("config".to_owned()).spawn(move || watch.run()).map_err(ConfigError::Thread)?;
        Ok(Self { stop, wake, thread: Some(thread) })
    }

    /// Looks now, for example because the secret store has changed.
    pub fn poke(&self) {
        // A full mailbox means that a look is due anyway.
        let _ = self.wake.try_send(());
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Release);
        self.poke();
        if let Some(thread) = self.thread.take().filter(|thread| thread.thread().id() != thread::current().id()) {
            // A panic of the callback has been reported by the thread itself.
            let _ = thread.join();
        }
    }
}

struct State<F> {
    folder: PathBuf,
    secrets: Arc<dyn SecretSource + Send + Sync>,
    on_change: F,
    good: Option<Arc<Snapshot>>,
    /// Digest of what was published last, good or broken.
    seen: Option<[u8; 32]>,
    dependencies: Dependencies,
}

impl<F: FnMut(Result<Arc<Snapshot>, Arc<Diagnostics>>)> State<F> {
    fn load(&self, inputs: &Inputs) -> Outcome {
        load_inputs(inputs, &self.folder, &*self.secrets)
    }

    fn changed(&self, inputs: &Inputs) -> bool {
        let resolver = Resolver { folder: &self.folder, store: &*self.secrets };
        self.seen != Some(inputs.digest(&self.dependencies.now(&resolver)))
    }

    fn publish(&mut self, outcome: Outcome) {
        self.seen = Some(outcome.digest);
        self.dependencies = outcome.dependencies;
        let result = match (outcome.result, &self.good) {
            (Ok(_), Some(good)) if good.digest == outcome.digest => Ok(Arc::clone(good)),
            (Ok(mut snapshot), good) => {
                snapshot.generation = good.as_ref().map_or(0, |good| good.generation) + 1;
                let snapshot = Arc::new(snapshot);
                self.good = Some(Arc::clone(&snapshot));
                Ok(snapshot)
            }
            (Err(diagnostics), _) => Err(Arc::new(diagnostics)),
        };
        (self.on_change)(result);
    }
}

struct Loop<F> {
    state: State<F>,
    folders: Folders,
    mailbox: Receiver<()>,
    stop: Arc<AtomicBool>,
    debounce: Duration,
}

impl<F: FnMut(Result<Arc<Snapshot>, Arc<Diagnostics>>)> Loop<F> {
    fn run(&mut self) {
        // The state may have changed between the first load and the first watch.
        self.folders.renew();
        while !self.stopped() {
            self.refresh();
            let poll = if self.folders.all_watched() { POLL } else { POLL_BLIND };
            if self.mailbox.recv_timeout(poll).is_ok() {
                self.wait_for_quiet();
            }
            self.folders.renew();
        }
    }

    fn stopped(&self) -> bool {
        self.stop.load(Ordering::Acquire)
    }

    fn wait_for_quiet(&self) {
        let latest = Instant::now() + self.debounce * LONGEST_DEBOUNCE;
        while !self.stopped() && Instant::now() < latest {
            if self.mailbox.recv_timeout(self.debounce) == Err(RecvTimeoutError::Timeout) {
                return;
            }
        }
    }

    fn refresh(&mut self) {
        let mut unsettled = None;
        for round in 1..=SETTLE_ROUNDS {
            let inputs = Inputs::read(&self.state.folder);
            if self.stopped() || !self.state.changed(&inputs) {
                return;
            }
            let outcome = self.state.load(&inputs);
            let settled = outcome.result.is_ok() || unsettled == Some(outcome.digest) || round == SETTLE_ROUNDS;
            if settled {
                return self.state.publish(outcome);
            }
            unsettled = Some(outcome.digest);
            let _ = self.mailbox.recv_timeout(self.debounce);
        }
    }
}

/// Whether an event about this path can mean a change: a document, or a link that Kubernetes swaps.
fn is_relevant(path: &Path, folder_names: &[PathBuf]) -> bool {
    let name = path.file_name().unwrap_or_default().as_encoded_bytes();
    name.ends_with(b".yaml")
        || name.ends_with(b".yml")
        || name.starts_with(b"..")
        || folder_names.iter().any(|folder| path == folder)
}

#[cfg(test)]
#[path = "watch_tests.rs"]
mod tests;
