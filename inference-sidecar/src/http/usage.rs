//! The usage block of answers.

use serde::Serialize;

/// Tokens of a request.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Usage {
    prompt_tokens: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    completion_tokens: Option<usize>,
    total_tokens: usize,
}

impl Usage {
    /// Of text generation.
    pub fn generation(prompt_tokens: usize, completion_tokens: usize) -> Self {
        let total_tokens = prompt_tokens + completion_tokens;
        Usage { prompt_tokens, completion_tokens: Some(completion_tokens), total_tokens }
    }

    /// Of embeddings.
    pub fn embedding(prompt_tokens: usize) -> Self {
        Usage { prompt_tokens, completion_tokens: None, total_tokens: prompt_tokens }
    }
}
