//! What happens to an endpoint between two configs, and how its row follows its document.

mod change;
pub(crate) mod config;
mod deploy;
mod machine;
mod own;
mod reconcile;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use weirgate_config::News;

use self::reconcile::Reconciler;
use crate::Control;

pub(crate) use change::{Step, change};
pub(crate) use deploy::all_ready;
#[cfg(test)]
pub(crate) use deploy::step;
pub(crate) use own::{seal, unseal};

/// How often configs that wait for their models are looked at.
const TICK: Duration = Duration::from_millis(200);
/// How often secrets are looked for that nobody uses.
const SWEEP: Duration = Duration::from_secs(60);

/// What keeps the rows in line with the documents.
#[derive(Clone)]
pub struct Follower(Arc<Mutex<Reconciler>>);

impl Follower {
    /// Whether it failed last time; while it is at work it has not.
    fn is_behind(&self) -> bool {
        self.0.try_lock().is_ok_and(|reconciler| reconciler.is_behind)
    }

    /// Tries again what the disk refused, if it did.
    fn catch_up(&self, control: &Control) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).catch_up(&control.keeper.current());
    }
}

/// Makes the rows follow the documents, from now on and for what is served already. Call it once, before the API answers.
pub fn attach(control: &Arc<Control>) -> Follower {
    let mut reconciler =
        Reconciler::new(Arc::clone(&control.store), Arc::clone(&control.audit), control.keeper.folder());
    reconciler.run(&control.keeper.current());
    let reconciler = Arc::new(Mutex::new(reconciler));
    let follower = Follower(Arc::clone(&reconciler));
    control.keeper.listen(move |news| {
        if let News::Good(snapshot) = news {
            reconciler.lock().unwrap_or_else(PoisonError::into_inner).run(snapshot);
        }
    });
    follower
}

/// Brings configs that wait for their models to their end, and removes secrets that nobody uses. Runs as long as the gateway does.
pub async fn run(control: Arc<Control>, follower: Follower) {
    let mut ticks = tokio::time::interval(TICK);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let mut sweep_at = Instant::now();
    loop {
        ticks.tick().await;
        let sweeps = Instant::now() >= sweep_at;
        if follower.is_behind() {
            let (working, following) = (Arc::clone(&control), follower.clone());
            let _ = tokio::task::spawn_blocking(move || following.catch_up(&working)).await;
        }
        let waits = control.store.records().iter().any(|(_, record)| record.pending().is_some());
        if !waits && !sweeps {
            continue;
        }
        let working = Arc::clone(&control);
        let work = move || {
            deploy::step(&working);
            if sweeps {
                own::sweep(&working);
            }
        };
        // It ends early only when the runtime stops.
        let _ = tokio::task::spawn_blocking(work).await;
        if sweeps {
            sweep_at = Instant::now() + SWEEP;
        }
    }
}
