//! OpenAI embeddings ↔ Amazon Titan Embeddings and Cohere Embed.
//!
//! Source: Amazon Bedrock user guide, "Amazon Titan Embeddings Text", "Cohere Embed".

use serde::{Deserialize, Serialize};

use super::{path, usage};
use crate::bedrock::error::instead;
use crate::embeddings;
use crate::error::{Broken, Failure};
use crate::pair::{Back, Cx, Outgoing, Reply};
use crate::peek::PeekError;
use crate::wire::{Members, Raw, Text};
use crate::write::Vectors;
use crate::{Count, Usage};

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct TitanBody<'r> {
    input_text: &'r str,
    #[serde(skip_serializing_if = "Option::is_none")]
    dimensions: Option<u64>,
    #[serde(flatten)]
    rest: Members<'r>,
}

/// Translates a request to Titan for its only text.
pub(in crate::bedrock) fn titan(
    asked: &embeddings::Request<'_>,
    texts: &[Text<'_>],
    cx: &Cx<'_>,
) -> Result<Outgoing, PeekError> {
    let body = TitanBody {
        input_text: texts.first().map(|text| &**text).unwrap_or_default(),
        dimensions: asked.dimensions,
        rest: Members::of(&asked.rest, |key| key != "inputText"),
    };
    Outgoing::new(path(cx.model, None), &body)
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct TitanAnswer<'a> {
    #[serde(borrow)]
    embedding: Option<Raw<'a>>,
    input_text_token_count: Option<Count>,
}

/// Translates Titan's answer.
pub(in crate::bedrock) fn titan_answer<'r>(reply: &Reply<'r>, back: &Back) -> Result<Vectors<'r>, Failure> {
    let answer: TitanAnswer<'r> = reply.json()?;
    let vector = answer.embedding.ok_or_else(|| instead(reply, &back.secrets, "embedding"))?;
    let counted = answer.input_text_token_count.map(|Count(input)| Usage { fresh_input: input, ..Usage::default() });
    Ok(Vectors { model: None, vectors: vec![vector], usage: counted.or_else(|| usage(reply)) })
}

#[derive(Serialize)]
struct CohereBody<'r> {
    texts: &'r [Text<'r>],
    #[serde(skip_serializing_if = "Option::is_none")]
    input_type: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    output_dimension: Option<u64>,
    #[serde(flatten)]
    rest: Members<'r>,
}

/// Translates a request to Cohere, which must be told what the texts are for.
pub(in crate::bedrock) fn cohere(
    asked: &embeddings::Request<'_>,
    texts: &[Text<'_>],
    cx: &Cx<'_>,
) -> Result<Outgoing, PeekError> {
    let says_type = asked.rest.iter().any(|(key, _)| &**key == "input_type");
    let body = CohereBody {
        texts,
        input_type: (!says_type).then_some("search_document"),
        output_dimension: asked.dimensions,
        rest: Members::of(&asked.rest, |key| match key {
            "output_dimension" => asked.dimensions.is_none(),
            key => key != "texts",
        }),
    };
    Outgoing::new(path(cx.model, None), &body)
}

#[derive(Deserialize)]
struct CohereAnswer<'a> {
    #[serde(borrow)]
    embeddings: Option<Embeddings<'a>>,
}

/// One list, or several by type of number.
enum Embeddings<'a> {
    Floats(Vec<Raw<'a>>),
    ByType(ByType<'a>),
}

#[derive(Deserialize)]
struct ByType<'a> {
    #[serde(borrow)]
    float: Option<Vec<Raw<'a>>>,
}

impl<'de: 'a, 'a> Deserialize<'de> for Embeddings<'a> {
    fn deserialize<D: serde::Deserializer<'de>>(json: D) -> Result<Self, D::Error> {
        use serde::de::Error as _;
        let raw = <Raw<'de>>::deserialize(json)?.get();
        let read = match raw.starts_with('[') {
            true => serde_json::from_str(raw).map(Self::Floats),
            false => serde_json::from_str(raw).map(Self::ByType),
        };
        read.map_err(D::Error::custom)
    }
}

/// Translates Cohere's answer.
pub(in crate::bedrock) fn cohere_answer<'r>(reply: &Reply<'r>, back: &Back) -> Result<Vectors<'r>, Failure> {
    let answer: CohereAnswer<'r> = reply.json()?;
    let embeddings = answer.embeddings.ok_or_else(|| instead(reply, &back.secrets, "embeddings"))?;
    let vectors = match embeddings {
        Embeddings::Floats(vectors) => vectors,
        Embeddings::ByType(by_type) => by_type.float.ok_or(Broken::Lacks("embeddings.float"))?,
    };
    Ok(Vectors { model: None, vectors, usage: usage(reply) })
}
