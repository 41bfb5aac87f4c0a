//! An identity provider on loopback: serves a key set and a discovery document, and counts who asks.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::LOCATION;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use serde_json::{Value, json};
use tokio::net::TcpListener;

pub struct Provider {
    address: SocketAddr,
    keys: Mutex<String>,
    discovery: Mutex<Value>,
    down: AtomicBool,
    fetches: AtomicUsize,
}

impl Provider {
    pub async fn start(keys: Vec<Value>) -> Arc<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let provider = Arc::new(Provider {
            address: listener.local_addr().unwrap(),
            keys: Mutex::default(),
            discovery: Mutex::default(),
            down: AtomicBool::new(false),
            fetches: AtomicUsize::new(0),
        });
        provider.publish(keys);
        provider.describe(json!({"issuer": provider.url(""), "jwks_uri": provider.url("/keys")}));
        let router = Router::new()
            .route("/keys", get(Self::answer_keys))
            .route("/.well-known/openid-configuration", get(Self::answer_discovery))
            .route("/moved", get(async || (StatusCode::FOUND, [(LOCATION, "/keys")])))
            .with_state(provider.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        provider
    }

    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    pub fn publish(&self, keys: Vec<Value>) {
        self.publish_text(json!({ "keys": keys }).to_string());
    }

    pub fn publish_text(&self, body: String) {
        *self.keys.lock().unwrap() = body;
    }

    pub fn describe(&self, document: Value) {
        *self.discovery.lock().unwrap() = document;
    }

    pub fn set_down(&self, down: bool) {
        self.down.store(down, Ordering::SeqCst);
    }

    /// How often the key set was asked for.
    pub fn fetches(&self) -> usize {
        self.fetches.load(Ordering::SeqCst)
    }

    async fn answer_keys(State(provider): State<Arc<Provider>>) -> Response {
        provider.fetches.fetch_add(1, Ordering::SeqCst);
        // Long enough for many callers to meet one fetch.
        tokio::time::sleep(Duration::from_millis(20)).await;
        if provider.down.load(Ordering::SeqCst) {
            return StatusCode::SERVICE_UNAVAILABLE.into_response();
        }
        provider.keys.lock().unwrap().clone().into_response()
    }

    async fn answer_discovery(State(provider): State<Arc<Provider>>) -> Response {
        provider.discovery.lock().unwrap().to_string().into_response()
    }
}
