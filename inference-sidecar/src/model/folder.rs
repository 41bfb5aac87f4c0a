//! The config of a folder as Hugging Face and sentence-transformers lay it out.

use std::path::Path;

use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::config::{DecoderConfig, EncoderConfig, frequencies};
use crate::backend::{Activation, Heads, Pooling, Rope, RopePairs};
use crate::error::EngineError;
use crate::weights::Weights;

/// What a folder holds.
pub enum FolderConfig {
    /// Writes text.
    Decoder(DecoderConfig),
    /// Turns text into vectors.
    Encoder(EncoderConfig),
}

#[derive(Deserialize)]
#[serde(tag = "model_type", rename_all = "snake_case")]
enum Config {
    Llama(Llama),
    Bert(Bert),
}

#[derive(Deserialize)]
struct Llama {
    num_hidden_layers: usize,
    hidden_size: usize,
    intermediate_size: usize,
    vocab_size: usize,
    num_attention_heads: usize,
    num_key_value_heads: Option<usize>,
    head_dim: Option<usize>,
    rms_norm_eps: f32,
    hidden_act: String,
    max_position_embeddings: usize,
    #[serde(default)]
    tie_word_embeddings: bool,
    rope_theta: Option<f32>,
    #[serde(alias = "rope_scaling")]
    rope_parameters: Option<RopeParameters>,
}

/// `rope_parameters`, or `rope_scaling` as older files call it.
#[derive(Deserialize)]
struct RopeParameters {
    rope_theta: Option<f32>,
    #[serde(flatten)]
    scaling: Scaling,
}

#[derive(Deserialize)]
#[serde(tag = "rope_type", rename_all = "snake_case")]
enum Scaling {
    Default,
    Linear { factor: f32 },
    Llama3 { factor: f32, low_freq_factor: f32, high_freq_factor: f32, original_max_position_embeddings: f32 },
}

#[derive(Deserialize)]
struct Bert {
    num_hidden_layers: usize,
    hidden_size: usize,
    intermediate_size: usize,
    vocab_size: usize,
    num_attention_heads: usize,
    max_position_embeddings: usize,
    type_vocab_size: usize,
    layer_norm_eps: f32,
    hidden_act: String,
}

/// One step of a sentence-transformers model (`modules.json`).
#[derive(Deserialize)]
struct Module {
    path: String,
    r#type: String,
}

#[derive(Deserialize)]
struct PoolingConfig {
    #[serde(default)]
    pooling_mode_cls_token: bool,
    #[serde(default)]
    pooling_mode_mean_tokens: bool,
}

#[derive(Default, Deserialize)]
struct SentenceConfig {
    max_seq_length: Option<usize>,
}

/// Reads `config.json`, and for an encoder the files of sentence-transformers beside it.
pub fn read(folder: &Path, weights: &Weights) -> Result<FolderConfig, EngineError> {
    let path = folder.join("config.json");
    let config: Config = json(&path)?.ok_or_else(|| EngineError::model(folder, "config.json is missing"))?;
    let config = match config {
        Config::Llama(llama) => llama.config(weights).map(FolderConfig::Decoder),
        Config::Bert(bert) => bert.config(folder)?.map(FolderConfig::Encoder),
    };
    config.map_err(|what| EngineError::model(path, what))
}

impl Llama {
    fn config(self, weights: &Weights) -> Result<DecoderConfig, String> {
        if self.hidden_act != "silu" {
            return Err(format!("activation {:?} is not supported; silu is", self.hidden_act));
        }
        let query = self.num_attention_heads;
        let size = self.head_dim.unwrap_or_else(|| self.hidden_size.checked_div(query).unwrap_or(0));
        let inside = self.rope_parameters.as_ref().and_then(|rope| rope.rope_theta);
        let heads = Heads { query, kv: self.num_key_value_heads.unwrap_or(query), size, window: None };
        let mut frequencies = frequencies(self.rope_theta.or(inside).unwrap_or(10_000.0), size, &heads)?;
        if let Some(rope) = self.rope_parameters {
            frequencies.iter_mut().for_each(|f| *f = rope.scaling.apply(*f));
        }
        DecoderConfig {
            layers: self.num_hidden_layers,
            hidden: self.hidden_size,
            inner: self.intermediate_size,
            vocab: self.vocab_size,
            heads,
            eps: self.rms_norm_eps,
            rope: Rope { frequencies, pairs: RopePairs::Halves },
            max_context: self.max_position_embeddings,
            tied: self.tie_word_embeddings || !weights.contains("lm_head.weight"),
        }
        .checked()
    }
}

impl Scaling {
    fn apply(&self, frequency: f32) -> f32 {
        match *self {
            Self::Default => frequency,
            Self::Linear { factor } => frequency / factor,
            // transformers' `_compute_llama3_parameters`: short waves stay, long ones are stretched, between is blended.
            Self::Llama3 { factor, low_freq_factor, high_freq_factor, original_max_position_embeddings } => {
                let wave = std::f32::consts::TAU / frequency;
                let turns = original_max_position_embeddings / wave;
                let smooth = ((turns - low_freq_factor) / (high_freq_factor - low_freq_factor)).clamp(0.0, 1.0);
                (1.0 - smooth) * frequency / factor + smooth * frequency
            }
        }
    }
}

impl Bert {
    fn config(self, folder: &Path) -> Result<Result<EncoderConfig, String>, EngineError> {
        let modules: Vec<Module> = json(&folder.join("modules.json"))?.unwrap_or_default();
        let mut pooling = Pooling::Mean;
        let mut normalise = false;
        for module in &modules {
            match module.r#type.rsplit('.').next() {
                Some("Transformer") => {}
                Some("Normalize") => normalise = true,
                Some("Pooling") => {
                    let path = folder.join(&module.path).join("config.json");
                    let config: Option<PoolingConfig> = json(&path)?;
                    pooling = match config.map(|c| (c.pooling_mode_cls_token, c.pooling_mode_mean_tokens)) {
                        Some((true, false)) => Pooling::First,
                        Some((false, true)) => Pooling::Mean,
                        _ => return Err(EngineError::model(path, "one of cls and mean pooling is supported")),
                    };
                }
                _ => return Ok(Err(format!("module {} of modules.json is not supported", module.r#type))),
            }
        }
        let sentence: SentenceConfig = json(&folder.join("sentence_bert_config.json"))?.unwrap_or_default();
        let positions = self.max_position_embeddings;
        let heads = self.num_attention_heads;
        let size = self.hidden_size.checked_div(heads).unwrap_or(0);
        let activation = match self.hidden_act.as_str() {
            "gelu" => Activation::Gelu,
            other => return Ok(Err(format!("activation {other:?} is not supported; gelu is"))),
        };
        let config = EncoderConfig {
            layers: self.num_hidden_layers,
            hidden: self.hidden_size,
            inner: self.intermediate_size,
            vocab: self.vocab_size,
            positions,
            kinds: self.type_vocab_size,
            heads: Heads { query: heads, kv: heads, size, window: None },
            eps: self.layer_norm_eps,
            activation,
            max_tokens: sentence.max_seq_length.unwrap_or(positions).min(positions),
            pooling,
            normalise,
        };
        Ok(config.checked())
    }
}

/// A JSON file, if it is there.
fn json<T: DeserializeOwned>(path: &Path) -> Result<Option<T>, EngineError> {
    match std::fs::read(path) {
        Ok(text) => serde_json::from_slice(&text).map(Some).map_err(|e| EngineError::model(path, e.to_string())),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(EngineError::Read { path: path.to_owned(), source }),
    }
}
