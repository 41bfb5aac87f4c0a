//! Engines behind local models: our own, started and supervised here, or a vLLM-compatible server at a URL.
//!
//! They live in a registry keyed by what they are, outside the snapshot, so that a reload that does not touch an
//! engine leaves its process and health alone.

mod health;
mod supervise;
mod tail;

use std::collections::{HashMap, HashSet};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use tokio::sync::{Notify, watch};
use url::Url;
use weirgate_config::snapshot::{EngineSettings, Model, ModelId, Serving, UpstreamDefaults};
use weirgate_control::Deployment;

use crate::error::ProxyError;
use crate::registry::Registries;
use crate::upstream::Timeouts;
use crate::upstream::address::Address;
use tail::Tail;

/// How long an engine that no endpoint uses lives after someone asked for it.
const ON_TRIAL: Duration = Duration::from_secs(5);
/// A process that has ended this often without ever being ready will not become so.
const ATTEMPTS: u64 = 3;

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
    /// An MLflow scoring server, which has no list of models.
    scores: bool,
    state: AtomicU8,
    was_ready: AtomicBool,
    /// When a config that is not served yet last asked for it.
    asked: Mutex<Option<Instant>>,
    /// What its process wrote last.
    log: Tail,
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
        if state == State::Ready {
            self.was_ready.store(true, Ordering::Release);
        }
        let before = self.state.swap(state as u8, Ordering::AcqRel);
        if before != state as u8 {
            log::info!("engine {}: {}", self.label, state.name());
        }
    }

    /// How far it is, as the control API tells it.
    pub fn deployment(&self) -> Deployment {
        let ends = self.ends.load(Ordering::Acquire);
        match self.state() {
            State::Ready => Deployment::Ready,
            _ if self.was_ready.load(Ordering::Acquire) => Deployment::Recovering,
            _ if ends < ATTEMPTS => Deployment::Creating,
            _ => Deployment::Failed(format!("the engine ended {ends} times before it was ready; {}", self.log.end())),
        }
    }

    fn is_on_trial(&self, now: Instant) -> bool {
        let asked = *self.asked.lock().unwrap_or_else(PoisonError::into_inner);
        asked.is_some_and(|asked| now.duration_since(asked) < ON_TRIAL)
    }

    /// What the engine calls its model.
    pub fn served_name(&self) -> Arc<str> {
        Arc::clone(&self.served_name.load())
    }
}

/// By what they are.
type Known = HashMap<String, Arc<Engine>>;

/// All engines that the present configuration uses, and those that a coming one asks for.
pub struct Engines {
    folder: PathBuf,
    settings: EngineSettings,
    known: Mutex<Known>,
    next_socket: AtomicUsize,
    /// Woken when engines come or go.
    changed: Notify,
}

impl Engines {
    /// `folder` holds the engines' sockets.
    pub fn new(folder: &Path, settings: EngineSettings) -> Result<Self, ProxyError> {
        // Who may open a socket here may ask the engine past the gateway.
        let made = std::fs::DirBuilder::new().recursive(true).mode(0o700).create(folder);
        made.map_err(|source| ProxyError::Io { what: format!("making {}", folder.display()), source })?;
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
        let mut known = self.known();
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
            scores: matches!(model.serving, Serving::Server { .. }),
            was_ready: AtomicBool::new(false),
            asked: Mutex::default(),
            log: Tail::default(),
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

    /// The same for a config that is not served yet: the engine lives on for some seconds after this was last called.
    pub fn ask(
        &self,
        model: &Arc<Model>,
        settings: &UpstreamDefaults,
        shared: &Registries,
    ) -> Result<Arc<Engine>, ProxyError> {
        loop {
            let engine = self.get_or_start(model, settings, shared)?;
            *engine.asked.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
            // It may have been stopped in between.
            if !*engine.stop.borrow() {
                return Ok(engine);
            }
        }
    }

    /// The engines that there are now.
    pub fn all(&self) -> Vec<Arc<Engine>> {
        let mut all: Vec<_> = self.known().values().cloned().collect();
        all.sort_by(|a, b| a.label.cmp(&b.label));
        all
    }

    /// What the process of a model wrote last; empty if it is not ours.
    pub fn log(&self, model: &ModelId) -> String {
        let label = model.to_string();
        let engine = self.known().values().find(|engine| engine.label == label).cloned();
        engine.map(|engine| engine.log.text()).unwrap_or_default()
    }

    /// Whether there are engines that someone asked for, now or a while ago.
    pub fn any_asked(&self) -> bool {
        self.known().values().any(|engine| engine.asked.lock().unwrap_or_else(PoisonError::into_inner).is_some())
    }

    /// Stops and forgets the engines that `used` does not name and nobody asks for.
    pub fn keep_only<'a>(&self, used: impl Iterator<Item = &'a Arc<Engine>>) {
        let used: HashSet<_> = used.map(Arc::as_ptr).collect();
        let now = Instant::now();
        self.known().retain(|_, engine| {
            let on_trial = engine.is_on_trial(now);
            if !on_trial {
                *engine.asked.lock().unwrap_or_else(PoisonError::into_inner) = None;
            }
            let keep = on_trial || used.contains(&Arc::as_ptr(engine));
            if !keep {
                engine.stop.send_replace(true);
            }
            keep
        });
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
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
        self.stop_all();
        while tasks.join_next().await.is_some() {}
    }

    fn stop_all(&self) {
        self.known().drain().for_each(|(_, engine)| {
            engine.stop.send_replace(true);
        });
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

#[cfg(test)]
#[path = "mod_tests.rs"]
mod tests;
