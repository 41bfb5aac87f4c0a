//! Amazon Bedrock: Converse, and InvokeModel's families.

use crate::{Pair, Task};

/// Its pairs.
pub(crate) static PAIRS: &[&Pair] = &[];

/// The pair for a model.
pub(crate) fn pair(task: Task, _model: &str, _maker: Option<&str>) -> Option<&'static Pair> {
    PAIRS.iter().copied().find(|pair| pair.task() == task)
}
