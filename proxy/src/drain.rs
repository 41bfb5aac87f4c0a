//! Stopping: finish what runs, then the engines, then the process.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use async_trait::async_trait;
use pingora_core::server::{ShutdownSignal, ShutdownSignalWatch};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;
use tokio::time::{Instant, sleep, timeout};

use crate::error::ProxyError;
use crate::live::Live;

/// No request in flight for this long: connections that had one on its way have shown it by now.
const QUIET: Duration = Duration::from_millis(200);
const LOOK_EVERY: Duration = Duration::from_millis(20);
/// Engines get SIGTERM and some seconds; what still runs then is killed with the process.
const ENGINES: Duration = Duration::from_secs(7);

/// Tells Pingora when to stop listening.
pub struct Stop(pub watch::Receiver<bool>);

#[async_trait]
impl ShutdownSignalWatch for Stop {
    async fn recv(&self) -> ShutdownSignal {
        let mut stop = self.0.clone();
        // A dropped sender means that the draining thread is gone: stop as well.
        let _ = stop.wait_for(|stop| *stop).await;
        ShutdownSignal::GracefulTerminate
    }
}

/// The ends of the channels that draining pulls on.
pub struct Drain {
    /// What is drained.
    pub live: Arc<Live>,
    /// Stops the listeners.
    pub stop: watch::Sender<bool>,
    /// Stops the engines.
    pub stop_engines: watch::Sender<bool>,
    /// True when they have ended.
    pub engines_ended: watch::Receiver<bool>,
    /// How long running requests may go on.
    pub grace: Duration,
}

impl Drain {
    /// Waits for SIGTERM or SIGINT on a thread of its own, drains, and ends the process.
    pub fn spawn(self) -> Result<(), ProxyError> {
        let failed = |source| ProxyError::Io { what: "starting the signal thread".into(), source };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(failed)?;
        let signals = {
            let _inside = runtime.enter();
            let listen = |kind| signal(kind).map_err(failed);
            (listen(SignalKind::terminate())?, listen(SignalKind::interrupt())?)
        };
        let run = move || runtime.block_on(self.run(signals));
        std::thread::Builder::new().name("signals".into()).spawn(run).map(|_| ()).map_err(failed)
    }

    async fn run(mut self, (mut terminate, mut interrupt): (Signal, Signal)) {
        any(&mut terminate, &mut interrupt).await;
        self.live.draining.store(true, Ordering::Release);
        self.stop.send_replace(true);
        let running = self.live.in_flight.load(Ordering::Acquire);
        if running > 0 {
            log::warn!("stopping: waiting for {running} running requests; signal again to stop at once");
        }
        tokio::select! {
            () = idle(&self.live, self.grace) => {}
            () = any(&mut terminate, &mut interrupt) => log::warn!("stopping at once"),
        }
        self.stop_engines.send_replace(true);
        if timeout(ENGINES, self.engines_ended.wait_for(|ended| *ended)).await.is_err() {
            log::warn!("an engine did not end in time");
        }
        std::process::exit(0);
    }
}

async fn any(terminate: &mut Signal, interrupt: &mut Signal) {
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
}

async fn idle(live: &Live, grace: Duration) {
    let end = Instant::now() + grace;
    let mut busy_at = Instant::now();
    while Instant::now() < end && busy_at.elapsed() < QUIET {
        sleep(LOOK_EVERY).await;
        if live.in_flight.load(Ordering::Acquire) > 0 {
            busy_at = Instant::now();
        }
    }
}
