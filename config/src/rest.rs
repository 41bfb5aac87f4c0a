//! Bodies of the REST API: strict JSON, judged by the same schemas as the files, with unknown keys ignored (contract §1).

mod flaws;

use std::fmt;

use serde::{
    Deserializer,
    de::{DeserializeOwned, DeserializeSeed, Error, MapAccess, SeqAccess, Visitor},
};
use serde_json::{Map, Number, Value};

use crate::{
    diagnostic::{Pointer, Problem, Severity},
    structure::{Shape, UnknownKeys},
};

pub use self::flaws::{Flaws, read_flawed};

/// Nesting of one body; the documents themselves need ten levels.
const MAX_DEPTH: usize = 64;
/// Longer answers help nobody.
const MAX_SENTENCE: usize = 8 << 10;

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
pub fn read<T: DeserializeOwned>(body: &[u8], shape: &Shape) -> Result<T, BodyError> {
    let value = object(body).map_err(BodyError::NotAnObject)?;
    match shape.read(value, UnknownKeys::Ignore) {
        (Some(typed), problems) if problems.is_empty() => Ok(typed),
        (_, problems) => Err(BodyError::Invalid(problems)),
    }
}

/// All errors in one line: `config.served_entities[0].name: …; tags[1].key: …`.
pub fn sentence(problems: &[Problem]) -> String {
    let errors = problems.iter().filter(|problem| problem.severity == Severity::Error);
    let mut text = errors.map(Problem::to_string).collect::<Vec<_>>().join("; ");
    if text.len() > MAX_SENTENCE {
        text.truncate(text.floor_char_boundary(MAX_SENTENCE));
        text.push('…');
    }
    text
}

fn object(body: &[u8]) -> Result<Value, String> {
    let text = std::str::from_utf8(body).map_err(|_| "the body is not UTF-8 text".to_owned())?;
    if text.is_empty() {
        return Ok(Value::Object(Map::new()));
    }
    let mut reader = serde_json::Deserializer::from_str(text);
    let value = Strict { at: &Path::Root, depth: 0 }.deserialize(&mut reader);
    // The parser's own texts name a place and what was expected there, never a value.
    match value.and_then(|value| reader.end().map(|()| value)) {
        Ok(value) if value.is_object() => Ok(value),
        Ok(_) => Err("the body is not a JSON object; put the fields between { and }".to_owned()),
        Err(error) => Err(format!("the body is not valid JSON: {error}")),
    }
}

/// The way to a value, kept on the stack: it is put into words only when something is wrong there.
enum Path<'p> {
    Root,
    Key(&'p Path<'p>, &'p str),
    Index(&'p Path<'p>, usize),
}

impl Path<'_> {
    fn pointer(&self) -> Pointer {
        match self {
            Self::Root => Pointer::root(),
            Self::Key(holder, key) => holder.pointer().key(key),
            Self::Index(holder, index) => holder.pointer().index(*index),
        }
    }
}

/// Reads any JSON value; serde_json's own reading keeps the last of two equal keys.
struct Strict<'p> {
    at: &'p Path<'p>,
    depth: usize,
}

impl Strict<'_> {
    fn deeper<E: Error>(&self) -> Result<usize, E> {
        if self.depth == MAX_DEPTH {
            return Err(E::custom(format!("nested deeper than {MAX_DEPTH} levels")));
        }
        Ok(self.depth + 1)
    }
}

impl<'de> DeserializeSeed<'de> for Strict<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Strict<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Value, E> {
        Number::from_f64(value).map(Value::Number).ok_or_else(|| E::custom("number out of range"))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(Value::String(value.to_owned()))
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(Value::String(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let depth = self.deeper()?;
        let mut list = Vec::new();
        while let Some(item) = items.next_element_seed(Strict { at: &Path::Index(self.at, list.len()), depth })? {
            list.push(item);
        }
        Ok(Value::Array(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Value, A::Error> {
        let depth = self.deeper()?;
        let mut map = Map::new();
        while let Some(key) = entries.next_key::<String>()? {
            let at = Path::Key(self.at, &key);
            if map.contains_key(&key) {
                return Err(A::Error::custom(format!("the key `{}` is there twice", at.pointer().dotted())));
            }
            let value = entries.next_value_seed(Strict { at: &at, depth })?;
            map.insert(key, value);
        }
        Ok(Value::Object(map))
    }
}

#[cfg(test)]
#[path = "rest_tests.rs"]
mod tests;
