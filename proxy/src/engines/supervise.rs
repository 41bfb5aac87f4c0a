//! Keeps one engine process running: starts it, starts it again with back-off, stops it with the gateway.

use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tokio::io::AsyncRead;
use tokio::process::{Child, Command};
use tokio::sync::watch;
use tokio::time::{Instant, sleep, timeout};

use super::{Engine, Launch, State};

/// First wait before a restart; each further one is twice as long.
const FIRST_WAIT: Duration = Duration::from_millis(200);
const LONGEST_WAIT: Duration = Duration::from_secs(30);
/// A process that lived this long was healthy: the next restart begins with the first wait again.
const HEALTHY: Duration = Duration::from_secs(30);
/// How long a process may take to end after SIGTERM before it is killed.
const PATIENCE: Duration = Duration::from_secs(5);

/// What of the gateway's environment is no concern of an engine's.
const SECRETS: [&str; 3] = ["WEIRGATE_ADMIN_TOKEN", "WEIRGATE_MASTER_KEY", "WEIRGATE_NEW_MASTER_KEY"];
/// How long the end of an ended process' output is waited for.
const LAST_WORDS: Duration = Duration::from_millis(500);

pub(super) async fn run(engine: Arc<Engine>, launch: Launch, mut stop: watch::Receiver<bool>) {
    let mut wait = FIRST_WAIT;
    loop {
        let started = Instant::now();
        match spawn(&launch) {
            Ok(mut child) => {
                engine.set_state(State::Starting);
                let output = follow(&engine, &mut child);
                tokio::select! {
                    ended = child.wait() => match ended {
                        Ok(status) => log::error!("engine {} ended: {status}", engine.label),
                        Err(e) => log::error!("engine {} cannot be waited for: {e}", engine.label),
                    },
                    () = super::stopped(&mut stop) => {
                        terminate(child).await;
                        let _ = std::fs::remove_file(&launch.socket);
                        return;
                    }
                }
                // Its last words, before anyone is told that it has failed.
                let _ = timeout(LAST_WORDS, output).await;
            }
            Err(e) => {
                let command = launch.command.display();
                let why = format!(
                    "{command} cannot be started: {e}; build it with `cargo build -p weirgate-inference`, or set engine.command"
                );
                log::error!("engine {}: {why}", engine.label);
                engine.log.push(format!("{why}\n").as_bytes());
            }
        }
        engine.ends.fetch_add(1, Ordering::AcqRel);
        engine.set_state(State::Down);
        if started.elapsed() > HEALTHY {
            wait = FIRST_WAIT;
        }
        tokio::select! {
            _ = sleep(wait) => {}
            () = super::stopped(&mut stop) => return,
        }
        wait = (wait * 2).min(LONGEST_WAIT);
        engine.restarts.fetch_add(1, Ordering::Relaxed);
    }
}

/// Follows both outputs until they end, whatever becomes of the future: a process whose output nobody reads stands still.
fn follow(engine: &Arc<Engine>, child: &mut Child) -> impl Future + use<> {
    async fn to_end(engine: Arc<Engine>, pipe: Option<impl AsyncRead + Unpin>) {
        if let Some(pipe) = pipe {
            engine.log.follow(pipe).await;
        }
    }
    let stdout = tokio::spawn(to_end(engine.clone(), child.stdout.take()));
    let stderr = tokio::spawn(to_end(engine.clone(), child.stderr.take()));
    futures_util::future::join(stdout, stderr)
}

fn spawn(launch: &Launch) -> std::io::Result<Child> {
    let mut command = Command::new(&launch.command);
    command
        .arg("serve")
        .arg("--model")
        .arg(&launch.model)
        .arg("--name")
        .arg(&*launch.name)
        .arg("--listen")
        .arg(format!("unix:{}", launch.socket.display()))
        // kill_on_drop covers our panics; this covers our being killed.
        .arg("--exit-with-parent");
    if let Some(threads) = launch.threads {
        command.arg("--threads").arg(threads.to_string());
    }
    for secret in SECRETS {
        command.env_remove(secret);
    }
    // Its own process group: a Ctrl-C in the terminal reaches the gateway, which then stops the engine in order.
    command
        .process_group(0)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
}

async fn terminate(mut child: Child) {
    if let Some(pid) = child.id().and_then(|id| i32::try_from(id).ok()) {
        let _ = kill(Pid::from_raw(pid), Signal::SIGTERM);
    }
    if timeout(PATIENCE, child.wait()).await.is_err() {
        let _ = child.kill().await;
    }
}
