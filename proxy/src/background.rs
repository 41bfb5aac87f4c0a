//! What runs beside the requests: engines, name lookups, issuers' keys, deployments, and what other processes write.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use pingora_core::server::ShutdownWatch;
use pingora_core::services::background::BackgroundService;
use tokio::sync::watch;
use tokio::task::block_in_place;
use tokio::time::sleep;
use weirgate_config::snapshot::Snapshot;
use weirgate_control::{Control, lifecycle};

use crate::live::Live;
use crate::resolver;

/// How often to look. How soon a token made by `weirgate token create` is accepted.
const LOOK_EVERY: Duration = Duration::from_millis(300);

/// The background tasks of one gateway.
pub struct Background {
    /// What they work on.
    pub live: Arc<Live>,
    /// What the life cycle of endpoints works on.
    pub control: Arc<Control>,
    /// The state that is served, to be kept for a start with broken files.
    pub good: watch::Receiver<Arc<Snapshot>>,
    /// Tells the engines to stop: later than the listeners, for requests in flight need them.
    pub stop_engines: watch::Receiver<bool>,
    /// Told when all engines have ended.
    pub engines_ended: watch::Sender<bool>,
}

#[async_trait]
impl BackgroundService for Background {
    async fn start(&self, _shutdown: ShutdownWatch) {
        let engines = async {
            self.live.shared.engines.run(self.stop_engines.clone()).await;
            self.engines_ended.send_replace(true);
        };
        tokio::join!(
            engines,
            resolver::run(&self.live.shared),
            self.live.identities.issuers.keep_fresh(),
            lifecycle::run(self.control.clone()),
            self.keep_good(),
            look(&self.live),
        );
    }
}

impl Background {
    /// That it cannot be kept is no reason not to serve it.
    async fn keep_good(&self) {
        let mut good = self.good.clone();
        // The first one is news as well.
        good.mark_changed();
        while good.changed().await.is_ok() {
            let snapshot = good.borrow_and_update().clone();
            if let Err(e) = block_in_place(|| self.control.store.save_documents(&snapshot.documents)) {
                log::error!("{e}; a restart with broken files would have nothing to serve");
            }
        }
    }
}

async fn look(live: &Live) {
    loop {
        sleep(LOOK_EVERY).await;
        live.sweep();
        block_in_place(|| live.follow_store());
    }
}
