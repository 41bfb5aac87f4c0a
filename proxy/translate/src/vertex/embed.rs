//! Embeddings: by `predict` for textembedding-gecko, text-embedding and the first gemini-embedding, by `embedContent`
//! for the newer ones.
//!
//! The batch sizes are those of "Get text embeddings": 5 texts in most regions for the gecko models, 250 for the
//! text-embedding models, one for the Gemini ones.

use serde::{Deserialize, Serialize};

use super::{PROVIDER, error, failure, path};
use crate::embeddings::Request;
use crate::error::{Broken, Failure};
use crate::pair::{Back, Cx, How, Outgoing, Pair, Reply};
use crate::peek::PeekError;
use crate::table::Params;
use crate::wire::{Members, Raw, Text};
use crate::write::Vectors;
use crate::{Count, Usage};

/// Members of an instance; what else the client says in the API's own words is a parameter.
const OF_INSTANCE: [&str; 3] = ["task_type", "taskType", "title"];

const PARAMS: Params = Params {
    mapped: &["model", "input", "dimensions", "encoding_format", "stream"],
    dropped: &["user"],
    refused: &["instruction"],
};

const fn predicting(api: &'static str, batch: usize) -> Pair {
    Pair { provider: PROVIDER, api, params: PARAMS, how: How::Embeddings { batch, request: predict, answer }, error }
}

/// textembedding-gecko by `predict`.
pub static PREDICT_GECKO: Pair = predicting("predict (gecko)", 5);

/// text-embedding and text-multilingual-embedding by `predict`.
pub static PREDICT_EMBEDDINGS: Pair = predicting("predict (text-embedding)", 250);

/// gemini-embedding-001 by `predict`.
pub static PREDICT_EMBEDDING: Pair = predicting("predict (gemini-embedding-001)", 1);

/// gemini-embedding-2 and later by `embedContent`.
pub static EMBED_CONTENT: Pair = Pair {
    provider: PROVIDER,
    api: "embedContent",
    params: PARAMS,
    how: How::Embeddings { batch: 1, request: embed, answer },
    error,
};

#[derive(Serialize)]
struct Predict<'r> {
    instances: Vec<Instance<'r>>,
    #[serde(skip_serializing_if = "Parameters::is_empty")]
    parameters: Parameters<'r>,
}

#[derive(Serialize)]
struct Instance<'r> {
    content: &'r str,
    #[serde(flatten)]
    rest: Members<'r>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Parameters<'r> {
    #[serde(skip_serializing_if = "Option::is_none")]
    output_dimensionality: Option<u64>,
    #[serde(flatten)]
    rest: Members<'r>,
}

impl Parameters<'_> {
    fn is_empty(&self) -> bool {
        self.output_dimensionality.is_none() && self.rest.0.is_empty()
    }
}

fn predict(asked: &Request<'_>, texts: &[Text<'_>], cx: &Cx<'_>) -> Result<Outgoing, PeekError> {
    let of_instance = |key: &str| OF_INSTANCE.contains(&key);
    let instance = |content| Instance { content, rest: Members::of(&asked.rest, of_instance) };
    let body = Predict {
        instances: texts.iter().map(|text| instance(&**text)).collect(),
        parameters: Parameters {
            output_dimensionality: asked.dimensions,
            rest: Members::of(&asked.rest, |key| !of_instance(key) && key != "outputDimensionality"),
        },
    };
    Outgoing::new(path("google", cx.model, "predict"), &body)
}

#[derive(Serialize)]
struct Embed<'r> {
    content: Content<'r>,
    #[serde(flatten)]
    parameters: Parameters<'r>,
}

#[derive(Serialize)]
struct Content<'r> {
    parts: [Part<'r>; 1],
}

#[derive(Serialize)]
struct Part<'r> {
    text: &'r str,
}

fn embed(asked: &Request<'_>, texts: &[Text<'_>], cx: &Cx<'_>) -> Result<Outgoing, PeekError> {
    let text = texts.first().map(|text| &**text).unwrap_or_default();
    let body = Embed {
        content: Content { parts: [Part { text }] },
        parameters: Parameters {
            output_dimensionality: asked.dimensions,
            rest: Members::of(&asked.rest, |key| !matches!(key, "content" | "outputDimensionality")),
        },
    };
    Outgoing::new(path("google", cx.model, "embedContent"), &body)
}

/// The answer of `predict`, or of `embedContent` and the form of it for several.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Answer<'a> {
    #[serde(borrow)]
    predictions: Option<Vec<Prediction<'a>>>,
    #[serde(borrow)]
    embedding: Option<Embedding<'a>>,
    #[serde(borrow)]
    embeddings: Option<Vec<Embedding<'a>>>,
    usage_metadata: Option<UsageMetadata>,
    #[serde(borrow)]
    error: Option<Raw<'a>>,
}

#[derive(Deserialize)]
struct Prediction<'a> {
    #[serde(borrow)]
    embeddings: Embedding<'a>,
}

#[derive(Deserialize)]
struct Embedding<'a> {
    #[serde(borrow)]
    values: Raw<'a>,
    statistics: Option<Statistics>,
}

#[derive(Deserialize)]
struct Statistics {
    token_count: Option<Count>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct UsageMetadata {
    prompt_token_count: Option<Count>,
}

fn answer<'r>(reply: &Reply<'r>, back: &Back) -> Result<Vectors<'r>, Failure> {
    let answer: Answer<'r> = reply.json()?;
    if answer.error.is_some() {
        return Err(failure(reply.body, &back.secrets));
    }
    let all: Vec<Embedding<'r>> = match (answer.predictions, answer.embedding, answer.embeddings) {
        (Some(predictions), ..) => predictions.into_iter().map(|prediction| prediction.embeddings).collect(),
        (None, Some(embedding), _) => vec![embedding],
        (None, None, Some(embeddings)) => embeddings,
        (None, None, None) => return Err(Broken::Lacks("predictions").into()),
    };
    let counted = |embedding: &Embedding<'_>| embedding.statistics.as_ref().and_then(|of| of.token_count);
    let tokens = all.iter().try_fold(0_u64, |sum, embedding| Some(sum.saturating_add(counted(embedding)?.0)));
    let tokens = answer.usage_metadata.and_then(|usage| usage.prompt_token_count).map(|count| count.0).or(tokens);
    let usage = tokens.map(|fresh_input| Usage { fresh_input, ..Usage::default() });
    Ok(Vectors { model: None, vectors: all.into_iter().map(|embedding| embedding.values).collect(), usage })
}

#[cfg(test)]
#[path = "embed_tests.rs"]
mod tests;
