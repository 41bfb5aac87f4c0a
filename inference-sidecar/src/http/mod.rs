//! The OpenAI-compatible HTTP interface.

mod chat;
mod completions;
mod embeddings;
mod error;
mod generate;
mod health;
mod models;
mod sse;
mod usage;

use std::sync::{Arc, OnceLock};

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::routing::{get, post};

use crate::engine::{EmbedderEngine, Engine, GeneratorEngine};
use crate::error::EngineError;
use crate::metrics::Metrics;
use error::ApiError;

/// Largest body in bytes; the gateway's default.
const BODY_LIMIT: usize = 32 << 20;

/// What all requests share.
pub struct App {
    name: String,
    created: i64,
    engine: OnceLock<Engine>,
    metrics: Arc<Metrics>,
}

impl App {
    /// An app whose model, served as `name`, is still loading.
    pub fn new(name: String) -> Result<Self, EngineError> {
        let metrics = Arc::new(Metrics::new(&name)?);
        Ok(App { name, created: unix_now(), engine: OnceLock::new(), metrics })
    }

    /// Where the engine counts.
    pub fn metrics(&self) -> &Arc<Metrics> {
        &self.metrics
    }

    /// The model is loaded: from now on requests are served. The first call counts.
    pub fn ready(&self, engine: Engine) {
        let _ = self.engine.set(engine);
    }

    fn engine(&self, model: &str) -> Result<&Engine, ApiError> {
        if model != self.name {
            return Err(ApiError::unknown_model(model));
        }
        self.engine.get().ok_or_else(ApiError::loading)
    }

    fn generator(&self, model: &str) -> Result<&GeneratorEngine, ApiError> {
        match self.engine(model)? {
            Engine::Generator(generator) => Ok(generator),
            Engine::Embedder(_) => Err(ApiError::wrong_task(model, "embeddings", "/v1/embeddings")),
        }
    }

    fn embedder(&self, model: &str) -> Result<&EmbedderEngine, ApiError> {
        match self.engine(model)? {
            Engine::Embedder(embedder) => Ok(embedder),
            Engine::Generator(_) => Err(ApiError::wrong_task(model, "text", "/v1/chat/completions or /v1/completions")),
        }
    }
}

/// All routes.
pub fn router(app: Arc<App>) -> Router {
    Router::new()
        .route("/v1/chat/completions", post(chat::create))
        .route("/v1/completions", post(completions::create))
        .route("/v1/embeddings", post(embeddings::create))
        .route("/v1/models", get(models::list))
        .route("/v1/models/{*name}", get(models::retrieve))
        .route("/health", get(health::health))
        .route("/metrics", get(health::metrics))
        .fallback(|| async { ApiError::not_found("no such route") })
        .method_not_allowed_fallback(|| async { ApiError::method_not_allowed() })
        .layer(DefaultBodyLimit::max(BODY_LIMIT))
        .with_state(app)
}

/// Seconds since 1970.
fn unix_now() -> i64 {
    jiff::Timestamp::now().as_second()
}

/// A new id of an answer: `prefix` and 128 random bits.
fn new_id(prefix: &str) -> String {
    format!("{prefix}-{:032x}", rand::random::<u128>())
}
