//! What an embedding request of OpenAI's schema says, read once for providers with a schema of their own.
//!
//! Source: OpenAI API reference, "Create embeddings", with `instruction` of contract §8.4.

use crate::params::wrong;
use crate::peek::PeekError;
use crate::wire::{Raw, Text, Texts, request};

request! {
    /// An embedding request.
    Request {
        /// The endpoint's name; a provider gets its own name for the model.
        "model" => model: Option<Text<'a>>,
        /// One text or several, or token ids.
        "input" => input: Option<Raw<'a>>,
        /// Length of the vectors.
        "dimensions" => dimensions: Option<u64>,
        /// `float` or `base64`; the gateway encodes.
        "encoding_format" => encoding_format: Option<Text<'a>>,
        /// What is put before each text.
        "instruction" => instruction: Option<Text<'a>>,
        /// Only ever false here.
        "stream" => stream: Option<bool>,
        /// The end user.
        "user" => user: Option<Text<'a>>,
    }
}

impl<'a> Request<'a> {
    /// The texts to embed.
    ///
    /// # Errors
    /// [`PeekError::Field`] for token ids.
    pub fn texts(&self) -> Result<Vec<Text<'a>>, PeekError> {
        let input = self.input.map(|raw| raw.get()).unwrap_or("null");
        let Texts(texts) = serde_json::from_str(input)
            .map_err(|_| wrong("input", "must be a text or an array of texts; the provider does not take token ids"))?;
        Ok(texts)
    }

    /// Whether vectors are to be sent as base64 of little-endian 32-bit floats.
    ///
    /// # Errors
    /// [`PeekError::Field`] for any other encoding than `float` and `base64`.
    pub fn base64(&self) -> Result<bool, PeekError> {
        match self.encoding_format.as_deref() {
            None | Some("float") => Ok(false),
            Some("base64") => Ok(true),
            Some(_) => Err(wrong("encoding_format", "must be float or base64")),
        }
    }

    /// Whether a parameter that was given says nothing but what holds without it.
    pub(crate) fn says_nothing(&self, param: &str) -> bool {
        match param {
            "instruction" => self.instruction.as_deref() == Some(""),
            "stream" | "model" => true,
            _ => false,
        }
    }
}
