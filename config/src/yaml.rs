//! YAML text → a JSON value with the position of every key and value, bounded against bombs; and back.

mod node;

use std::{
    collections::{BTreeMap, HashMap},
    fmt,
    sync::OnceLock,
};

use serde::Serialize;
use serde_json::{Map, Value};
use serde_saphyr::{
    Location, Options,
    options::{DuplicateKeyPolicy, MergeKeyPolicy},
};

use self::node::{Kind, Node, Plain};
use crate::diagnostic::{Pointer, Problem};

/// Nodes in one document, aliases expanded.
const MAX_NODES: usize = 200_000;
/// Nesting of one document.
const MAX_DEPTH: usize = 24;

/// A place in the text: line and column from 1, column in characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Position {
    /// From 1.
    pub line: u64,
    /// From 1, in characters.
    pub column: u64,
}

impl From<Location> for Position {
    fn from(location: Location) -> Self {
        Self { line: location.line(), column: location.column() }
    }
}

#[derive(Clone, Copy, Debug)]
struct Places {
    key: Option<Position>,
    value: Position,
}

/// A parsed document.
pub struct Document {
    /// The content.
    pub value: Value,
    /// Keys that are there twice, each with its place; the first of them counts.
    pub duplicates: Vec<(Position, Problem)>,
    text: String,
    /// Found when first asked for: most documents have nothing to be said about, and finding places takes half of the time.
    places: OnceLock<HashMap<Pointer, Places>>,
}

/// Why a text is not YAML at all.
#[derive(Debug)]
pub struct SyntaxError {
    /// Where, if known.
    pub at: Option<Position>,
    /// What.
    pub message: String,
}

/// Without its content, which may hold secrets in the clear.
impl fmt::Debug for Document {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Document").field("duplicates", &self.duplicates).finish_non_exhaustive()
    }
}

impl Document {
    /// Parses one document. A text without content is an empty mapping.
    pub fn parse(text: &str) -> Result<Self, SyntaxError> {
        match serde_saphyr::from_str_with_options::<Option<Plain>>(text, options()) {
            Ok(root) => {
                let value = or_empty_mapping(root.map(|root| root.0));
                Ok(Self { value, duplicates: Vec::new(), text: text.to_owned(), places: OnceLock::new() })
            }
            // Whatever is wrong is told with its place.
            Err(_) => {
                let Placed { value, duplicates, places } = Placed::parse(text)?;
                Ok(Self { value, duplicates, text: text.to_owned(), places: places.into() })
            }
        }
    }

    /// Where a problem is; a place that is not in the text (a missing key) counts as its nearest holder.
    pub fn position(&self, problem: &Problem) -> Position {
        let places = || Placed::parse(&self.text).map_or_else(|_| HashMap::new(), |placed| placed.places);
        let places = self.places.get_or_init(places);
        let mut at = Some(problem.at.clone());
        while let Some(pointer) = at {
            if let Some(places) = places.get(&pointer) {
                // The key of a block is easier to find than the first key inside it.
                let inside = pointer != problem.at;
                let use_key =
                    inside || problem.on_key || self.value.pointer(pointer.as_str()).is_some_and(is_container);
                return if use_key { places.key.unwrap_or(places.value) } else { places.value };
            }
            at = pointer.parent();
        }
        Position { line: 1, column: 1 }
    }
}

fn or_empty_mapping(root: Option<Value>) -> Value {
    root.filter(|value| !value.is_null()).unwrap_or_else(|| Value::Object(Map::new()))
}

/// A document with the place of every key and value.
#[derive(Default)]
struct Placed {
    value: Value,
    duplicates: Vec<(Position, Problem)>,
    places: HashMap<Pointer, Places>,
}

impl Placed {
    fn parse(text: &str) -> Result<Self, SyntaxError> {
        let root: Option<Node> = serde_saphyr::from_str_with_options(text, options()).map_err(syntax_error)?;
        let mut document = Self::default();
        let value = root.map(|node| document.take(node, Pointer::root(), None));
        document.value = or_empty_mapping(value);
        Ok(document)
    }

    fn take(&mut self, node: Node, at: Pointer, key: Option<Position>) -> Value {
        self.places.insert(at.clone(), Places { key, value: node.0.referenced.into() });
        match node.0.value {
            Kind::Scalar(value) => value,
            Kind::Sequence(items) => Value::Array(
                items.into_iter().enumerate().map(|(i, item)| self.take(item, at.index(i), None)).collect(),
            ),
            Kind::Mapping(entries) => {
                let mut seen: BTreeMap<String, Position> = BTreeMap::new();
                let mut map = Map::new();
                for (key, value) in entries {
                    let position = Position::from(key.referenced);
                    let place = at.key(&key.value);
                    if let Some(first) = seen.get(&key.value) {
                        let message =
                            format!("the key `{}` is there twice, first on line {}; keep one", key.value, first.line);
                        self.duplicates.push((position, Problem::error(place, message).on_key()));
                        continue;
                    }
                    seen.insert(key.value.clone(), position);
                    let value = self.take(value, place, Some(position));
                    map.insert(key.value, value);
                }
                Value::Object(map)
            }
        }
    }
}

fn is_container(value: &Value) -> bool {
    value.is_object() || value.is_array()
}

fn options() -> Options {
    serde_saphyr::options! {
        budget: serde_saphyr::budget! {
            max_depth: MAX_DEPTH,
            max_nodes: MAX_NODES,
            max_events: 2 * MAX_NODES,
            max_documents: 1,
            max_aliases: 1000,
            max_anchors: 1000,
        },
        alias_limits: serde_saphyr::alias_limits! {
            max_total_replayed_events: MAX_NODES,
        },
        duplicate_keys: DuplicateKeyPolicy::PassThrough,
        merge_keys: MergeKeyPolicy::Merge,
        strict_booleans: true,
        underscored_numbers_as_strings: true,
    }
}

/// The library's words without its source excerpt, which could show a secret.
fn syntax_error(error: serde_saphyr::Error) -> SyntaxError {
    let at = error.location().filter(|location| location.line() > 0).map(Position::from);
    let text = error.without_snippet().to_string();
    let message = text.lines().next().unwrap_or("this is not YAML").trim();
    // The position is reported beside the message already.
    let message = match message.rfind(" at line ") {
        Some(cut) => &message[..cut],
        None => message,
    };
    SyntaxError { at, message: format!("not valid YAML: {message}") }
}

/// Writes a value as block YAML that [`Document::parse`] reads back as the same value. References and strings that look like something
/// else are quoted; comments of a file that is replaced by it are lost.
///
/// # Errors
/// The value has something that YAML has not, such as bytes; no document of ours does.
pub fn to_text<T: Serialize>(value: &T) -> Result<String, WriteError> {
    let options = serde_saphyr::ser_options! { compact_list_indent: false };
    serde_saphyr::to_string_with_options(value, options).map_err(WriteError)
}

/// Why a value cannot be written as YAML.
#[derive(Debug, thiserror::Error)]
#[error("this cannot be written as YAML: {0}")]
pub struct WriteError(#[source] serde_saphyr::ser::Error);

#[cfg(test)]
#[path = "yaml_tests.rs"]
mod tests;
