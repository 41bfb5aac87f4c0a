//! Cohere: chat, embed, and the legacy generate.

use crate::Pair;

/// Its pairs.
pub(crate) static PAIRS: &[&Pair] = &[];
