//! How many changes run at once. They take turns at the keeper's lock anyway; each that waits there would hold one of the runtime's
//! blocking threads, and reads need those too.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use weirgate_policy::door::Refusal;
use weirgate_policy::reason::Reason;

/// Changes that run.
const RUNNING: usize = 32;
/// Changes that wait to run; more are refused.
const WAITING: usize = 256;

/// The entrance for changes.
pub(super) struct Gate {
    running: Arc<Semaphore>,
    inside: Arc<Semaphore>,
}

/// Leave to run, until it is dropped.
pub(super) struct Pass {
    _running: OwnedSemaphorePermit,
    _inside: OwnedSemaphorePermit,
}

impl Gate {
    pub fn new() -> Self {
        let of = |permits| Arc::new(Semaphore::new(permits));
        Gate { running: of(RUNNING), inside: of(RUNNING + WAITING) }
    }

    /// Waits for a turn, first come, first served.
    ///
    /// # Errors
    /// [`Reason::Overloaded`] at once when too many wait already.
    pub async fn enter(&self) -> Result<Pass, Refusal> {
        let full = || Refusal::new(Reason::Overloaded, "too many changes wait to be made; try again");
        let inside = self.inside.clone().try_acquire_owned().map_err(|_| full())?;
        let running = self.running.clone().acquire_owned().await.map_err(|_| full())?;
        Ok(Pass { _running: running, _inside: inside })
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    #[tokio::test]
    async fn some_run_some_wait_and_the_rest_is_refused() {
        let gate = Gate::new();
        let mut running: Vec<Pass> = (0..RUNNING).map(|_| gate.enter().now_or_never().unwrap().ok().unwrap()).collect();
        let mut waiting: Vec<_> = (0..WAITING).map(|_| Box::pin(gate.enter())).collect();
        assert!(waiting.iter_mut().all(|turn| turn.now_or_never().is_none()));
        assert_eq!(gate.enter().await.err().unwrap().reason, Reason::Overloaded);
        running.pop();
        assert!(waiting[0].as_mut().now_or_never().is_some_and(|turn| turn.is_ok()));
        // Who waited and left frees the place.
        drop(waiting);
        assert!(gate.enter().now_or_never().unwrap().is_ok());
    }
}
