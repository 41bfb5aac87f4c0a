//! From a file or folder to a model that is ready to run.

use std::path::Path;

use crate::backend::cpu::Cpu;
use crate::error::EngineError;
use crate::exec::{Embedder, Generator};
use crate::model::config::{self, DecoderConfig};
use crate::model::decoder::Decoder;
use crate::model::encoder::Encoder;
use crate::model::folder::{self, FolderConfig};
use crate::model::names::{self, DecoderNames};
use crate::tokenizer::{self, TextSide};
use crate::weights::{Weights, gguf, safetensors};

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
    let (text, body) = if path.is_dir() { load_folder(path, options)? } else { load_gguf(path, options)? };
    Ok(LoadedModel {
        tokenizer: text.tokenizer,
        chat_template: text.chat_template,
        bos_token: text.bos_token,
        eos_token: text.eos_token,
        add_bos: text.add_bos,
        stop_tokens: text.stop_tokens,
        body,
    })
}

fn load_gguf(path: &Path, options: &LoadOptions) -> Result<(TextSide, ModelBody), EngineError> {
    let (meta, weights) = gguf::open(path)?;
    let config = config::decoder_from_gguf(&meta, &weights)?;
    let text = tokenizer::from_gguf(&meta)?;
    Ok((text, decoder(config, &weights, &names::GGUF, options)?))
}

fn load_folder(path: &Path, options: &LoadOptions) -> Result<(TextSide, ModelBody), EngineError> {
    let weights = safetensors::open(path)?;
    let body = match folder::read(path, &weights)? {
        FolderConfig::Decoder(config) => decoder(config, &weights, &names::HUGGING_FACE, options)?,
        FolderConfig::Encoder(config) => {
            ModelBody::Encoder(Box::new(Encoder::new(Cpu::new(options.threads)?, config, &weights)?))
        }
    };
    Ok((tokenizer::from_folder(path)?, body))
}

fn decoder(
    mut config: DecoderConfig,
    weights: &Weights,
    names: &DecoderNames,
    options: &LoadOptions,
) -> Result<ModelBody, EngineError> {
    config.max_context = config.max_context.min(options.max_context.unwrap_or(usize::MAX));
    let decoder = Decoder::new(Cpu::new(options.threads)?, config, weights, names, options.kv_bytes)?;
    Ok(ModelBody::Decoder(Box::new(decoder)))
}
