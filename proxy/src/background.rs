//! What runs beside the requests: engines, name lookups, access tokens, issuers' keys, deployments, and what other processes write.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use pingora_core::server::ShutdownWatch;
use pingora_core::services::background::BackgroundService;
use tokio::sync::watch;
use tokio::time::sleep;
use weirgate_control::{Control, lifecycle};

use crate::live::Live;
use crate::resolver;
use crate::upstream::token;

/// How often to look. How soon a token made by `weirgate token create` is accepted.
const LOOK_EVERY: Duration = Duration::from_millis(300);

/// The background tasks of one gateway.
pub struct Background {
    /// What they work on.
    pub live: Arc<Live>,
    /// What the life cycle of endpoints works on.
    pub control: Arc<Control>,
    /// What keeps its rows in line.
    pub follower: lifecycle::Follower,
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
            token::run(&self.live),
            self.live.identities.issuers.keep_fresh(),
            lifecycle::run(self.control.clone(), self.follower.clone()),
            look(&self.live),
        );
    }
}

async fn look(live: &Arc<Live>) {
    loop {
        sleep(LOOK_EVERY).await;
        let live = live.clone();
        // It reads disk, and waits for a write in progress. A panic in it has been logged, and is no reason to stop looking.
        let _ = tokio::task::spawn_blocking(move || {
            live.sweep();
            live.follow_store();
        })
        .await;
    }
}
