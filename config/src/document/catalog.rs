//! `catalog.yaml`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Task, Version};

/// Local models and custom servers that `entity_name`/`entity_version` refer to.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields, title = "catalog.yaml")]
#[serde(default)]
pub struct CatalogSpec {
    /// The models; name and version together are unique.
    pub models: Vec<ModelSpec>,
}

/// A model. Exactly one of source, engine and server says who runs it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct ModelSpec {
    /// Full name, for example system.ai.smollm2_135m_instruct.
    #[schemars(length(min = 1, max = 255))]
    pub name: String,
    /// Version number.
    pub version: Version,
    /// What it is used for; required unless it has a server.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub task: Option<Task>,
    /// Run by the own engine: a GGUF file or a folder with safetensors, relative to the config folder.
    #[schemars(length(min = 1))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    /// Run by a vLLM-compatible server.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub engine: Option<ServerSpec>,
    /// A custom model behind an MLflow scoring server.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub server: Option<ServerSpec>,
    /// The model's name on its engine, when it differs.
    #[schemars(length(min = 1))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub served_name: Option<String>,
    /// Architecture family, for example llama.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub model_type: Option<String>,
    /// Step of provisioned throughput, in tokens per second.
    #[schemars(range(min = 1))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub throughput_chunk_size: Option<u32>,
    /// System prompt for requests that bring none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub default_system_prompt: Option<String>,
}

/// Where a server listens.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct ServerSpec {
    /// Root of the server, for example http://10.0.0.5:8000.
    pub url: String,
}
