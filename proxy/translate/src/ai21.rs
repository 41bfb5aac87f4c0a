//! AI21 Labs: its chat API and the J2 completions.

use crate::Pair;

/// Its pairs.
pub(crate) static PAIRS: &[&Pair] = &[];
