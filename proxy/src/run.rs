//! `weirgate run`: puts the parts together and runs them.

use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use pingora_core::listeners::{L4BufferSettings, ListenerConfig};
use pingora_core::server::configuration::ServerConf;
use pingora_core::server::{RunArgs, Server};
use pingora_core::services::background::background_service;
use pingora_core::services::listening::Service;
use tokio::sync::watch;
use weirgate_config::snapshot::{Listener, Snapshot};
use weirgate_config::{Keeper, News, Watcher};
use weirgate_control::audit::Audit;
use weirgate_control::store::tokens::Token;
use weirgate_control::vault::MasterKey;
use weirgate_control::{Control, Store, api, lifecycle};

use crate::background::Background;
use crate::drain::{Drain, Stop};
use crate::edge::Edge;
use crate::error::ProxyError;
use crate::identity;
use crate::live::{self, Live, errors};
use crate::ops::Operations;
use crate::tls::Certificate;

/// How long the watcher waits for a burst of file events to end.
const DEBOUNCE: Duration = Duration::from_millis(40);
/// Read buffer per connection; Pingora's default of 64 KiB would cost 10 000 idle clients 640 MB.
const READ_BUFFER: usize = 16 * 1024;
/// Write buffer per connection: head and body of a small answer leave in one write.
const WRITE_BUFFER: usize = 8 * 1024;

/// Runs until a signal ends the process.
pub fn run(config: &Path, state: &Path, listen: &[SocketAddr]) -> Result<ExitCode, ProxyError> {
    // For all that speaks TLS: listeners, upstreams, engines' health, issuers' keys.
    pingora_rustls::install_default_crypto_provider();
    let store = Arc::new(open_store(state)?);
    let keeper = open_keeper(config, &store)?;
    let first = keeper.current();
    for warning in &first.warnings {
        log::warn!("{warning}");
    }
    let mut tokens = store.tokens()?;
    let admin_token = admin_token(&store, &mut tokens)?;
    let live = Arc::new(Live::new(keeper.clone(), store.clone(), tokens, admin_token.as_deref())?);
    match live.config_error() {
        Some(why) => live.refuse(&why),
        None => keep(&store, &first),
    }
    let listeners = chosen(&first, listen);
    let certificates = certificates(&listeners)?;
    let audit = Arc::new(Audit::open(state)?);
    let control = Arc::new(Control { store: store.clone(), keeper: keeper.clone(), plane: live.clone(), audit });
    // Rows first: an endpoint that is served is one that the API knows. The watcher comes when all are told of changes.
    let follower = lifecycle::attach(&control);
    follow(&keeper, live.clone(), certificates.clone(), store);
    let _watcher = Watcher::start(keeper, DEBOUNCE).map_err(|e| ProxyError::Config(e.to_string()))?;

    let router = api::router(control.clone());
    let (stop, stopped) = watch::channel(false);
    let (stop_engines, engines_stop) = watch::channel(false);
    let (engines_ended, ended) = watch::channel(false);
    let grace = first.settings.grace;
    let mut server = server(grace, live::threads(first.settings.threads));
    for h2c in [true, false] {
        let of_this_kind = listeners.iter().zip(&certificates).filter(|(listener, _)| listener.h2c == h2c);
        add_gateway(&mut server, Edge::new(live.clone(), &router, h2c), h2c, of_this_kind)?;
    }
    if let Some(operations) = &first.settings.operations {
        let address = operations.address;
        check_free(address)?;
        let router = operations.control_api.then_some(router);
        let mut service = Service::new("operations".into(), Operations { live: live.clone(), router });
        service.add_tcp(&address.to_string());
        service.threads = Some(1);
        server.add_service(service);
    }
    let background = Background { live: live.clone(), control, follower, stop_engines: engines_stop, engines_ended };
    let mut background = background_service("background", background);
    background.threads = Some(1);
    server.add_service(background);

    for listener in &listeners {
        let scheme = if listener.tls.is_some() { "https" } else { "http" };
        log::info!("listening on {scheme}://{}", listener.address);
    }
    Drain { live, stop, stop_engines, engines_ended: ended, grace }.spawn()?;
    server.run(RunArgs { shutdown_signal: Box::new(Stop(stopped)) });
    Ok(ExitCode::SUCCESS)
}

