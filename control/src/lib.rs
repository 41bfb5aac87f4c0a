//! The control side of the gateway: the REST API, and what is not config, kept under `state/`.
//!
//! `api/` holds the routes, `lifecycle` what happens to an endpoint between two configs, `store` the state, `audit` the log of changes.
//! Endpoint documents are changed through [`weirgate_config::Keeper`], so that files and API are one state.
#![deny(missing_docs)]

pub mod access;
pub mod api;
pub mod audit;
pub mod caller;
mod credentials;
pub mod error;
pub mod jwt;
pub mod lifecycle;
pub mod plane;
pub mod store;
pub mod vault;

use std::sync::Arc;

use weirgate_config::Keeper;

pub use caller::Caller;
pub use error::ControlError;
pub use plane::{DataPlane, Deployment};
pub use store::Store;
pub use vault::MasterKey;

/// Everything that the routes work on.
pub struct Control {
    /// What is not config.
    pub store: Arc<Store>,
    /// The config documents.
    pub keeper: Arc<Keeper>,
    /// The running data plane.
    pub plane: Arc<dyn DataPlane>,
    /// Who changed what.
    pub audit: Arc<audit::Audit>,
}

impl Control {
    /// What the API shows: the rows, and the documents that they are in line with.
    pub(crate) fn shown(&self) -> (Arc<weirgate_config::Snapshot>, Arc<store::endpoints::Records>) {
        let records = self.store.records();
        (records.snapshot().cloned().unwrap_or_else(|| self.keeper.current()), records)
    }
}

/// Milliseconds since the epoch: the API's times are wall-clock times (contract §1).
#[allow(clippy::disallowed_types)]
pub fn now_ms() -> u64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    since.map_or(0, |since| u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}
