//! `weirgate run`: puts the parts together and runs them.

use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, sync_channel};
use std::time::Duration;

use pingora_core::listeners::{L4BufferSettings, ListenerConfig};
use pingora_core::server::configuration::ServerConf;
use pingora_core::server::{RunArgs, Server};
use pingora_core::services::background::background_service;
use pingora_core::services::listening::Service;
use tokio::sync::watch;
use weirgate_config::snapshot::{Listener, Snapshot};
use weirgate_config::{Diagnostics, NoSecrets, Severity, Watcher};
use weirgate_control::last_good;
use weirgate_control::tokens::TokenStore;

use crate::background::Background;
use crate::drain::{Drain, Stop};
use crate::edge::Edge;
use crate::error::ProxyError;
use crate::live::{self, Live, unix_now};
use crate::ops::Operations;
use crate::tls::Certificate;

/// A state of the config folder, good or not.
type Change = Result<Arc<Snapshot>, Arc<Diagnostics>>;

/// How long the watcher waits for a burst of file events to end.
const DEBOUNCE: Duration = Duration::from_millis(40);
/// Read buffer per connection; Pingora's default of 64 KiB would cost 10 000 idle clients 640 MB.
const READ_BUFFER: usize = 16 * 1024;
/// Write buffer per connection: head and body of a small answer leave in one write.
const WRITE_BUFFER: usize = 8 * 1024;
/// The admin of a new gateway, unless WEIRGATE_ADMIN_TOKEN names a token.
const ADMIN: &str = "admin";

/// Runs until a signal ends the process.
pub fn run(config: &Path, state: &Path, listen: &[SocketAddr]) -> Result<ExitCode, ProxyError> {
    let (tell, changes) = sync_channel(1);
    // The first load comes at once; the watcher waits for the changes that follow to be taken.
    let _watcher = Watcher::start(config, Arc::new(NoSecrets), DEBOUNCE, move |change| {
        let _ = tell.send(change);
    })
    .map_err(|e| ProxyError::Config(e.to_string()))?;
    let first = changes.recv().map_err(|_| ProxyError::Config("the watcher ended before it loaded anything".into()))?;
    let tokens = TokenStore::open(state)?;
    let (first, broken) = match first {
        Ok(first) => (first, None),
        Err(broken) => (last_good(config, state, &broken)?, Some(broken)),
    };
    for warning in &first.warnings {
        log::warn!("{warning}");
    }
    let admin_token = admin_token(&tokens)?;
    let live = Arc::new(Live::new(first.clone(), state, tokens, admin_token.as_deref())?);

    let listeners = chosen(&first, listen);
    let certificates = certificates(&listeners)?;
    match broken {
        Some(broken) => live.refuse(errors(&broken)),
        None => keep(state, &first),
    }
    follow(changes, live.clone(), certificates.clone(), state.into())?;

    let (stop, stopped) = watch::channel(false);
    let (stop_engines, engines_stop) = watch::channel(false);
    let (engines_ended, ended) = watch::channel(false);
    let grace = first.settings.grace;
    let mut server = server(grace, live::threads(first.settings.threads));
    for h2c in [true, false] {
        let of_this_kind = listeners.iter().zip(&certificates).filter(|(listener, _)| listener.h2c == h2c);
        add_gateway(&mut server, &live, h2c, of_this_kind)?;
    }
    if let Some(operations) = &first.settings.operations {
        let address = operations.address;
        check_free(address)?;
        let mut service = Service::new("operations".into(), Operations { live: live.clone() });
        service.add_tcp(&address.to_string());
        service.threads = Some(1);
        server.add_service(service);
    }
    let background = Background { live: live.clone(), stop_engines: engines_stop, engines_ended };
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

/// What was served before, when the files do not validate at a start.
fn last_good(config: &Path, state: &Path, broken: &Diagnostics) -> Result<Arc<Snapshot>, ProxyError> {
    let refused = || ProxyError::Config(errors(broken));
    let documents = last_good::load(state)?.ok_or_else(refused)?;
    let snapshot = weirgate_config::load_documents(documents, config, &NoSecrets).map_err(|_| refused())?;
    Ok(Arc::new(snapshot))
}

/// Keeps a good state for the next start. That it cannot be kept is no reason not to serve it.
fn keep(state: &Path, snapshot: &Snapshot) {
    if let Err(e) = last_good::save(state, &snapshot.documents) {
        log::error!("{e}; a restart with broken files would have nothing to serve");
    }
}

/// Puts each change to use, on a thread of its own: compiling and looking names up may take a moment.
fn follow(
    changes: Receiver<Change>,
    live: Arc<Live>,
    certificates: Vec<Option<Arc<Certificate>>>,
    state: PathBuf,
) -> Result<(), ProxyError> {
    let apply = move || {
        for change in changes {
            match change {
                Ok(snapshot) => {
                    certificates.iter().flatten().for_each(|certificate| certificate.reload());
                    keep(&state, &snapshot);
                    live.accept(snapshot);
                }
                Err(diagnostics) => live.refuse(errors(&diagnostics)),
            }
        }
    };
    let failed = |source| ProxyError::Io { what: "starting the reload thread".into(), source };
    std::thread::Builder::new().name("reload".into()).spawn(apply).map(|_| ()).map_err(failed)
}

/// The errors alone: `weirgate check` shows the warnings too.
fn errors(diagnostics: &Diagnostics) -> String {
    let errors = diagnostics.iter().filter(|finding| finding.severity == Severity::Error);
    errors.map(ToString::to_string).collect::<Vec<_>>().join("\n")
}

/// The token of the environment, or at the very first start a new one, printed once.
fn admin_token(tokens: &TokenStore) -> Result<Option<String>, ProxyError> {
    if let Ok(token) = std::env::var("WEIRGATE_ADMIN_TOKEN")
        && !token.is_empty()
    {
        return Ok(Some(token));
    }
    if tokens.list()?.is_empty() {
        let token = tokens.create(ADMIN, vec![], true, unix_now(), None)?;
        println!("admin token (shown once, kept as a hash only): {token}");
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
    live: &Arc<Live>,
    h2c: bool,
    listeners: impl Iterator<Item = (&'a Listener, &'a Option<Arc<Certificate>>)>,
) -> Result<(), ProxyError> {
    let name = if h2c { "gateway" } else { "gateway without h2c" };
    let mut service = Service::new(name.into(), Edge::new(live.clone(), h2c));
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
