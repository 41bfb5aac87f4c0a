//! `/health` and `/metrics`.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use serde_json::json;

use super::App;
use super::error::ApiError;

/// 200 once requests are served.
pub async fn health(State(app): State<Arc<App>>) -> impl IntoResponse {
    match app.engine.get() {
        Some(_) => (StatusCode::OK, Json(json!({"status": "ok"}))),
        None => (StatusCode::SERVICE_UNAVAILABLE, Json(json!({"status": "loading"}))),
    }
}

/// Prometheus' text format.
pub async fn metrics(State(app): State<Arc<App>>) -> Result<impl IntoResponse, ApiError> {
    Ok(([(header::CONTENT_TYPE, prometheus::TEXT_FORMAT)], app.metrics.render()?))
}
