//! Looks upstream names up, off the request threads.

use std::sync::Arc;
use std::time::Duration;

use futures_util::stream::{self, StreamExt};
use tokio::time::{sleep, timeout};

use crate::registry::Registries;
use crate::upstream::address::Address;

/// How often names are looked up again. The system's resolver does not say how long an answer is good.
const EVERY: Duration = Duration::from_secs(10);
/// How long a new configuration waits for its new names: a name that takes longer is found by the next round.
const PATIENCE: Duration = Duration::from_millis(250);
/// Names that are looked up at once.
const AT_ONCE: usize = 32;

/// Looks up what is new. Blocks; called before a new table is served, so that its first request finds one.
pub fn resolve_new(shared: &Registries) {
    let new: Vec<_> = shared.addresses().into_iter().filter(|address| address.is_new()).collect();
    if new.is_empty() {
        return;
    }
    match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => {
            let _ = runtime.block_on(async { timeout(PATIENCE, refresh(&new)).await });
            // A lookup that hangs must not hold the caller.
            runtime.shutdown_background();
        }
        Err(e) => log::error!("names cannot be looked up now: {e}"),
    }
}

/// Looks all names up again, for ever.
pub async fn run(shared: &Registries) {
    loop {
        refresh(&shared.addresses()).await;
        sleep(EVERY).await;
    }
}

async fn refresh(addresses: &[Arc<Address>]) {
    // Each lookup of a name takes a thread for as long as the system's resolver needs.
    stream::iter(addresses).for_each_concurrent(AT_ONCE, |address| address.refresh()).await;
}
