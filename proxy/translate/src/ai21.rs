//! AI21 Labs: its chat API and the J2 completions.

use crate::{Pair, Task};

/// Its pairs.
pub(crate) static PAIRS: &[&Pair] = &[];

/// The pair for a model.
pub(crate) fn pair(task: Task, _model: &str) -> Option<&'static Pair> {
    PAIRS.iter().copied().find(|pair| pair.task() == task)
}
