//! The text side of a model: tokens from text, text from tokens.

mod chat_template;
mod detokenizer;
mod stop;
#[cfg(test)]
pub mod testing;
mod token_table;

use std::sync::Arc;

use tokenizers::Tokenizer;

use crate::error::EngineError;
use crate::request::Prompt;

pub use chat_template::ChatTemplate;
pub use detokenizer::Detokenizer;
pub use stop::{Matched, StopMatcher};
pub use token_table::TokenTable;

/// A decoder's tokenizer with what belongs to it.
#[derive(Debug)]
pub struct Codec {
    tokenizer: Tokenizer,
    table: Arc<TokenTable>,
    template: Option<ChatTemplate>,
    add_bos: bool,
    max_context: usize,
}

impl Codec {
    /// `add_bos`: a plain prompt begins with the BOS token, which the tokenizer's post-processor adds. `vocab`: the
    /// model's own vocabulary.
    pub fn new(
        tokenizer: Tokenizer,
        template: Option<ChatTemplate>,
        add_bos: bool,
        vocab: usize,
        max_context: usize,
    ) -> Self {
        let table = Arc::new(TokenTable::new(&tokenizer, vocab));
        Codec { tokenizer, table, template, add_bos, max_context }
    }

    /// The bytes of every token.
    pub fn table(&self) -> &Arc<TokenTable> {
        &self.table
    }

    /// Tokens of a chat, rendered by the model's template.
    pub fn chat<M: serde::Serialize>(&self, messages: &[M]) -> Result<Vec<u32>, EngineError> {
        let template = self.template.as_ref().ok_or_else(|| EngineError::Request {
            param: Some("messages"),
            message: "this model has no chat template; use /v1/completions".into(),
        })?;
        // The template writes the special tokens itself.
        self.encode("messages", &template.render(messages)?, false)
    }

    /// Tokens of a plain prompt.
    pub fn prompt(&self, prompt: &Prompt) -> Result<Vec<u32>, EngineError> {
        match prompt {
            Prompt::Text(text) => self.encode("prompt", text, self.add_bos),
            Prompt::Tokens(tokens) => Ok(tokens.clone()),
        }
    }

    /// Text of a plain prompt.
    pub fn echo(&self, prompt: &Prompt) -> Arc<str> {
        match prompt {
            Prompt::Text(text) => text.as_str().into(),
            Prompt::Tokens(tokens) => self.decode(tokens).into(),
        }
    }

    /// Text of these tokens, without the special ones.
    fn decode(&self, tokens: &[u32]) -> String {
        let mut detokenizer = Detokenizer::new(self.table.clone());
        let mut text: String = tokens.iter().map(|&token| detokenizer.push(token)).collect();
        text.push_str(&detokenizer.finish());
        text
    }

    fn encode(&self, param: &'static str, text: &str, special: bool) -> Result<Vec<u32>, EngineError> {
        // Counting the tokens of megabytes that cannot fit anyway would keep everybody waiting.
        let most = self.max_context.saturating_mul(self.table.longest());
        if text.len() > most {
            let (len, context) = (text.len(), self.max_context);
            let message =
                format!("the prompt has {len} bytes, more than the model's context of {context} tokens can hold");
            return Err(EngineError::Request { param: Some(param), message });
        }
        encode(&self.tokenizer, param, text, special)
    }
}

/// Tokens of `text`; `special`: with those that the tokenizer's post-processor adds.
pub fn encode(tokenizer: &Tokenizer, param: &'static str, text: &str, special: bool) -> Result<Vec<u32>, EngineError> {
    let encoding = tokenizer.encode_fast(text, special).map_err(|error| EngineError::Request {
        param: Some(param),
        message: format!("the text cannot be turned into tokens: {error}"),
    })?;
    Ok(encoding.get_ids().to_vec())
}
