//! What can be read of a document that its type refuses, so that its other errors are found in the same run.

use serde::de::DeserializeOwned;
use serde_json::Value;
use serde_path_to_error::{Path, Segment};

use super::without_nulls;
use crate::diagnostic::Pointer;

/// Members left out at most; each costs one more reading of the document.
const MAX_LEFT_OUT: usize = 64;

/// Reads a value, leaving out what its type refuses, and says which places that were; `None` when nothing typed is left.
///
/// A member is left out; a list with such an entry is emptied, for in a shortened one the places after the entry would be wrong.
/// What a left-out member is required by goes with it.
pub(crate) fn salvage<T: DeserializeOwned>(value: Value) -> Option<(T, Vec<Pointer>)> {
    let mut value = without_nulls(value);
    let mut left_out = Vec::new();
    while left_out.len() <= MAX_LEFT_OUT {
        match serde_path_to_error::deserialize(&value) {
            Ok(typed) => return Some((typed, left_out)),
            Err(error) => left_out.push(leave_out(&mut value, error.path())?),
        }
    }
    None
}

/// Leaves out one place and returns it; `None` when that would be the whole document.
fn leave_out(value: &mut Value, path: &Path) -> Option<Pointer> {
    let segments: Vec<&Segment> = path.iter().collect();
    let (last, before) = segments.split_last()?;
    let holder = before.iter().try_fold(Pointer::root(), |at, segment| match segment {
        Segment::Map { key } => Some(at.key(key)),
        Segment::Seq { index } => Some(at.index(*index)),
        Segment::Enum { .. } | Segment::Unknown => None,
    })?;
    match (value.pointer_mut(holder.as_str())?, last) {
        (Value::Object(map), Segment::Map { key }) => map.remove(key).map(|_| holder.key(key)),
        (Value::Array(items), Segment::Seq { .. }) => {
            items.clear();
            Some(holder)
        }
        _ => None,
    }
}

#[cfg(test)]
#[path = "salvage_tests.rs"]
mod tests;
