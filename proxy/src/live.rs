//! The gateway's changing state: the table that is served now, and what outlives it.

use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::ArcSwap;
use weirgate_config::snapshot::{PrincipalKind as PlanKind, Snapshot};
use weirgate_control::tokens::{TokenRecord, TokenStore};
use weirgate_policy::identity::{Credential, Directory, Principal, PrincipalKind, hash_token};

use crate::error::ProxyError;
use crate::registry::Registries;
use crate::resolver;
use crate::table::Table;
use crate::upstream::wire::Wire;

/// What all requests share.
pub struct Live {
    table: ArcSwap<Table>,
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
    sources: Mutex<Sources>,
    config_error: ArcSwap<Option<String>>,
}

/// What the table is compiled from.
struct Sources {
    snapshot: Arc<Snapshot>,
    tokens: TokenStore,
    /// What the store held when it could last be read.
    stored: Vec<TokenRecord>,
    /// Tables that requests may still use; what they point to is kept for them.
    retired: Vec<Arc<Table>>,
    admin_token: Option<[u8; 32]>,
}

impl Live {
    /// Compiles the first table. `admin_token` is accepted beside the tokens of config and state.
    pub fn new(
        snapshot: Arc<Snapshot>,
        state: &Path,
        tokens: TokenStore,
        admin_token: Option<&str>,
    ) -> Result<Self, ProxyError> {
        let shared = Registries::new(&snapshot.settings, state)?;
        let pool = snapshot.settings.upstreams.pool.saturating_mul(threads(snapshot.settings.threads));
        let admin_token = admin_token.map(|token| hash_token(token.as_bytes()));
        let stored = tokens.list()?;
        let sources = Sources { snapshot, tokens, stored, retired: Vec::new(), admin_token };
        let table = Table::compile(&sources.snapshot, sources.directory(), &shared);
        shared.metrics.generation.set(generation(&table));
        resolver::resolve_new(&shared);
        Ok(Live {
            table: ArcSwap::from_pointee(table),
            shared,
            wire: Wire::new(pool),
            bodies: AtomicU64::new(0),
            in_flight: AtomicUsize::new(0),
            draining: AtomicBool::new(false),
            sources: Mutex::new(sources),
            config_error: ArcSwap::default(),
        })
    }

    /// The table for one request, kept to its end.
    pub fn table(&self) -> Arc<Table> {
        self.table.load_full()
    }

    /// Serves a new snapshot from now on.
    pub fn accept(&self, snapshot: Arc<Snapshot>) {
        let mut sources = self.sources.lock().unwrap_or_else(PoisonError::into_inner);
        sources.snapshot = snapshot;
        self.publish(&mut sources);
        log::info!("configuration generation {} is live", sources.snapshot.generation);
        self.config_error.store(Arc::new(None));
        self.shared.metrics.config_broken.set(0);
    }

    /// Notes that the files do not validate; the last good state goes on serving.
    pub fn refuse(&self, why: String) {
        log::error!("the configuration on disk is refused, the last good one goes on serving:\n{why}");
        self.shared.metrics.config_broken.set(1);
        self.shared.metrics.config_errors.inc();
        self.config_error.store(Arc::new(Some(why)));
    }

    /// Why the files on disk are not served, if they are not.
    pub fn config_error(&self) -> Option<String> {
        self.config_error.load().as_ref().clone()
    }

    /// The file that `weirgate token create` replaces.
    pub fn token_file(&self) -> std::path::PathBuf {
        self.sources.lock().unwrap_or_else(PoisonError::into_inner).tokens.path()
    }

    /// Reads the tokens of `state/` again.
    pub fn reload_tokens(&self) {
        let mut sources = self.sources.lock().unwrap_or_else(PoisonError::into_inner);
        match sources.tokens.list() {
            Ok(stored) => sources.stored = stored,
            Err(e) => log::error!("{e}; the tokens known so far stay valid"),
        }
        self.publish(&mut sources);
    }

    /// Lets go of what only ended requests used: engines are stopped, addresses forgotten.
    pub fn sweep(&self) {
        let mut sources = self.sources.lock().unwrap_or_else(PoisonError::into_inner);
        if sources.retired.is_empty() {
            return;
        }
        sources.retired.retain(|table| Arc::strong_count(table) > 1);
        let current = self.table();
        let in_use: Vec<&Arc<Table>> = sources.retired.iter().chain([&current]).collect();
        let engines: Vec<_> = in_use.iter().flat_map(|table| table.engines()).collect();
        self.shared.engines.keep_only(&engines);
        self.shared.keep_addresses(|address| in_use.iter().any(|table| table.uses(address)));
    }

    fn publish(&self, sources: &mut Sources) {
        let table = Table::compile(&sources.snapshot, sources.directory(), &self.shared);
        resolver::resolve_new(&self.shared);
        self.shared.metrics.generation.set(generation(&table));
        sources.retired.push(self.table.swap(Arc::new(table)));
    }
}

impl Sources {
    fn directory(&self) -> Directory {
        let listed = self.snapshot.tokens.iter().map(|entry| {
            let spec = &entry.principal;
            let kind = match spec.kind {
                PlanKind::User => PrincipalKind::User,
                PlanKind::ServicePrincipal => PrincipalKind::ServicePrincipal,
            };
            let principal = Principal { kind, name: spec.name.clone(), groups: spec.groups.clone(), admin: spec.admin };
            (entry.sha256, Credential { principal: Arc::new(principal), expires_at: entry.expires_at })
        });
        let made = self.stored.iter().filter_map(|record| {
            let groups = record.groups.iter().map(|group| group.as_str().into()).collect();
            let principal = user(&record.user, groups, record.admin);
            Some((record.hash()?, Credential { principal, expires_at: record.expires_at }))
        });
        let admin = self
            .admin_token
            .map(|hash| (hash, Credential { principal: user("admin", vec![], true), expires_at: None }));
        Directory::new(listed.chain(made).chain(admin))
    }
}

fn user(name: &str, groups: Vec<Arc<str>>, admin: bool) -> Arc<Principal> {
    Arc::new(Principal { kind: PrincipalKind::User, name: name.into(), groups, admin })
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
