//! `GET /v1/models`: the one model that is served.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use serde::Serialize;

use super::App;
use super::error::ApiError;
use crate::engine::Engine;

#[derive(Serialize)]
struct Model {
    id: String,
    object: &'static str,
    created: i64,
    owned_by: &'static str,
    /// As vLLM's; not known before the model is loaded.
    #[serde(skip_serializing_if = "Option::is_none")]
    max_model_len: Option<usize>,
}

#[derive(Serialize)]
struct List {
    object: &'static str,
    data: [Model; 1],
}

impl Model {
    fn of(app: &App) -> Self {
        let max_model_len = app.engine.get().map(|engine| match engine {
            Engine::Generator(generator) => generator.limits.longest(),
            Engine::Embedder(embedder) => embedder.max_tokens,
        });
        Model { id: app.name.clone(), object: "model", created: app.created, owned_by: "weirgate", max_model_len }
    }
}

/// All models.
pub async fn list(State(app): State<Arc<App>>) -> Json<impl Serialize> {
    Json(List { object: "list", data: [Model::of(&app)] })
}

/// One model; its name may hold slashes.
pub async fn retrieve(State(app): State<Arc<App>>, Path(name): Path<String>) -> Result<Json<impl Serialize>, ApiError> {
    if name == app.name { Ok(Json(Model::of(&app))) } else { Err(ApiError::unknown_model(&name)) }
}
