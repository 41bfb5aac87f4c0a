//! Engines behind local models: our own, started and supervised here, or a vLLM-compatible server at a URL.
//!
//! They live in a registry keyed by what they are, outside the snapshot, so that a reload that does not touch an
//! engine leaves its process and health alone.

mod health;
mod supervise;

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU8, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::ArcSwap;
use tokio::sync::{Notify, watch};
use url::Url;
use weirgate_config::snapshot::{EngineSettings, Model, Serving, UpstreamDefaults};

use crate::error::ProxyError;
use crate::registry::Registries;
use crate::upstream::Timeouts;
use crate::upstream::address::Address;

/// Where an engine is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum State {
    /// Not heard from yet: starting, or loading its model.
    Starting = 0,
    /// Gets traffic.
    Ready = 1,
    /// Was there and is not, or failed to start.
    Down = 2,
}

impl State {
    /// As `/readyz` spells it.
    pub fn name(self) -> &'static str {
        match self {
            State::Starting => "starting",
            State::Ready => "ready",
            State::Down => "down",
        }
    }
}

/// What to start, for our own engine.
#[derive(Debug, Clone)]
struct Launch {
    command: PathBuf,
    model: PathBuf,
    name: Arc<str>,
    socket: PathBuf,
    threads: Option<usize>,
}

/// One engine.
pub struct Engine {
    /// Catalogue name and version, for operators.
    pub label: String,
    /// Base URL of its HTTP API.
    pub base: Url,
    /// Where it listens.
    pub address: Arc<Address>,
    launch: Option<Launch>,
    state: AtomicU8,
    served_name: ArcSwap<Arc<str>>,
    /// Requests in its running batch, as of its last `/metrics`.
    pub running: AtomicU64,
    /// Requests in its queue, as of its last `/metrics`.
    pub waiting: AtomicU64,
    /// Times that its process was started again.
    pub restarts: AtomicU64,
    /// Counts its process' ends, so that news from an earlier life are known as such.
    ends: AtomicU64,
    stop: watch::Sender<bool>,
}

impl Engine {
    /// Whether it may get traffic.
    pub fn is_ready(&self) -> bool {
        self.state() == State::Ready
    }

    /// Where it is in its life.
    pub fn state(&self) -> State {
        match self.state.load(Ordering::Acquire) {
            1 => State::Ready,
            2 => State::Down,
            _ => State::Starting,
        }
    }

    fn set_state(&self, state: State) {
        let before = self.state.swap(state as u8, Ordering::AcqRel);
        if before != state as u8 {
            log::info!("engine {}: {}", self.label, state.name());
        }
    }

    /// What the engine calls its model.
    pub fn served_name(&self) -> Arc<str> {
        Arc::clone(&self.served_name.load())
    }
}

/// All engines that the present configuration uses.
pub struct Engines {
    folder: PathBuf,
    settings: EngineSettings,
    known: Mutex<HashMap<String, Arc<Engine>>>,
    next_socket: AtomicUsize,
    /// Woken when engines come or go.
    changed: Notify,
}

impl Engines {
    /// `folder` holds the engines' sockets.
    pub fn new(folder: &Path, settings: EngineSettings) -> Result<Self, ProxyError> {
        std::fs::create_dir_all(folder)
            .map_err(|source| ProxyError::Io { what: format!("making {}", folder.display()), source })?;
        Ok(Engines {
            folder: folder.into(),
            settings,
            known: Mutex::default(),
            next_socket: AtomicUsize::new(0),
            changed: Notify::new(),
        })
    }

