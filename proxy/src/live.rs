//! The gateway's changing state: the table that is served now, and what outlives it.

use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::ArcSwap;
use weirgate_config::snapshot::{Model, ModelId, Snapshot};
use weirgate_config::{Diagnostics, Keeper, Severity};
use weirgate_control::store::tokens::Token;
use weirgate_control::{DataPlane, Deployment, Store};

use crate::error::ProxyError;
use crate::identity::Identities;
use crate::registry::Registries;
use crate::resolver;
use crate::table::Table;
use crate::upstream::wire::Wire;

/// What all requests share.
pub struct Live {
    table: ArcSwap<Table>,
    /// Who may come in.
    pub identities: Identities,
    /// State that outlives a reload.
    pub shared: Registries,
    /// Connections to upstreams.
    pub wire: Wire,
    /// Bytes of request bodies held in memory.
    pub bodies: AtomicU64,
    /// Requests being worked on, for draining.
    pub in_flight: AtomicUsize,
    /// Once set, answers ask clients to open another connection.
    pub draining: AtomicBool,
    /// Tables that requests may still use; what they point to is kept for them.
    retired: Mutex<Vec<Arc<Table>>>,
    keeper: Arc<Keeper>,
    store: Arc<Store>,
}

impl Live {
    /// Compiles the first table. `tokens` = what the store holds now; `admin_token` is accepted beside these and those of
    /// the config.
    pub fn new(
        keeper: Arc<Keeper>,
        store: Arc<Store>,
        tokens: Vec<Token>,
        admin_token: Option<&str>,
    ) -> Result<Self, ProxyError> {
        let snapshot = keeper.current();
        let settings = &snapshot.settings;
        let shared = Registries::new(settings, store.folder())?;
        let pool = settings.upstreams.pool.saturating_mul(threads(settings.threads));
        let identities = Identities::new(snapshot.clone(), tokens, admin_token);
        let table = Table::compile(&snapshot, None, &shared);
        shared.metrics.generation.set(generation(&table));
        resolver::resolve_new(&shared);
        Ok(Live {
            table: ArcSwap::from_pointee(table),
            identities,
            shared,
            wire: Wire::new(pool),
            bodies: AtomicU64::new(0),
            in_flight: AtomicUsize::new(0),
            draining: AtomicBool::new(false),
            retired: Mutex::default(),
            keeper,
            store,
        })
    }

    /// The table for one request, kept to its end.
    pub fn table(&self) -> Arc<Table> {
        self.table.load_full()
    }

    /// Serves a new snapshot from now on.
    pub fn accept(&self, snapshot: &Arc<Snapshot>) {
        self.identities.configure(snapshot);
        let mut retired = self.retired.lock().unwrap_or_else(PoisonError::into_inner);
        let table = Table::compile(snapshot, Some(&self.table()), &self.shared);
        resolver::resolve_new(&self.shared);
        self.shared.metrics.generation.set(generation(&table));
        self.shared.metrics.config_broken.set(0);
        retired.push(self.table.swap(Arc::new(table)));
    }

    /// Notes that the files do not validate; the last good state goes on serving.
    pub fn refuse(&self, why: &str) {
        log::error!("the configuration on disk is refused, the last good one goes on serving:\n{why}");
        self.shared.metrics.config_broken.set(1);
        self.shared.metrics.config_errors.inc();
    }

    /// Why the files on disk are not served, if they are not.
    pub fn config_error(&self) -> Option<String> {
        self.keeper.broken().map(|diagnostics| errors(&diagnostics))
    }

    /// When an endpoint was made, in Unix seconds; 0 if that is not known.
    pub fn created(&self, endpoint: &str) -> u64 {
        self.store.record(endpoint).map_or(0, |record| record.created_at / 1000)
    }

    /// Looks whether another process has changed the state, and takes it over. Blocks.
    pub fn follow_store(&self) {
        match self.store.changed_elsewhere() {
            Ok(true) => {
                if let Err(e) = self.store.reload_records() {
                    log::error!("{e}");
                }
                self.tokens_changed();
                self.secrets_changed();
            }
            Ok(false) => {}
            Err(e) => log::error!("{e}"),
        }
    }

    /// Lets go of what only ended requests used: engines are stopped, addresses and series forgotten.
    pub fn sweep(&self) {
        let mut retired = self.retired.lock().unwrap_or_else(PoisonError::into_inner);
        if retired.is_empty() && !self.shared.engines.any_asked() {
            return;
        }
        retired.retain(|table| Arc::strong_count(table) > 1);
        let current = self.table();
        let in_use = || retired.iter().chain([&current]);
        self.shared.engines.keep_only(in_use().flat_map(|table| table.engines()));
        self.shared.keep_addresses(in_use().flat_map(|table| table.addresses()));
        self.shared.metrics.keep_only(in_use().flat_map(|table| table.series()));
    }
}

impl DataPlane for Live {
    fn deployment(&self, model: &Arc<Model>) -> Deployment {
        match self.shared.engines.ask(model, &self.table().settings.upstreams, &self.shared) {
            Ok(engine) => engine.deployment(),
            Err(e) => Deployment::Failed(e.to_string()),
        }
    }

    fn metrics(&self, endpoint: &str) -> String {
        String::from_utf8_lossy(&self.shared.metrics.text_of(endpoint)).into_owned()
    }

    fn log(&self, model: &ModelId) -> String {
        self.shared.engines.log(model)
    }

    fn tokens_changed(&self) {
        self.identities.reload(&self.store);
    }

    fn secrets_changed(&self) {
        // They are part of what endpoints are compiled from.
        self.keeper.refresh();
    }
}

/// The errors alone: `weirgate check` shows the warnings too.
pub fn errors(diagnostics: &Diagnostics) -> String {
    let errors = diagnostics.iter().filter(|finding| finding.severity == Severity::Error);
    errors.map(ToString::to_string).collect::<Vec<_>>().join("\n")
}

fn generation(table: &Table) -> i64 {
    i64::try_from(table.generation).unwrap_or(i64::MAX)
}

/// Data-plane workers: 0 = one per core.
pub fn threads(configured: usize) -> usize {
    match configured {
        0 => std::thread::available_parallelism().map_or(1, usize::from),
        n => n,
    }
}

/// Unix seconds. The wall clock is right here: expiry times and `created` are wall-clock times.
#[allow(clippy::disallowed_types)]
pub fn unix_now() -> u64 {
    std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

/// Counts a request in for as long as it lives.
pub struct InFlight<'a>(&'a AtomicUsize);

impl<'a> InFlight<'a> {
    /// Counts in.
    pub fn enter(live: &'a Live) -> Self {
        live.in_flight.fetch_add(1, Ordering::AcqRel);
        InFlight(&live.in_flight)
    }
}

impl Drop for InFlight<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}
