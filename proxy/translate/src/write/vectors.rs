//! Embeddings.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Serialize;

use super::json;
use crate::error::Broken;
use crate::wire::{Raw, Text};
use crate::{Fill, Usage};

/// The vectors that a provider answered.
#[derive(Clone, Default)]
pub struct Vectors<'a> {
    /// The model that answered, as the provider says it.
    pub model: Option<Text<'a>>,
    /// One JSON array of numbers for each input, in order.
    pub vectors: Vec<Raw<'a>>,
    /// The tokens, if the provider says.
    pub usage: Option<Usage>,
}

#[derive(Serialize)]
struct Written<'w> {
    object: &'static str,
    data: Vec<Vector<'w>>,
    model: &'w str,
    #[serde(skip_serializing_if = "Option::is_none")]
    usage: Option<Tokens>,
}

#[derive(Serialize)]
struct Vector<'w> {
    object: &'static str,
    index: usize,
    embedding: Numbers<'w>,
}

#[derive(Serialize)]
#[serde(untagged)]
enum Numbers<'w> {
    List(Raw<'w>),
    Base64(String),
}

#[derive(Serialize)]
struct Tokens {
    prompt_tokens: u64,
    total_tokens: u64,
}

/// Writes the answer to one request, put together from those to its batches.
///
/// # Errors
/// [`Broken::Lacks`] if a vector is no array of numbers.
pub(crate) fn write(batches: &[Vectors<'_>], base64: bool, fill: &Fill) -> Result<Vec<u8>, Broken> {
    let vectors = batches.iter().flat_map(|batch| &batch.vectors).enumerate();
    let data = vectors.map(|(index, raw)| {
        if !raw.get().starts_with('[') {
            return Err(Broken::Lacks("embeddings"));
        }
        let embedding = if base64 { Numbers::Base64(encoded(raw)?) } else { Numbers::List(raw) };
        Ok(Vector { object: "embedding", index, embedding })
    });
    let model = batches.iter().find_map(|batch| batch.model.as_deref()).unwrap_or(&fill.model);
    let usage = usage(batches).map(|usage| Tokens { prompt_tokens: usage.input(), total_tokens: usage.total() });
    let written = Written { object: "list", data: data.collect::<Result<_, _>>()?, model, usage };
    let mut out = Vec::new();
    json(&mut out, &written);
    Ok(out)
}

/// The tokens of all batches; `None` unless every one says.
pub(crate) fn usage(batches: &[Vectors<'_>]) -> Option<Usage> {
    let all: Option<Vec<Usage>> = batches.iter().map(|batch| batch.usage).collect();
    all?.into_iter().reduce(|sum, next| sum.plus(&next))
}

/// Little-endian 32-bit floats, as the openai client reads them.
fn encoded(raw: Raw<'_>) -> Result<String, Broken> {
    let numbers: Vec<f32> = serde_json::from_str(raw.get()).map_err(|_| Broken::Lacks("embeddings"))?;
    let bytes: Vec<u8> = numbers.into_iter().flat_map(f32::to_le_bytes).collect();
    Ok(STANDARD.encode(bytes))
}
