//! The text side of a model's files: tokenizer, special tokens, chat template.

mod folder;
mod gguf;
mod pre;

pub use folder::from_folder;
pub use gguf::from_gguf;
use tokenizers::Tokenizer;

/// What a model's files say about text.
pub struct TextSide {
    /// Adds the special tokens where the model wants them; neither pads nor truncates.
    pub tokenizer: Tokenizer,
    /// Jinja chat template.
    pub chat_template: Option<String>,
    /// Text of the token that begins a sequence.
    pub bos_token: Option<String>,
    /// Text of the token that ends a sequence.
    pub eos_token: Option<String>,
    /// Whether plain text begins with BOS.
    pub add_bos: bool,
    /// Tokens that end generation, ascending.
    pub stop_tokens: Vec<u32>,
}
