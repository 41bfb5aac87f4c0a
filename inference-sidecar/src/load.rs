//! From a file or folder to a model that is ready to run.

use std::path::Path;

use crate::error::EngineError;
use crate::exec::{Embedder, Generator};

/// How to load a model.
#[derive(Debug, Clone)]
pub struct LoadOptions {
    /// Threads of the CPU backend; 0 = one per core.
    pub threads: usize,
    /// Bytes for the KV pool.
    pub kv_bytes: usize,
    /// Longest sequence in tokens, if shorter than the model's own.
    pub max_context: Option<usize>,
}

/// A model with its text side.
pub struct LoadedModel {
    /// Tokenizer; its post-processor adds the special tokens where the model wants them.
    pub tokenizer: tokenizers::Tokenizer,
    /// Jinja chat template, where the model has one.
    pub chat_template: Option<String>,
    /// Text of the token that begins a sequence, for the chat template.
    pub bos_token: Option<String>,
    /// Text of the token that ends a sequence, for the chat template.
    pub eos_token: Option<String>,
    /// Whether a plain prompt (not a rendered chat) is to begin with the BOS token.
    pub add_bos: bool,
    /// Tokens that end generation.
    pub stop_tokens: Vec<u32>,
    /// The tensors' side.
    pub body: ModelBody,
}

/// What kind of model was loaded.
pub enum ModelBody {
    /// Writes text.
    Decoder(Box<dyn Generator>),
    /// Turns text into vectors.
    Encoder(Box<dyn Embedder>),
}

/// Loads a GGUF file, or a folder with safetensors.
pub fn load(path: &Path, options: &LoadOptions) -> Result<LoadedModel, EngineError> {
    let _ = options;
    Err(EngineError::Model { path: path.to_owned(), what: "loading is being written".into() })
}
