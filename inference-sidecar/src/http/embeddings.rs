//! `POST /v1/embeddings`.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Serialize;

use super::App;
use super::error::{ApiError, Body};
use super::usage::Usage;
use crate::error::EngineError;
use crate::request::EmbeddingRequest;
use crate::request::wire::EmbeddingBody;

#[derive(Serialize)]
struct Answer {
    object: &'static str,
    data: Vec<Item>,
    model: String,
    usage: Usage,
}

#[derive(Serialize)]
struct Item {
    object: &'static str,
    index: usize,
    embedding: Vector,
}

#[derive(Serialize)]
#[serde(untagged)]
enum Vector {
    Floats(Vec<f32>),
    Base64(String),
}

impl Vector {
    fn new(embedding: Vec<f32>, base64: bool) -> Self {
        if !base64 {
            return Vector::Floats(embedding);
        }
        let bytes: Vec<u8> = embedding.iter().flat_map(|x| x.to_le_bytes()).collect();
        Vector::Base64(STANDARD.encode(bytes))
    }
}

/// Embeds.
pub async fn create(
    State(app): State<Arc<App>>,
    Body(body): Body<EmbeddingBody>,
) -> Result<Json<impl Serialize>, ApiError> {
    let embedder = app.embedder(&body.model)?;
    let request = EmbeddingRequest::try_from(body)?;
    if let Some(asked) = request.dimensions.filter(|&asked| asked != embedder.dimensions) {
        let message = format!("dimensions is {asked}; the model's embeddings have {}", embedder.dimensions);
        return Err(EngineError::Request { param: Some("dimensions"), message }.into());
    }
    let (embeddings, tokens) = embedder.embed(request.inputs).await?;
    let item = |(index, embedding)| {
        let embedding = Vector::new(embedding, request.base64);
        Item { object: "embedding", index, embedding }
    };
    let data = embeddings.into_iter().enumerate().map(item).collect();
    Ok(Json(Answer { object: "list", data, model: request.model, usage: Usage::embedding(tokens) }))
}
