//! Asks an engine how it is: `/health`, then which models it serves, then how busy it is. A scoring server is asked for
//! `/health` or `/ping` alone.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use reqwest::Client;
use serde::Deserialize;
use tokio::sync::watch;
use tokio::time::sleep;

use super::{Engine, State};

/// While an engine starts, users wait for it.
const WHILE_STARTING: Duration = Duration::from_millis(100);
const WHILE_READY: Duration = Duration::from_secs(1);
const PATIENCE: Duration = Duration::from_secs(5);
/// One slow answer of a busy engine is not an outage.
const FAILURES_TO_BE_DOWN: u32 = 3;
/// Bodies beyond this are not an engine's.
const LARGEST_BODY: usize = 4 << 20;

#[derive(Deserialize)]
struct Models {
    data: Vec<ModelEntry>,
}

#[derive(Deserialize)]
struct ModelEntry {
    id: String,
}

pub(super) async fn watch(engine: Arc<Engine>, mut stop: watch::Receiver<bool>) {
    let client = match client(&engine) {
        Ok(client) => client,
        Err(e) => {
            log::error!("engine {} cannot be asked for its health: {e}", engine.label);
            engine.set_state(State::Down);
            return;
        }
    };
    let mut failures = 0;
    loop {
        let life = engine.ends.load(Ordering::Acquire);
        match ask(&engine, &client).await {
            Ok(()) if engine.ends.load(Ordering::Acquire) == life => {
                failures = 0;
                engine.set_state(State::Ready);
            }
            Ok(()) => {}
            Err(why) => {
                failures += 1;
                log::debug!("engine {}: {why}", engine.label);
                if engine.is_ready() && failures >= FAILURES_TO_BE_DOWN {
                    log::warn!("engine {} does not answer: {why}", engine.label);
                    engine.set_state(State::Down);
                }
            }
        }
        tokio::select! {
            _ = sleep(if engine.is_ready() && failures == 0 { WHILE_READY } else { WHILE_STARTING }) => {}
            () = super::stopped(&mut stop) => return,
        }
    }
}

fn client(engine: &Engine) -> reqwest::Result<Client> {
    // A redirect could lead to an address that upstreams may not have.
    let builder = Client::builder().timeout(PATIENCE).no_proxy().redirect(reqwest::redirect::Policy::none());
    match &engine.launch {
        Some(launch) => builder.unix_socket(launch.socket.clone()).build(),
        None => builder.build(),
    }
}

async fn ask(engine: &Engine, client: &Client) -> Result<(), String> {
    let health = get(engine, client, "health").await.map(drop);
    if engine.scores {
        // MLflow's scoring server answers on both, servers in its image only on the second.
        return match health {
            Ok(()) => Ok(()),
            Err(_) => get(engine, client, "ping").await.map(drop),
        };
    }
    health?;
    let models: Models =
        serde_json::from_slice(&get(engine, client, "v1/models").await?).map_err(|e| format!("/v1/models: {e}"))?;
    let wanted = engine.served_name();
    if !models.data.iter().any(|model| model.id == *wanted) {
        // A server with one model serves that one, whatever it calls it.
        match models.data.as_slice() {
            [only] => engine.served_name.store(Arc::new(only.id.as_str().into())),
            _ => return Err(format!("it serves no model called {wanted}; set served_name in catalog.yaml")),
        }
    }
    // Load is good to know, not needed to serve.
    if let Ok(text) = get(engine, client, "metrics").await {
        let text = String::from_utf8_lossy(&text);
        engine.running.store(gauge(&text, "num_requests_running"), Ordering::Relaxed);
        engine.waiting.store(gauge(&text, "num_requests_waiting"), Ordering::Relaxed);
    }
    Ok(())
}

async fn get(engine: &Engine, client: &Client, path: &str) -> Result<Vec<u8>, String> {
    let url = format!("{}/{path}", engine.base.as_str().trim_end_matches('/'));
    let said = |e: reqwest::Error| format!("/{path}: {e}");
    let mut answer = client.get(url).send().await.and_then(|answer| answer.error_for_status()).map_err(said)?;
    let mut body = Vec::new();
    while let Some(piece) = answer.chunk().await.map_err(said)? {
        if body.len() + piece.len() > LARGEST_BODY {
            return Err(format!("/{path}: more than {LARGEST_BODY} bytes"));
        }
        body.extend_from_slice(&piece);
    }
    Ok(body)
}

/// Sum over all label sets of a gauge whose name ends in `suffix` (engines differ in the prefix), 0 if absent.
fn gauge(exposition: &str, suffix: &str) -> u64 {
    let sum: f64 = exposition
        .lines()
        .filter(|line| !line.starts_with('#'))
        .filter_map(|line| {
            let (series, value) = line.rsplit_once(' ')?;
            let name = series.split('{').next()?;
            name.ends_with(suffix).then(|| value.parse::<f64>().ok()).flatten()
        })
        .filter(|value| value.is_finite())
        .sum();
    sum.max(0.0) as u64
}

#[cfg(test)]
mod tests {
    use super::gauge;

    #[test]
    fn gauges_of_different_engines() {
        let text = "# HELP vllm:num_requests_running x\nvllm:num_requests_running{model_name=\"a b\"} 3.0\nweirgate_engine_num_requests_running{model_name=\"c\"} 2\nother 9\nbad_num_requests_running NaN\n";
        assert_eq!(gauge(text, "num_requests_running"), 5);
        assert_eq!(gauge(text, "num_requests_waiting"), 0);
        assert_eq!(gauge("", "x"), 0);
    }
}
