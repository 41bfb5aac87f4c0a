//! What runs beside the requests: engines, name lookups, tokens made by another process.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use pingora_core::server::ShutdownWatch;
use pingora_core::services::background::BackgroundService;
use tokio::sync::watch;
use tokio::time::sleep;

use crate::live::Live;
use crate::resolver;

/// How often to look. How soon a token made by `weirgate token create` is accepted.
const TOKENS_EVERY: Duration = Duration::from_millis(300);

/// The background tasks of one gateway.
pub struct Background {
    /// What they work on.
    pub live: Arc<Live>,
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
        tokio::join!(engines, resolver::run(&self.live.shared), watch_tokens(&self.live));
    }
}

/// The file is replaced as a whole, so its time and number change with every token.
async fn watch_tokens(live: &Live) {
    use std::os::unix::fs::MetadataExt;
    let file = live.token_file();
    let look = || std::fs::metadata(&file).ok().map(|m| (m.ino(), m.mtime(), m.mtime_nsec()));
    let mut seen = look();
    loop {
        sleep(TOKENS_EVERY).await;
        live.sweep();
        let now = look();
        if now != seen {
            seen = now;
            // Compiling may look names up, which blocks.
            tokio::task::block_in_place(|| live.reload_tokens());
        }
    }
}
