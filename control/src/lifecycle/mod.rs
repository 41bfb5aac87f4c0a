//! What happens to an endpoint between two configs, and how its row follows its document.

mod change;
pub(crate) mod config;
mod deploy;
mod machine;
mod own;
mod reconcile;

use std::sync::Arc;
use std::time::Duration;

use weirgate_config::News;

use self::reconcile::Reconciler;
use crate::Control;

pub(crate) use change::{Step, change};
pub(crate) use deploy::all_ready;
pub(crate) use own::seal;

/// How often configs that wait for their models are looked at.
const TICK: Duration = Duration::from_millis(200);

/// Makes the rows follow the documents, from now on and for what is served already. Call it once, before the API answers.
pub fn attach(control: &Arc<Control>) {
    let mut reconciler = Reconciler::new(Arc::clone(&control.store), control.keeper.folder());
    let present = control.keeper.current();
    reconciler.run(&present);
    own::sweep_orphans(&control.store, &present);
    control.keeper.listen(move |news| {
        if let News::Good(snapshot) = news {
            reconciler.run(snapshot);
        }
    });
}

/// Brings configs that wait for their models to their end. Runs as long as the gateway does.
pub async fn run(control: Arc<Control>) {
    let mut ticks = tokio::time::interval(TICK);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        if control.store.records().iter().any(|(_, record)| record.pending().is_some()) {
            let control = Arc::clone(&control);
            // It ends early only when the runtime stops.
            let _ = tokio::task::spawn_blocking(move || deploy::step(&control)).await;
        }
    }
}
