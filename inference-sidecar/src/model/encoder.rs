//! Encoders of the BERT type: attention and feed-forward, each added to the row and then normed.

use super::config::EncoderConfig;
use crate::backend::Backend;
use crate::error::EngineError;
use crate::exec::Embedder;
use crate::weights::Weights;

/// Tokens that run together; a call with more is cut between its texts.
const STEP_TOKENS: usize = 2048;

/// An encoder on a backend.
pub struct Encoder<B: Backend> {
    backend: B,
    config: EncoderConfig,
    words: B::Matrix,
    positions: B::Matrix,
    kinds: B::Matrix,
    embedding_norm: Norm<B>,
    layers: Vec<Layer<B>>,
    work: Work<B>,
}

struct Norm<B: Backend> {
    weight: B::Vector,
    bias: B::Vector,
}

struct Layer<B: Backend> {
    qkv: B::Matrix,
    attention_out: B::Matrix,
    attention_norm: Norm<B>,
    up: B::Matrix,
    down: B::Matrix,
    output_norm: Norm<B>,
}

/// Activations, kept from call to call so that their memory is.
struct Work<B: Backend> {
    x: B::Buffer,
    qkv: B::Buffer,
    attended: B::Buffer,
    inner: B::Buffer,
    delta: B::Buffer,
    pooled: B::Buffer,
}

impl<B: Backend> Encoder<B> {
    /// Brings the weights to the backend; their names are those of Hugging Face's `BertModel`.
    pub fn new(backend: B, config: EncoderConfig, weights: &Weights) -> Result<Self, EngineError> {
        let EncoderConfig { hidden, inner, vocab, .. } = config;
        // A model with a head over it keeps the encoder's tensors under a prefix.
        let prefix = if weights.contains("bert.embeddings.word_embeddings.weight") { "bert." } else { "" };
        let norm = |name: &str| -> Result<Norm<B>, EngineError> {
            let vector = |part: &str| {
                backend.vector(weights.get(&format!("{prefix}{name}.LayerNorm.{part}"), &[hidden])?.to_f32())
            };
            Ok(Norm { weight: vector("weight")?, bias: vector("bias")? })
        };
        let matrix = |names: &[String], rows: usize, cols: usize| {
            let (mut parts, mut bias) = (Vec::new(), Vec::new());
            for name in names {
                parts.push(weights.get(&format!("{prefix}{name}.weight"), &[rows, cols])?);
                bias.extend(weights.get(&format!("{prefix}{name}.bias"), &[rows])?.to_f32());
            }
            backend.matrix(parts, Some(bias))
        };
        let table = |name: &str, rows: usize| {
            let name = format!("{prefix}embeddings.{name}_embeddings.weight");
            backend.matrix(vec![weights.get(&name, &[rows, hidden])?], None)
        };
        let mut layers = Vec::new();
        for layer in 0..config.layers {
            let at = |name: &str| format!("encoder.layer.{layer}.{name}");
            let qkv = ["query", "key", "value"].map(|part| at(&format!("attention.self.{part}")));
            layers.push(Layer {
                qkv: matrix(&qkv, hidden, hidden)?,
                attention_out: matrix(&[at("attention.output.dense")], hidden, hidden)?,
                attention_norm: norm(&at("attention.output"))?,
                up: matrix(&[at("intermediate.dense")], inner, hidden)?,
                down: matrix(&[at("output.dense")], hidden, inner)?,
                output_norm: norm(&at("output"))?,
            });
        }
        Ok(Self {
            words: table("word", vocab)?,
            positions: table("position", config.positions)?,
            kinds: table("token_type", config.kinds)?,
            embedding_norm: norm("embeddings")?,
            layers,
            work: Work::default(),
            config,
            backend,
        })
    }

    fn check(&self, input: &[u32]) -> Result<(), EngineError> {
        let most = self.config.max_tokens;
        let message = match input.iter().find(|&&token| token as usize >= self.config.vocab) {
            Some(token) => format!("token {token} is not in the model's vocabulary of {}", self.config.vocab),
            None if input.is_empty() => "an input has no tokens".into(),
            None if input.len() > most => format!("an input has {} tokens; this model takes {most}", input.len()),
            None => return Ok(()),
        };
        Err(EngineError::Request { param: Some("input"), message })
    }

    /// The vectors of texts that run together, one after the other.
    fn run(&mut self, texts: &[Vec<u32>], out: &mut Vec<f32>) {
        let EncoderConfig { heads, eps, activation, pooling, normalise, .. } = self.config;
        let (b, w) = (&mut self.backend, &mut self.work);
        let words: Vec<u32> = texts.concat();
        let positions: Vec<u32> = texts.iter().flat_map(|text| 0..text.len() as u32).collect();
        let kinds = vec![0; words.len()];
        let mut starts = vec![0];
        starts.extend(texts.iter().scan(0, |end, text| {
            *end += text.len();
            Some(*end)
        }));

        b.embed(&[(&self.words, &words), (&self.positions, &positions), (&self.kinds, &kinds)], &mut w.x);
        b.add_layer_norm(&mut w.x, None, &self.embedding_norm.weight, &self.embedding_norm.bias, eps);
        for layer in &self.layers {
            b.linear(&w.x, &layer.qkv, &mut w.qkv);
            b.full_attention(&w.qkv, &starts, heads, &mut w.attended);
            b.linear(&w.attended, &layer.attention_out, &mut w.delta);
            b.add_layer_norm(&mut w.x, Some(&w.delta), &layer.attention_norm.weight, &layer.attention_norm.bias, eps);

            b.linear(&w.x, &layer.up, &mut w.inner);
            b.activate(&mut w.inner, activation);
            b.linear(&w.inner, &layer.down, &mut w.delta);
            b.add_layer_norm(&mut w.x, Some(&w.delta), &layer.output_norm.weight, &layer.output_norm.bias, eps);
        }
        b.pool(&w.x, &starts, pooling, normalise, &mut w.pooled);
        b.read(&w.pooled, out);
    }
}

impl<B: Backend> Embedder for Encoder<B> {
    fn dimensions(&self) -> usize {
        self.config.hidden
    }

    fn vocab(&self) -> usize {
        self.config.vocab
    }

    fn max_tokens(&self) -> usize {
        self.config.max_tokens
    }

    fn embed(&mut self, inputs: &[Vec<u32>]) -> Result<Vec<Vec<f32>>, EngineError> {
        inputs.iter().try_for_each(|input| self.check(input))?;
        let mut embeddings = Vec::new();
        let mut vectors = Vec::new();
        let mut rest = inputs;
        while !rest.is_empty() {
            let mut tokens = 0;
            let fit = rest.iter().take_while(|text| {
                tokens += text.len();
                tokens <= STEP_TOKENS
            });
            let (texts, later) = rest.split_at(fit.count().max(1));
            self.run(texts, &mut vectors);
            embeddings.extend(vectors.chunks_exact(self.config.hidden).map(<[f32]>::to_vec));
            rest = later;
        }
        Ok(embeddings)
    }
}

impl<B: Backend> Default for Work<B> {
    fn default() -> Self {
        Self {
            x: B::Buffer::default(),
            qkv: B::Buffer::default(),
            attended: B::Buffer::default(),
            inner: B::Buffer::default(),
            delta: B::Buffer::default(),
            pooled: B::Buffer::default(),
        }
    }
}
