//! Amazon Bedrock: Converse, and InvokeModel's families.

use crate::Pair;

/// Its pairs.
pub(crate) static PAIRS: &[&Pair] = &[];
