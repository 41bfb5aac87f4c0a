//! Amazon Bedrock: Converse for chat, and InvokeModel in the makers' own schemas for what Converse does not serve.
//!
//! Credentials are the proxy's: a request here has no signature yet.
//!
//! Source: Amazon Bedrock API reference, "Amazon Bedrock Runtime", and the user guide's "Inference request parameters
//! and response fields for foundation models".

mod converse;
mod error;
mod invoke;
mod models;
mod pairs;

use error::error;
pub(crate) use models::pair;
pub use pairs::*;

use crate::pair::{Pair, segment};

const PROVIDER: &str = "amazon-bedrock";

/// Its pairs.
pub(crate) static PAIRS: &[&Pair] = &[
    &CONVERSE_CLAUDE,
    &CONVERSE_NOVA,
    &CONVERSE_COHERE,
    &CONVERSE_MISTRAL,
    &CONVERSE_OPENAI,
    &CONVERSE_AI21,
    &CONVERSE,
    &INVOKE_MESSAGES,
    &INVOKE_CLAUDE,
    &INVOKE_COMMAND,
    &INVOKE_J2,
    &INVOKE_TITAN,
    &EMBED_COHERE,
    &EMBED_TITAN,
];

/// The path of a model's API.
fn path(model: &str, api: &str) -> String {
    format!("/model/{}/{api}", segment(model))
}

#[cfg(test)]
mod recorded_tests;
