//! A serving process from start to stop.

mod listen;

use std::io::Write;
use std::path::PathBuf;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use tokio::sync::{oneshot, watch};
use tokio::task::JoinHandle;

use crate::engine::{Ended, Engine, EngineConfig};
use crate::error::EngineError;
use crate::http::{self, App};
use crate::load::{self, LoadOptions, LoadedModel};
pub use listen::Listen;
use listen::Socket;

/// How long running requests may go on after a stop was asked for.
const DRAIN: Duration = Duration::from_secs(2);
const PARENT_POLL: Duration = Duration::from_millis(500);

/// What to serve, where and how.
#[derive(Debug, Clone)]
pub struct ServeOptions {
    /// A GGUF file or a folder with safetensors.
    pub model: PathBuf,
    /// Name that requests give the model.
    pub name: String,
    /// Where to listen.
    pub listen: Listen,
    /// How to load.
    pub load: LoadOptions,
    /// How to share the model between requests.
    pub engine: EngineConfig,
    /// Stop when the parent process has gone.
    pub exit_with_parent: bool,
}

/// Serves until a signal (or the parent's end) asks for a stop. The socket is open, and `/health` says `loading`, before
/// the model is there. An error means that the process should end with a failure.
pub async fn serve(options: ServeOptions) -> Result<(), EngineError> {
    let started = Instant::now();
    let mut stop = stop_requests(options.exit_with_parent)?;
    let app = Arc::new(App::new(options.name.clone())?);
    let socket = Socket::open(&options.listen).await?;
    let (address, file) = (socket.address(), socket.file());
    let (close, closing) = watch::channel(());
    let server = tokio::spawn(socket.serve(http::router(app.clone()), closing));

    let outcome = tokio::select! {
        _ = stop.changed() => Ok(()),
        outcome = load_and_run(&options, &app, &address, started) => outcome,
    };
    if let Some(file) = file {
        file.remove();
    }
    drop(close);
    let closed = drain(server).await;
    outcome.and(closed)
}

/// Ends only with the engine.
async fn load_and_run(options: &ServeOptions, app: &App, address: &str, started: Instant) -> Result<(), EngineError> {
    let model = load_apart(options).await?;
    let (engine, ended): (Engine, Ended) = Engine::start(&options.model, model, options.engine, app.metrics().clone())?;
    app.ready(engine);
    let seconds = started.elapsed().as_secs_f32();
    // The supervisor may have closed its end; that is no reason to stop.
    let _ = writeln!(std::io::stdout(), "weirgate-inference: {} ready on {address} in {seconds:.1} s", options.name);
    match ended.await {
        Ok(outcome) => outcome,
        Err(_) => Err(EngineError::Internal("the engine's thread panicked".into())),
    }
}

/// On a thread of its own, so that a stop does not wait for it.
async fn load_apart(options: &ServeOptions) -> Result<LoadedModel, EngineError> {
    let (sender, loaded) = oneshot::channel();
    let (path, how) = (options.model.clone(), options.load.clone());
    let work = move || {
        // Nobody listens any more after a stop.
        let _ = sender.send(load::load(&path, &how));
    };
    thread::Builder::new()
        .name("load".into())
        .spawn(work)
        .map_err(|error| EngineError::Internal(format!("cannot start the load thread: {error}")))?;
    loaded.await.map_err(|_| EngineError::Internal("the load thread panicked".into()))?
}

async fn drain(mut server: JoinHandle<std::io::Result<()>>) -> Result<(), EngineError> {
    match tokio::time::timeout(DRAIN, &mut server).await {
        Ok(Ok(Ok(()))) => Ok(()),
        Ok(Ok(Err(error))) => Err(EngineError::Internal(format!("the HTTP server failed: {error}"))),
        Ok(Err(error)) => Err(EngineError::Internal(format!("the HTTP server failed: {error}"))),
        Err(_) => {
            server.abort();
            Ok(())
        }
    }
}

/// Changes when the process is to stop.
fn stop_requests(with_parent: bool) -> Result<watch::Receiver<()>, EngineError> {
    use tokio::signal::unix::{SignalKind, signal};
    let fault = |error: std::io::Error| EngineError::Internal(format!("cannot watch for signals: {error}"));
    let mut terminate = signal(SignalKind::terminate()).map_err(fault)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(fault)?;
    let (stop, requests) = watch::channel(());
    let on_parent = stop.clone();
    tokio::spawn(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        stop.send_replace(());
    });
    if with_parent {
        let parent = std::os::unix::process::parent_id();
        tokio::spawn(async move {
            while std::os::unix::process::parent_id() == parent {
                tokio::time::sleep(PARENT_POLL).await;
            }
            on_parent.send_replace(());
        });
    }
    Ok(requests)
}
