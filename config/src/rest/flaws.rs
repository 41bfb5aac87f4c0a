//! A body whose form is wrong here and there: what can be read of it is judged all the same, so that one answer names all that is wrong.

use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use super::{object, sentence};
use crate::{
    diagnostic::{Pointer, Problem, Severity},
    structure::{LeftOut, Shape, UnknownKeys, salvage},
};

/// What is wrong with a request. Not `Debug`: a body may hold secrets.
#[derive(Default)]
pub struct Flaws {
    problems: Vec<Problem>,
    /// The body, kept only while something in it could not be read.
    value: Value,
    left_out: LeftOut,
    under: Option<&'static str>,
}

impl Flaws {
    /// Whether nothing is wrong.
    pub fn is_empty(&self) -> bool {
        self.problems.is_empty()
    }

    /// Adds errors that were found in what could be read. One that may only follow from what could not be read is left out, and so is a
    /// second one about the same place.
    pub fn add(&mut self, found: impl IntoIterator<Item = Problem>) {
        let before: Vec<Pointer> = self.problems.iter().map(|problem| problem.at.clone()).collect();
        let is_new = |problem: &Problem| {
            problem.severity == Severity::Error
                && !before.contains(&problem.at)
                && !self.left_out.doubts(&self.value, &problem.at)
        };
        let new: Vec<Problem> = found.into_iter().filter(is_new).collect();
        self.problems.extend(new);
    }
}

/// All of them in one line, with their places in the body.
impl std::fmt::Display for Flaws {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let in_body = |problem: &Problem| {
            let at = self.under.and_then(|key| problem.at.inside(key)).unwrap_or_else(|| problem.at.clone());
            Problem { at, ..problem.clone() }
        };
        f.write_str(&sentence(&self.problems.iter().map(in_body).collect::<Vec<_>>()))
    }
}

/// Reads a body into its type as far as that can be done; `None` if nothing is left of it, and then there are flaws. An empty body counts
/// as `{}`. With `under`, the body is the member of that name of what is read, so that places are those in a whole document.
///
/// # Errors
/// As [`super::BodyError::NotAnObject`].
pub fn read_flawed<T: DeserializeOwned>(
    body: &[u8],
    shape: &Shape,
    under: Option<&'static str>,
) -> Result<(Option<T>, Flaws), String> {
    let mut value = object(body)?;
    if let Some(key) = under {
        value = Value::Object(Map::from_iter([(key.to_owned(), value)]));
    }
    let problems = shape.check(&value, UnknownKeys::Ignore);
    if problems.is_empty() {
        let (typed, problems) = shape.read(value, UnknownKeys::Ignore);
        return Ok((typed, Flaws { problems, under, ..Flaws::default() }));
    }
    let mut left_out = LeftOut::default();
    let typed = salvage(value.clone()).map(|(typed, places)| {
        left_out.add(places);
        typed
    });
    Ok((typed, Flaws { problems, value, left_out, under }))
}

#[cfg(test)]
#[path = "flaws_tests.rs"]
mod tests;
