//! The real app on a loopback port, and a client of it.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use serde_json::{Value, json};
use weirgate_inference::engine::{Ended, Engine, EngineConfig};
use weirgate_inference::http::{App, router};
use weirgate_inference::load::{LoadOptions, LoadedModel, load};

use super::model_path;

pub struct Server {
    pub url: String,
}

/// Sizes of a server.
#[derive(Clone, Copy)]
pub struct Sizes {
    pub kv_bytes: usize,
    pub max_running: usize,
    pub max_batch_tokens: usize,
    pub queue: usize,
}

/// Room for SmolLM2's whole context of 8192 tokens.
pub const LARGE: Sizes = Sizes { kv_bytes: 384 << 20, max_running: 32, max_batch_tokens: 256, queue: 64 };

/// A client. In a build of the whole workspace reqwest has TLS, and then wants a provider even for plain HTTP.
pub fn client() -> reqwest::Client {
    // Another test may have been quicker.
    let _ = rustls::crypto::ring::default_provider().install_default();
    reqwest::Client::new()
}

/// Status and body of an answer.
pub type Answer = (u16, Value);

impl Server {
    /// Serves `model` under the name `m`.
    pub fn start(model: &str, sizes: Sizes) -> Server {
        let options = LoadOptions { threads: 2, kv_bytes: sizes.kv_bytes, max_context: None };
        Self::start_loaded(load(&model_path(model), &options).unwrap(), sizes).0
    }

    pub fn start_loaded(model: LoadedModel, sizes: Sizes) -> (Server, Ended) {
        let app = Arc::new(App::new("m".into()).unwrap());
        let Sizes { max_running, max_batch_tokens, queue, .. } = sizes;
        let config = EngineConfig { max_batch_tokens, max_running, queue };
        let (engine, ended) = Engine::start(Path::new("test"), model, config, app.metrics().clone()).unwrap();
        app.ready(engine);
        (Self::serve(app), ended)
    }

    /// Serves `app` on a runtime of its own, which outlives the test that first asked for it.
    pub fn serve(app: Arc<App>) -> Server {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                let listener = tokio::net::TcpListener::from_std(listener).unwrap();
                axum::serve(listener, router(app)).await.unwrap();
            });
        });
        Server { url }
    }

    pub fn request(&self, path: &str, mut body: Value) -> reqwest::RequestBuilder {
        if let Some(fields) = body.as_object_mut() {
            fields.entry("model").or_insert(json!("m"));
        }
        client().post(format!("{}{path}", self.url)).json(&body)
    }

    pub async fn post(&self, path: &str, body: Value) -> Answer {
        let response = self.request(path, body).send().await.unwrap();
        (response.status().as_u16(), response.json().await.unwrap())
    }

    /// An answer that must be 200.
    pub async fn ok(&self, path: &str, body: Value) -> Value {
        let (status, answer) = self.post(path, body).await;
        assert_eq!(status, 200, "{answer}");
        answer
    }

    pub async fn get(&self, path: &str) -> (u16, String) {
        let response = client().get(format!("{}{path}", self.url)).send().await.unwrap();
        (response.status().as_u16(), response.text().await.unwrap())
    }

    /// The chunks of a stream, which must end with `[DONE]`.
    pub async fn stream(&self, path: &str, mut body: Value) -> Vec<Value> {
        body["stream"] = json!(true);
        let response = self.request(path, body).send().await.unwrap();
        assert_eq!(response.headers()["content-type"], "text/event-stream");
        let text = response.text().await.unwrap();
        let mut data: Vec<&str> = text.split_terminator("\n\n").collect();
        assert_eq!(data.pop(), Some("data: [DONE]"), "{text}");
        data.iter().map(|event| serde_json::from_str(event.strip_prefix("data: ").unwrap()).unwrap()).collect()
    }

    /// Starts a stream and returns once its first bytes are here.
    pub async fn open_stream(&self, path: &str, mut body: Value) -> impl Sized + use<> {
        body["stream"] = json!(true);
        let response = self.request(path, body).send().await.unwrap();
        assert_eq!(response.status().as_u16(), 200);
        let mut bytes = response.bytes_stream();
        bytes.next().await.unwrap().unwrap();
        bytes
    }

    pub async fn metric(&self, name: &str) -> f64 {
        let (_, text) = self.get("/metrics").await;
        let start = format!("weirgate_engine_{name}{{");
        let line = text.lines().find(|line| line.starts_with(&start)).unwrap_or_else(|| panic!("no {name}: {text}"));
        line.rsplit(' ').next().unwrap().parse().unwrap()
    }

    /// Waits until a metric has a value; fails after 20 s.
    pub async fn until(&self, name: &str, wanted: f64) {
        for _ in 0..400 {
            if self.metric(name).await == wanted {
                return;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("{name} is {} and not {wanted}", self.metric(name).await);
    }
}
