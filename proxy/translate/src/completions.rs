//! What a completion request of OpenAI's legacy schema says, read once for providers with a schema of their own.
//!
//! Source: OpenAI API reference, "Create completion", with `top_k` and `use_raw_prompt` of contract §8.3.

use crate::params::wrong;
use crate::peek::PeekError;
use crate::wire::{Raw, Text, Texts, request};

request! {
    /// A completion request. Numbers that a provider takes as they are stay JSON text.
    Request {
        /// The endpoint's name; a provider gets its own name for the model.
        "model" => model: Option<Text<'a>>,
        /// One text or several, or token ids.
        "prompt" => prompt: Option<Raw<'a>>,
        /// Of how many answers the best is given.
        "best_of" => best_of: Option<u64>,
        /// Whether the prompt comes back before the answer.
        "echo" => echo: Option<bool>,
        /// From -2 to 2.
        "frequency_penalty" => frequency_penalty: Option<Raw<'a>>,
        /// Token ids and what is added to their logits.
        "logit_bias" => logit_bias: Option<Raw<'a>>,
        /// Alternatives told per token.
        "logprobs" => logprobs: Option<u64>,
        /// Most tokens of the answer.
        "max_tokens" => max_tokens: Option<u64>,
        /// Number of answers.
        "n" => n: Option<u64>,
        /// From -2 to 2.
        "presence_penalty" => presence_penalty: Option<Raw<'a>>,
        /// For repeatable sampling.
        "seed" => seed: Option<Raw<'a>>,
        /// Texts that end the answer.
        "stop" => stop: Texts<'a>,
        /// Whether a stream is asked for.
        "stream" => stream: Option<bool>,
        /// Read by [`crate::Ask::peek`].
        "stream_options" => stream_options: Option<Raw<'a>>,
        /// What comes after the answer.
        "suffix" => suffix: Option<Text<'a>>,
        /// From 0 to 2.
        "temperature" => temperature: Option<Raw<'a>>,
        /// A whole number.
        "top_k" => top_k: Option<Raw<'a>>,
        /// From 0 to 1.
        "top_p" => top_p: Option<Raw<'a>>,
        /// Whether the prompt is sent without the turn marks that the model's API wants.
        "use_raw_prompt" => use_raw_prompt: Option<bool>,
        /// The end user.
        "user" => user: Option<Text<'a>>,
    }
}

impl<'a> Request<'a> {
    /// The only prompt, for providers that take one text per request.
    ///
    /// # Errors
    /// [`PeekError::Field`] if there are several prompts, or token ids instead of text.
    pub fn single_prompt(&self) -> Result<Text<'a>, PeekError> {
        let prompt = self.prompt.map(|raw| raw.get()).unwrap_or("null");
        let refuse = || wrong("prompt", "must be one text; the provider takes neither several prompts nor token ids");
        let Texts(mut texts) = serde_json::from_str(prompt).map_err(|_| refuse())?;
        texts.pop().filter(|_| texts.is_empty()).ok_or_else(refuse)
    }

    /// Whether a parameter that was given says nothing but what holds without it.
    pub(crate) fn says_nothing(&self, param: &str) -> bool {
        let zero = |raw: Option<Raw<'_>>| raw.is_some_and(|raw| raw.get().parse() == Ok(0.0_f64));
        match param {
            "n" => self.n == Some(1),
            "best_of" => self.best_of == Some(1),
            "echo" => self.echo == Some(false),
            "frequency_penalty" => zero(self.frequency_penalty),
            "presence_penalty" => zero(self.presence_penalty),
            "logit_bias" => self.logit_bias.is_some_and(|raw| raw.get() == "{}"),
            "suffix" => self.suffix.as_deref() == Some(""),
            "use_raw_prompt" => self.use_raw_prompt == Some(false),
            "stream" | "stream_options" | "model" => true,
            _ => false,
        }
    }
}
