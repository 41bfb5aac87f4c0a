//! What a model's files say about its architecture: the differences between models, as data.

use crate::backend::{Activation, Heads, Pooling, Rope, RopePairs};
use crate::error::EngineError;
use crate::weights::Weights;
use crate::weights::gguf::Metadata;

/// A decoder of the Llama type.
#[derive(Debug, Clone)]
pub struct DecoderConfig {
    /// Blocks of attention and feed-forward.
    pub layers: usize,
    /// Width of a row between the layers.
    pub hidden: usize,
    /// Width inside the feed-forward part.
    pub inner: usize,
    /// Entries in the vocabulary.
    pub vocab: usize,
    /// Attention's sizes.
    pub heads: Heads,
    /// The norms' epsilon.
    pub eps: f32,
    /// Positions.
    pub rope: Rope,
    /// Longest sequence that the model was made for.
    pub max_context: usize,
    /// The embedding table is the output matrix too.
    pub tied: bool,
}

/// An encoder of the BERT type.
#[derive(Debug, Clone)]
pub struct EncoderConfig {
    /// Blocks of attention and feed-forward.
    pub layers: usize,
    /// Width of a row between the layers.
    pub hidden: usize,
    /// Width inside the feed-forward part.
    pub inner: usize,
    /// Entries in the vocabulary.
    pub vocab: usize,
    /// Rows of the table of positions.
    pub positions: usize,
    /// Kinds of segment; ours are all of kind 0.
    pub kinds: usize,
    /// Attention's sizes.
    pub heads: Heads,
    /// The norms' epsilon.
    pub eps: f32,
    /// Between the two matrices of the feed-forward part.
    pub activation: Activation,
    /// Longest input in tokens.
    pub max_tokens: usize,
    /// How a text's rows become one vector.
    pub pooling: Pooling,
    /// Whether the vector is scaled to length 1.
    pub normalise: bool,
}

/// The config of a GGUF file.
pub fn decoder_from_gguf(meta: &Metadata, weights: &Weights) -> Result<DecoderConfig, EngineError> {
    let arch = meta.need("general.architecture", meta.text("general.architecture"))?;
    if arch != "llama" {
        return Err(meta.wrong(format!("architecture {arch:?} is not supported; llama is")));
    }
    let number = |name: &str| {
        let key = format!("{arch}.{name}");
        meta.need(&key, meta.unsigned(&key))
    };
    let optional = |name: &str| meta.unsigned(&format!("{arch}.{name}"));
    if optional("expert_count")?.unwrap_or(0) > 0 {
        return Err(meta.wrong("mixtures of experts are not supported yet"));
    }
    let hidden = number("embedding_length")?;
    let query = number("attention.head_count")?;
    let kv = optional("attention.head_count_kv")?.unwrap_or(query);
    let size = match optional("attention.key_length")? {
        Some(size) => size,
        None => hidden.checked_div(query).unwrap_or(0),
    };
    let base = meta.float(&format!("{arch}.rope.freq_base"))?.unwrap_or(10_000.0);
    let turned = optional("rope.dimension_count")?.unwrap_or(size);
    let heads = Heads { query, kv, size, window: optional("attention.sliding_window")?.filter(|&w| w > 0) };
    let mut frequencies = frequencies(base, turned, &heads).map_err(|what| meta.wrong(what))?;
    match meta.text(&format!("{arch}.rope.scaling.type"))? {
        None | Some("none") => {}
        Some("linear") => {
            let key = format!("{arch}.rope.scaling.factor");
            let factor = meta.need(&key, meta.float(&key))?;
            frequencies.iter_mut().for_each(|f| *f /= factor);
        }
        Some(other) => return Err(meta.wrong(format!("rope scaling {other:?} is not supported; linear is"))),
    }
    // Llama 3's scaling is stored as one divisor for each pair.
    const DIVISORS: &str = "rope_freqs.weight";
    if weights.contains(DIVISORS) {
        let divisors = weights.get(DIVISORS, &[frequencies.len()])?.to_f32();
        frequencies.iter_mut().zip(divisors).for_each(|(f, divisor)| *f /= divisor);
    }
    let vocab = match meta.list("tokenizer.ggml.tokens", "a list", |_| Some(()))? {
        Some(tokens) => tokens.len(),
        None => number("vocab_size")?,
    };
    let eps_key = format!("{arch}.attention.layer_norm_rms_epsilon");
    DecoderConfig {
        layers: number("block_count")?,
        hidden,
        inner: number("feed_forward_length")?,
        vocab,
        heads,
        eps: meta.need(&eps_key, meta.float(&eps_key))?,
        rope: Rope { frequencies, pairs: RopePairs::Neighbours },
        max_context: number("context_length")?,
        tied: !weights.contains("output.weight"),
    }
    .checked()
    .map_err(|what| meta.wrong(what))
}

/// The frequencies of rotary embedding over the first `turned` values of a head, rounded as the reference
/// implementation rounds them.
pub fn frequencies(base: f32, turned: usize, heads: &Heads) -> Result<Vec<f32>, String> {
    heads.check()?;
    if turned > heads.size {
        return Err(format!("rope turns {turned} of a head's {} values", heads.size));
    }
    Ok((0..turned / 2).map(|pair| 1.0 / base.powf((2 * pair) as f32 / turned as f32)).collect())
}

impl Heads {
    fn check(&self) -> Result<(), String> {
        let Heads { query, kv, size, .. } = *self;
        if query == 0 || kv == 0 || query % kv != 0 {
            return Err(format!("{query} query heads cannot share {kv} key heads"));
        }
        if size == 0 || size % 16 != 0 {
            return Err(format!("heads of {size} values are not supported; multiples of 16 are"));
        }
        check_sizes(&[query, size])?;
        // The key heads are no more than the query heads.
        check_sizes(&[query * size])
    }
}

impl DecoderConfig {
    /// Refuses what no model can be.
    pub fn checked(self) -> Result<Self, String> {
        self.heads.check()?;
        check_sizes(&[self.layers, self.hidden, self.inner, self.vocab, self.max_context])?;
        Ok(self)
    }
}

impl EncoderConfig {
    /// Refuses what no model can be.
    pub fn checked(self) -> Result<Self, String> {
        self.heads.check()?;
        if self.heads.query * self.heads.size != self.hidden {
            return Err(format!("{} heads do not divide a row of {}", self.heads.query, self.hidden));
        }
        check_sizes(&[self.layers, self.hidden, self.inner, self.vocab, self.positions, self.kinds, self.max_tokens])?;
        Ok(self)
    }
}

/// A config is not to be trusted with products or allocations: no real model has sizes beyond these.
fn check_sizes(sizes: &[usize]) -> Result<(), String> {
    match sizes.iter().find(|&&size| size == 0 || size > 1 << 28) {
        Some(size) => Err(format!("a size of {size} in the config cannot be right")),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_that_no_model_has_are_refused_before_they_are_used() {
        let heads = |query, kv, size| Heads { query, kv, size, window: None };
        assert_eq!(frequencies(1e4, 16, &heads(4, 2, 16)).expect("a head").len(), 8);
        assert!(frequencies(1e4, usize::MAX, &heads(4, 2, 16)).is_err());
        assert!(frequencies(1e4, 16, &heads(4, 2, 1 << 40)).is_err());
        assert!(frequencies(1e4, 16, &heads(1 << 20, 1, 1 << 20)).is_err());
    }
}
