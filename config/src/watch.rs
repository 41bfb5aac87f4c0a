//! Watches a config folder from a thread of its own and tells the keeper when to look.
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
use crate::keeper::Keeper;

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
    /// Refreshes the keeper from a thread of its own whenever the folder may have changed. `debounce` (about 40 ms) is the quiet time
    /// waited for after an event.
    ///
    /// # Errors
    /// [`ConfigError::Thread`]. A folder that cannot be watched by events is polled instead.
    pub fn start(keeper: Arc<Keeper>, debounce: Duration) -> Result<Self, ConfigError> {
        let stop = Arc::new(AtomicBool::new(false));
        let (wake, mailbox) = sync_channel(1);
        let folders = Folders::new(keeper.folder(), wake.clone());
        let mut watch = Loop { keeper, folders, mailbox, stop: Arc::clone(&stop), debounce };
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

struct Loop {
    keeper: Arc<Keeper>,
    folders: Folders,
    mailbox: Receiver<()>,
    stop: Arc<AtomicBool>,
    debounce: Duration,
}

impl Loop {
    fn run(&mut self) {
        // The state may have changed between the keeper's look and the first watch.
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

    fn refresh(&self) {
        let mut unsettled = None;
        for _ in 1..SETTLE_ROUNDS {
            unsettled = self.keeper.refresh_settled(unsettled);
            if unsettled.is_none() || self.stopped() {
                return;
            }
            let _ = self.mailbox.recv_timeout(self.debounce);
        }
        self.keeper.refresh();
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
