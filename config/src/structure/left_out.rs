//! What of a value was not read into its type, and what that makes doubtful.

use std::collections::HashSet;

use serde_json::Value;

use crate::diagnostic::Pointer;

/// The places of a value that its type does not hold.
#[derive(Clone, Debug, Default)]
pub(crate) struct LeftOut {
    places: HashSet<Pointer>,
    /// The mappings and lists that held them.
    torn: HashSet<Pointer>,
}

impl LeftOut {
    pub fn add(&mut self, places: impl IntoIterator<Item = Pointer>) {
        for at in places {
            self.torn.extend(at.parent());
            self.places.insert(at);
        }
    }

    /// Whether a place was left out, by itself or with its holder.
    pub fn lacks(&self, at: &Pointer) -> bool {
        at.holders().any(|at| self.places.contains(&at))
    }

    /// Whether a finding about `value` may only follow from what was left out: it is about that, or about the very mapping or list that
    /// held it.
    pub fn doubts(&self, value: &Value, at: &Pointer) -> bool {
        let written = |at: &Pointer| value.pointer(at.as_str()).is_some_and(|value| !value.is_null());
        let nearest = at.holders().find(written).unwrap_or_default();
        self.lacks(at) || self.torn.contains(&nearest)
    }
}
