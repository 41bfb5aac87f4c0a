//! OpenAI embeddings ↔ embed, of both versions.

use serde::{Deserialize, Serialize};

use super::reply::{Metered, failure};
use crate::chat::unknown;
use crate::embeddings;
use crate::error::{Broken, Failure};
use crate::pair::{Back, Cx, Outgoing, Reply};
use crate::peek::PeekError;
use crate::wire::{Members, Raw, Text};
use crate::write::Vectors;

/// Most texts of one request.
pub(super) const BATCH: usize = 96;

/// What texts are embedded for, if the client does not say: OpenAI has no word for it.
const INPUT_TYPE: &str = "search_document";

#[derive(Serialize)]
struct Body<'r> {
    model: &'r str,
    texts: &'r [Text<'r>],
    #[serde(skip_serializing_if = "Option::is_none")]
    input_type: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    embedding_types: Option<[&'static str; 1]>,
    #[serde(skip_serializing_if = "Option::is_none")]
    output_dimension: Option<u64>,
    #[serde(flatten)]
    rest: Members<'r>,
}

/// Translates a request for these of its texts.
pub(super) fn request(asked: &embeddings::Request<'_>, texts: &[Text<'_>], cx: &Cx<'_>) -> Result<Outgoing, PeekError> {
    Outgoing::new("/v2/embed", &body(asked, texts, cx, Some(INPUT_TYPE)))
}

/// The same for v1, whose models take no `input_type`.
pub(super) fn request_v1(
    asked: &embeddings::Request<'_>,
    texts: &[Text<'_>],
    cx: &Cx<'_>,
) -> Result<Outgoing, PeekError> {
    Outgoing::new("/v1/embed", &body(asked, texts, cx, None))
}

fn body<'r>(
    asked: &'r embeddings::Request<'_>,
    texts: &'r [Text<'_>],
    cx: &Cx<'r>,
    input_type: Option<&'static str>,
) -> Body<'r> {
    Body {
        model: cx.model,
        texts,
        input_type: input_type.filter(|_| unknown(&asked.rest, "input_type").is_none()),
        embedding_types: unknown(&asked.rest, "embedding_types").is_none().then_some(["float"]),
        output_dimension: asked.dimensions,
        rest: Members::of(&asked.rest, |key| match key {
            "output_dimension" => asked.dimensions.is_none(),
            key => key != "texts",
        }),
    }
}

#[derive(Deserialize)]
struct Answer<'m> {
    #[serde(borrow)]
    embeddings: Option<Raw<'m>>,
    meta: Option<Metered>,
}

/// Vectors by type, whichever the client asked for in Cohere's own words.
#[derive(Deserialize)]
struct ByType<'m> {
    #[serde(borrow)]
    float: Option<Vec<Raw<'m>>>,
    #[serde(borrow)]
    int8: Option<Vec<Raw<'m>>>,
    #[serde(borrow)]
    uint8: Option<Vec<Raw<'m>>>,
    #[serde(borrow)]
    binary: Option<Vec<Raw<'m>>>,
    #[serde(borrow)]
    ubinary: Option<Vec<Raw<'m>>>,
}

/// Translates an answer: vectors by type, or (v1 without `embedding_types`) a plain list.
pub(super) fn answer<'r>(reply: &Reply<'r>, back: &Back) -> Result<Vectors<'r>, Failure> {
    let answer: Answer<'r> = reply.json()?;
    let Some(embeddings) = answer.embeddings.map(|raw| raw.get()) else {
        return Err(failure(reply.body, "embeddings", &back.secrets));
    };
    let vectors = if embeddings.starts_with('[') {
        serde_json::from_str(embeddings).ok()
    } else {
        let by_type: Option<ByType<'r>> = serde_json::from_str(embeddings).ok();
        by_type.and_then(|all| all.float.or(all.int8).or(all.uint8).or(all.binary).or(all.ubinary))
    };
    let vectors = vectors.ok_or(Broken::Lacks("embeddings"))?;
    Ok(Vectors { model: None, vectors, usage: answer.meta.and_then(|meta| meta.usage()) })
}

#[cfg(test)]
#[path = "embed_tests.rs"]
mod tests;