/// The state, with its secrets readable.
pub fn open_store(state: &Path) -> Result<Store, ProxyError> {
    let store = Store::open(state)?;
    store.unlock(MasterKey::from_env()?)?;
    Ok(store)
}

/// The config folder, or what was served before if it does not validate.
fn open_keeper(config: &Path, store: &Arc<Store>) -> Result<Arc<Keeper>, ProxyError> {
    let last_good = Some(store.documents()?).filter(|documents| !documents.is_empty());
    let lock = store.folder().join("config.lock");
    let opened = Keeper::open(config, &lock, store.clone(), last_good);
    opened.map(Arc::new).map_err(|broken| ProxyError::Config(errors(&broken)))
}

/// Puts each change to use before the write that made it returns.
fn follow(keeper: &Keeper, live: Arc<Live>, certificates: Vec<Option<Arc<Certificate>>>, store: Arc<Store>) {
    keeper.listen(move |news| match news {
        News::Good(snapshot) => {
            certificates.iter().flatten().for_each(|certificate| certificate.reload());
            live.accept(snapshot);
            keep(&store, snapshot);
        }
        News::Broken(diagnostics) => live.refuse(&errors(diagnostics)),
    });
}

/// Keeps a good state for a start with broken files, before the write that made it is acknowledged: what was acknowledged
/// must be served after a crash, also beside a file that someone is just editing. That it cannot be kept is no reason not
/// to serve it.
fn keep(store: &Store, snapshot: &Snapshot) {
    if let Err(e) = store.save_documents(&snapshot.documents) {
        log::error!("{e}; a restart with broken files would have nothing to serve");
    }
}

/// The token of the environment, or at the very first start a new one among the others, printed once.
fn admin_token(store: &Store, tokens: &mut Vec<Token>) -> Result<Option<String>, ProxyError> {
    if let Ok(token) = std::env::var("WEIRGATE_ADMIN_TOKEN")
        && !token.is_empty()
    {
        return Ok(Some(token));
    }
    if tokens.is_empty() {
        let (text, token) = store.create_token(&identity::admin(), "command", "made at the first start", None)?;
        tokens.push(token);
        println!("admin token (shown once, kept as a hash only): {text}");
    }
    Ok(None)
}

fn chosen(snapshot: &Snapshot, listen: &[SocketAddr]) -> Vec<Listener> {
    if listen.is_empty() {
        return snapshot.settings.listeners.clone();
    }
    listen.iter().map(|address| Listener { address: *address, tls: None, h2c: true }).collect()
}

fn certificates(listeners: &[Listener]) -> Result<Vec<Option<Arc<Certificate>>>, ProxyError> {
    let load =
        |listener: &Listener| listener.tls.as_ref().map(|files| Certificate::load(files).map(Arc::new)).transpose();
    listeners.iter().map(load).collect()
}

fn server(grace: Duration, threads: usize) -> Server {
    let conf = ServerConf {
        threads,
        grace_period_seconds: Some(grace.as_secs()),
        // Running requests have had the grace period by then.
        graceful_shutdown_timeout_seconds: Some(1),
        ..ServerConf::default()
    };
    let mut server = Server::new_with_opt_and_conf(None, conf);
    server.bootstrap();
    server
}

/// One service for all listeners of a kind: a service has its own threads.
fn add_gateway<'a>(
    server: &mut Server,
    edge: Edge,
    h2c: bool,
    listeners: impl Iterator<Item = (&'a Listener, &'a Option<Arc<Certificate>>)>,
) -> Result<(), ProxyError> {
    let name = if h2c { "gateway" } else { "gateway without h2c" };
    let mut service = Service::new(name.into(), edge);
    let mut any = false;
    for (listener, certificate) in listeners {
        check_free(listener.address)?;
        let mut endpoint = ListenerConfig::tcp(listener.address.to_string())
            .l4_buffer(L4BufferSettings::new(READ_BUFFER, WRITE_BUFFER));
        if let Some(certificate) = certificate {
            endpoint = endpoint.tls(certificate.settings()?);
        }
        service.add_listener(endpoint);
        any = true;
    }
    if any {
        server.add_service(service);
    }
    Ok(())
}

/// Pingora panics on an address that is taken; asking first gives a sentence instead.
fn check_free(address: SocketAddr) -> Result<(), ProxyError> {
    TcpListener::bind(address).map(drop).map_err(|source| ProxyError::Listen { address, source })
}
