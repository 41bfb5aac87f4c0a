//! A tokenizer from GGUF metadata (`tokenizer.ggml.*`).

use std::collections::HashMap;

use tokenizers::models::bpe::{BPE, Vocab};
use tokenizers::pre_tokenizers::PreTokenizerWrapper;
use tokenizers::pre_tokenizers::byte_level::ByteLevel;
use tokenizers::pre_tokenizers::sequence::Sequence;
use tokenizers::pre_tokenizers::split::{Split, SplitPattern};
use tokenizers::processors::template::TemplateProcessing;
use tokenizers::{AddedToken, SplitDelimiterBehavior, Tokenizer};

use super::{TextSide, pre};
use crate::error::EngineError;
use crate::weights::gguf::{Metadata, Value};

/// Texts that end generation in whatever vocabulary they are control tokens: a GGUF file names only one or two end
/// tokens, while chat models were trained with others too (llama.cpp keeps the same list).
const END_TEXTS: &[&str] =
    &["<|endoftext|>", "<|im_end|>", "<|eot_id|>", "<|eom_id|>", "<|end_of_text|>", "<|end|>", "</s>", "<end_of_turn>"];

/// llama.cpp's kinds of token.
const CONTROL: u64 = 3;
const USER_DEFINED: u64 = 4;

/// Builds the tokenizer that the metadata describes.
pub fn from_gguf(meta: &Metadata) -> Result<TextSide, EngineError> {
    let kind = meta.need("tokenizer.ggml.model", meta.text("tokenizer.ggml.model"))?;
    if kind != "gpt2" {
        return Err(meta.wrong(format!("tokenizer model {kind:?} is not supported; gpt2 (byte-level BPE) is")));
    }
    let pre = pre::find(meta.text("tokenizer.ggml.pre")?.unwrap_or("gpt-2")).map_err(|what| meta.wrong(what))?;
    let tokens = meta.need("tokenizer.ggml.tokens", meta.list("tokenizer.ggml.tokens", "a list of texts", text))?;
    let kinds = meta.list("tokenizer.ggml.token_type", "a list of whole numbers", unsigned)?.unwrap_or_default();
    let special_id = |name: &str| -> Result<Option<u32>, EngineError> {
        let key = format!("tokenizer.ggml.{name}_token_id");
        match meta.unsigned(&key)? {
            Some(id) if id >= tokens.len() => Err(meta.wrong(format!("{key} {id} is beyond the vocabulary"))),
            id => Ok(id.map(|id| id as u32)),
        }
    };
    let (bos, eos) = (special_id("bos")?, special_id("eos")?);
    let token_text = |id: Option<u32>| id.and_then(|id| tokens.get(id as usize).cloned());

    let mut stop_tokens: Vec<u32> = eos.into_iter().chain(special_id("eot")?).chain(special_id("eom")?).collect();
    let mut added = Vec::new();
    for (id, (token, kind)) in (0u32..).zip(tokens.iter().zip(&kinds)) {
        if matches!(*kind, CONTROL | USER_DEFINED) {
            added.push(AddedToken::from(token.as_str(), *kind == CONTROL).normalized(false));
        }
        if *kind == CONTROL && END_TEXTS.contains(&token.as_str()) {
            stop_tokens.push(id);
        }
    }
    stop_tokens.sort_unstable();
    stop_tokens.dedup();

    let mut tokenizer = byte_level_bpe(meta, &tokens, pre)?;
    tokenizer.add_special_tokens(added).map_err(|e| meta.wrong(e.to_string()))?;
    let add_bos = meta.flag("tokenizer.ggml.add_bos_token")?.unwrap_or(pre.add_bos);
    if let (true, Some(id), Some(token)) = (add_bos, bos, token_text(bos)) {
        let template = TemplateProcessing::builder()
            .try_single(vec![token.clone(), "$0".into()])
            .and_then(|builder| builder.special_tokens(vec![(token, id)]).build().map_err(|e| e.to_string()))
            .map_err(|what| meta.wrong(what))?;
        tokenizer.with_post_processor(Some(template));
    }
    Ok(TextSide {
        tokenizer,
        chat_template: meta.text("tokenizer.chat_template")?.map(str::to_owned),
        bos_token: token_text(bos),
        eos_token: token_text(eos),
        add_bos: add_bos && bos.is_some(),
        stop_tokens,
    })
}

fn byte_level_bpe(meta: &Metadata, tokens: &[String], pre: &pre::Pre) -> Result<Tokenizer, EngineError> {
    let merge = |value: &Value| {
        // A space inside a token is written as another character, so the first one parts the two.
        let (left, right) = as_text(value)?.split_once(' ')?;
        Some((left.to_owned(), right.to_owned()))
    };
    let key = "tokenizer.ggml.merges";
    let merges = meta.need(key, meta.list(key, "a list of two words each", merge))?;
    let vocab: HashMap<String, u32> = tokens.iter().cloned().zip(0..).collect();
    let model = BPE::builder()
        .vocab_and_merges(vocab.into_iter().collect::<Vocab>(), merges)
        .ignore_merges(pre.ignore_merges)
        .build()
        .map_err(|e| meta.wrong(e.to_string()))?;

    let mut steps: Vec<PreTokenizerWrapper> = Vec::new();
    for pattern in pre.patterns {
        let pattern = SplitPattern::Regex((*pattern).to_owned());
        let split =
            Split::new(pattern, SplitDelimiterBehavior::Isolated, false).map_err(|e| meta.wrong(e.to_string()))?;
        steps.push(split.into());
    }
    steps.push(ByteLevel::new(false, true, false).into());
    let mut tokenizer = Tokenizer::new(model);
    tokenizer.with_pre_tokenizer(Some(Sequence::new(steps)));
    tokenizer.with_decoder(Some(ByteLevel::default()));
    Ok(tokenizer)
}

fn as_text(value: &Value) -> Option<&str> {
    if let Value::Text(text) = value { Some(text) } else { None }
}

fn text(value: &Value) -> Option<String> {
    as_text(value).map(str::to_owned)
}

fn unsigned(value: &Value) -> Option<u64> {
    match *value {
        Value::Unsigned(n) => Some(n),
        Value::Signed(n) => u64::try_from(n).ok(),
        _ => None,
    }
}