    /// The engine of a catalogue model: the one that is there, or a new one that the background task will start.
    pub fn get_or_start(
        &self,
        model: &Arc<Model>,
        settings: &UpstreamDefaults,
        shared: &Registries,
    ) -> Result<Arc<Engine>, ProxyError> {
        let key = format!("{} {:?} {:?}", model.id, model.serving, model.served_name);
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(engine) = known.get(&key) {
            return Ok(engine.clone());
        }
        let (base, address, launch) = match &model.serving {
            Serving::Engine { url } | Serving::Server { url } => {
                (url.clone(), shared.address_of_url(url, settings)?, None)
            }
            Serving::Source(path) => {
                let socket = self.next_socket();
                let address = Arc::new(Address::of_socket(&socket, Timeouts::from(settings))?);
                let base =
                    Url::parse("http://localhost").map_err(|_| ProxyError::Upstream { url: "localhost".into() })?;
                let launch = Launch {
                    command: self.command(),
                    model: path.clone(),
                    name: model.id.name.clone(),
                    socket,
                    threads: self.settings.threads,
                };
                (base, address, Some(launch))
            }
        };
        let engine = Arc::new(Engine {
            label: model.id.to_string(),
            base,
            address,
            launch,
            state: AtomicU8::new(State::Starting as u8),
            served_name: ArcSwap::from_pointee(model.served_name.clone().unwrap_or_else(|| model.id.name.clone())),
            running: AtomicU64::new(0),
            waiting: AtomicU64::new(0),
            restarts: AtomicU64::new(0),
            ends: AtomicU64::new(0),
            stop: watch::Sender::new(false),
        });
        known.insert(key, engine.clone());
        self.changed.notify_one();
        Ok(engine)
    }

    /// The engines that there are now.
    pub fn all(&self) -> Vec<Arc<Engine>> {
        let mut all: Vec<_> = self.known.lock().unwrap_or_else(PoisonError::into_inner).values().cloned().collect();
        all.sort_by(|a, b| a.label.cmp(&b.label));
        all
    }

    /// Stops and forgets the engines that `used` does not name.
    pub fn keep_only(&self, used: &[Arc<Engine>]) {
        self.known.lock().unwrap_or_else(PoisonError::into_inner).retain(|_, engine| {
            let keep = used.iter().any(|u| Arc::ptr_eq(u, engine));
            if !keep {
                engine.stop.send_replace(true);
            }
            keep
        });
    }

    /// Runs every engine's supervision until told to stop; returns when all processes have ended.
    pub async fn run(&self, mut shutdown: watch::Receiver<bool>) {
        let mut tasks = tokio::task::JoinSet::new();
        let mut started: Vec<Arc<Engine>> = Vec::new();
        loop {
            let all = self.all();
            for engine in &all {
                if !started.iter().any(|s| Arc::ptr_eq(s, engine)) {
                    start(engine, &mut tasks);
                }
            }
            started = all;
            tokio::select! {
                _ = self.changed.notified() => {}
                () = stopped(&mut shutdown) => break,
            }
            while tasks.try_join_next().is_some() {}
        }
        self.keep_only(&[]);
        while tasks.join_next().await.is_some() {}
    }

    fn next_socket(&self) -> PathBuf {
        // The process id keeps two gateways on one state folder (an upgrade) apart.
        let number = self.next_socket.fetch_add(1, Ordering::Relaxed);
        self.folder.join(format!("{}-{number}.sock", std::process::id()))
    }

    /// The configured engine, else the one beside our own binary, else the one on the `PATH`.
    fn command(&self) -> PathBuf {
        const NAME: &str = "weirgate-inference";
        let beside = || std::env::current_exe().ok()?.parent().map(|folder| folder.join(NAME));
        match &self.settings.command {
            Some(command) => command.clone(),
            None => beside().filter(|path| path.exists()).unwrap_or_else(|| NAME.into()),
        }
    }
}

fn start(engine: &Arc<Engine>, tasks: &mut tokio::task::JoinSet<()>) {
    tasks.spawn(health::watch(engine.clone(), engine.stop.subscribe()));
    if let Some(launch) = engine.launch.clone() {
        tasks.spawn(supervise::run(engine.clone(), launch, engine.stop.subscribe()));
    }
}

/// Resolves when the sender says stop, or is gone.
async fn stopped(stop: &mut watch::Receiver<bool>) {
    let _ = stop.wait_for(|stop| *stop).await;
}
