//! Which folders the system's events are asked for, kept right while folders come, go and are replaced.

use std::{
    fs,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    sync::mpsc::SyncSender,
};

use notify::{Event, RecommendedWatcher, RecursiveMode, Watcher as _};

use super::is_relevant;
use crate::inputs::ENDPOINTS_FOLDER;

/// Device and inode: a folder that was replaced by another of its name has to be watched anew.
type Identity = (u64, u64);

pub(super) struct Folders {
    /// The config folder, then its `endpoints/`.
    watched: [(PathBuf, Option<Identity>); 2],
    /// `None` when the system gives no events; then polling alone does the work.
    events: Option<RecommendedWatcher>,
}

impl Folders {
    pub fn new(folder: &Path, wake: SyncSender<()>) -> Self {
        let endpoints = folder.join(ENDPOINTS_FOLDER);
        let names = vec![folder.to_owned(), endpoints.clone()];
        let handler = move |event: notify::Result<Event>| {
            let look = match &event {
                // Our own reading causes access events.
                Ok(event) => {
                    !event.kind.is_access()
                        && (event.need_rescan() || event.paths.iter().any(|path| is_relevant(path, &names)))
                }
                Err(_) => true,
            };
            if look {
                let _ = wake.try_send(());
            }
        };
        let events = notify::recommended_watcher(handler)
            .inspect_err(|error| log::warn!("no file events ({error}); the config folder is polled instead"))
            .ok();
        let mut folders = Self { watched: [(folder.to_owned(), None), (endpoints, None)], events };
        folders.renew();
        folders
    }

    /// Watches what has appeared or was replaced since the last time.
    pub fn renew(&mut self) {
        let Some(events) = &mut self.events else { return };
        for (path, watched) in &mut self.watched {
            let present = identity(path);
            if present == *watched {
                continue;
            }
            if watched.is_some() {
                // Fails when the folder is gone, and then there is nothing to undo.
                let _ = events.unwatch(path);
            }
            *watched = present.filter(|_| events.watch(path, RecursiveMode::NonRecursive).is_ok());
        }
    }

    /// Whether events can be expected for everything that is there now; `endpoints/` may be absent, its creation is seen in the folder.
    pub fn all_watched(&self) -> bool {
        let [(_, folder), (endpoints, endpoints_watched)] = &self.watched;
        self.events.is_some() && folder.is_some() && identity(endpoints) == *endpoints_watched
    }
}

fn identity(path: &Path) -> Option<Identity> {
    let metadata = fs::metadata(path).ok().filter(fs::Metadata::is_dir)?;
    Some((metadata.dev(), metadata.ino()))
}
