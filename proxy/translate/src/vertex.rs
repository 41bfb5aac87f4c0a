//! Google Vertex AI: Gemini, and the `predict` models.

use crate::Pair;

/// Its pairs.
pub(crate) static PAIRS: &[&Pair] = &[];
