//! Bodies of the REST API: strict JSON, judged by the same schemas as the files, with unknown keys ignored (contract §1).

use serde::de::DeserializeOwned;

use crate::{diagnostic::Problem, structure::Shape};

/// Why a body cannot be used.
#[derive(Clone, Debug, PartialEq)]
pub enum BodyError {
    /// Not UTF-8, not JSON, not an object, a key twice, or nested too deeply. The text says which, and where.
    NotAnObject(String),
    /// A JSON object with wrong content: everything that is wrong.
    Invalid(Vec<Problem>),
}

/// Reads a body into its type. An empty body counts as `{}`.
///
/// # Errors
/// [`BodyError`]; its texts never quote a value that could be a secret.
pub fn read<T: DeserializeOwned>(_body: &[u8], _shape: &Shape) -> Result<T, BodyError> {
    unimplemented!("helper A")
}

/// All errors in one line: `config.served_entities[0].name: …; tags[1].key: …`.
pub fn sentence(_problems: &[Problem]) -> String {
    unimplemented!("helper A")
}
