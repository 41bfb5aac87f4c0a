//! The text side of a folder as the Hugging Face libraries lay it out.

use std::path::Path;

use serde::Deserialize;
use serde::de::DeserializeOwned;
use tokenizers::Tokenizer;

use super::TextSide;
use crate::error::EngineError;

/// What `tokenizer_config.json` says and we use.
#[derive(Default, Deserialize)]
struct TokenizerConfig {
    chat_template: Option<ChatTemplate>,
    bos_token: Option<Token>,
    eos_token: Option<Token>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum ChatTemplate {
    One(String),
    Named(Vec<NamedTemplate>),
}

#[derive(Deserialize)]
struct NamedTemplate {
    name: String,
    template: String,
}

/// A token as plain text, or as an object with its flags.
#[derive(Deserialize)]
#[serde(untagged)]
enum Token {
    Text(String),
    Object { content: String },
}

impl From<Token> for String {
    fn from(token: Token) -> Self {
        match token {
            Token::Text(content) | Token::Object { content } => content,
        }
    }
}

/// `eos_token_id` stands in `generation_config.json` and `config.json`, alone or as a list.
#[derive(Default, Deserialize)]
struct GenerationConfig {
    eos_token_id: Option<Ids>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Ids {
    One(u32),
    Many(Vec<u32>),
}

/// Reads `tokenizer.json` and what stands beside it. Padding and truncation, which some files ask for, are switched off.
pub fn from_folder(folder: &Path) -> Result<TextSide, EngineError> {
    let path = folder.join("tokenizer.json");
    let mut tokenizer = Tokenizer::from_bytes(read(&path)?).map_err(|e| EngineError::model(&path, e.to_string()))?;
    tokenizer.with_padding(None);
    tokenizer.with_truncation(None).map_err(|e| EngineError::model(&path, e.to_string()))?;

    let config: TokenizerConfig = read_json_or_default(&folder.join("tokenizer_config.json"))?;
    let template = folder.join("chat_template.jinja");
    let chat_template = if template.exists() {
        let text = String::from_utf8(read(&template)?);
        Some(text.map_err(|_| EngineError::model(&template, "the template is not UTF-8"))?)
    } else {
        config.chat_template.and_then(|template| match template {
            ChatTemplate::One(template) => Some(template),
            ChatTemplate::Named(list) => list.into_iter().find(|t| t.name == "default").map(|t| t.template),
        })
    };
    let bos_token: Option<String> = config.bos_token.map(Into::into);
    let eos_token: Option<String> = config.eos_token.map(Into::into);

    let mut stop_tokens: Vec<u32> = eos_token.iter().filter_map(|token| tokenizer.token_to_id(token)).collect();
    for file in ["generation_config.json", "config.json"] {
        match read_json_or_default::<GenerationConfig>(&folder.join(file))?.eos_token_id {
            Some(Ids::One(id)) => stop_tokens.push(id),
            Some(Ids::Many(ids)) => stop_tokens.extend(ids),
            None => {}
        }
    }
    stop_tokens.sort_unstable();
    stop_tokens.dedup();

    let empty = tokenizer.encode("", true).map_err(|e| EngineError::model(&path, e.to_string()))?;
    let bos = bos_token.as_ref().and_then(|token| tokenizer.token_to_id(token));
    let add_bos = bos.is_some() && empty.get_ids().first().copied() == bos;
    Ok(TextSide { tokenizer, chat_template, bos_token, eos_token, add_bos, stop_tokens })
}

fn read(path: &Path) -> Result<Vec<u8>, EngineError> {
    std::fs::read(path).map_err(|source| EngineError::Read { path: path.to_owned(), source })
}

fn read_json_or_default<T: DeserializeOwned + Default>(path: &Path) -> Result<T, EngineError> {
    if !path.exists() {
        return Ok(T::default());
    }
    serde_json::from_slice(&read(path)?).map_err(|e| EngineError::model(path, e.to_string()))
}
