//! Findings and their places: first as a [`Pointer`] into a document (the same for YAML and JSON), then as file:line:column.

use std::{
    fmt,
    path::{Path, PathBuf},
};

use serde::Serialize;

use crate::yaml::Position;

/// Characters of a key that a message shows.
const SHOWN_KEY: usize = 128;

/// How bad a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// The state is refused.
    Error,
    /// The state is accepted; look at it.
    Warning,
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Error => "error",
            Self::Warning => "warning",
        })
    }
}

/// A place in a document as a JSON Pointer (RFC 6901); empty = the whole document.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Pointer(String);

impl Pointer {
    /// The whole document.
    pub fn root() -> Self {
        Self::default()
    }

    /// The member `key` of this place.
    pub fn key(&self, key: &str) -> Self {
        let escaped = key.replace('~', "~0").replace('/', "~1");
        Self(format!("{}/{escaped}", self.0))
    }

    /// The element `index` of this place.
    pub fn index(&self, index: usize) -> Self {
        Self(format!("{}/{index}", self.0))
    }

    /// The place that holds this one; `None` for the root.
    pub fn parent(&self) -> Option<Self> {
        self.0.rsplit_once('/').map(|(parent, _)| Self(parent.to_owned()))
    }

    /// This place as seen from the member `key` of the root; `None` if it is not in there.
    pub fn inside(&self, key: &str) -> Option<Self> {
        let rest = self.0.strip_prefix(Self::root().key(key).as_str())?;
        (rest.is_empty() || rest.starts_with('/')).then(|| Self(rest.to_owned()))
    }

    /// This place, the one that holds it, and so on up to the root.
    pub(crate) fn holders(&self) -> impl Iterator<Item = Self> {
        std::iter::successors(Some(self.clone()), Self::parent)
    }

    /// The RFC 6901 text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The form that people read: `config.served_entities[0].name`; empty for the root.
    pub fn dotted(&self) -> String {
        let mut text = String::new();
        for part in self.0.split('/').skip(1) {
            let part = part.replace("~1", "/").replace("~0", "~");
            if !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit()) {
                text.push_str(&format!("[{part}]"));
            } else {
                if !text.is_empty() {
                    text.push('.');
                }
                // Keys come from outside: one line each, and not without end.
                text.extend(part.chars().take(SHOWN_KEY).map(|c| if c.is_control() { ' ' } else { c }));
            }
        }
        text
    }
}

/// A finding in one document, not yet tied to a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// How bad.
    pub severity: Severity,
    /// Where.
    pub at: Pointer,
    /// Whether the key itself is meant, not its value.
    pub on_key: bool,
    /// What is wrong, what is allowed, how to mend it. One line; never a secret's value.
    pub message: String,
}

impl Problem {
    /// An error about the value at a place.
    pub fn error(at: Pointer, message: impl Into<String>) -> Self {
        Self { severity: Severity::Error, at, on_key: false, message: message.into() }
    }

    /// A warning about the value at a place.
    pub fn warning(at: Pointer, message: impl Into<String>) -> Self {
        Self { severity: Severity::Warning, at, on_key: false, message: message.into() }
    }

    /// The same finding, about the key.
    pub fn on_key(mut self) -> Self {
        self.on_key = true;
        self
    }
}

/// `path: message`, with the path as people write it.
impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // A finding about a key names the key itself, so only its holder is left to tell.
        let holder = if self.on_key { self.at.parent() } else { None };
        let path = holder.as_ref().unwrap_or(&self.at).dotted();
        if !path.is_empty() {
            write!(f, "{path}: ")?;
        }
        f.write_str(&self.message)
    }
}

/// A finding with its file and position. Displays as `file:line:column: severity: message`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Diagnostic {
    /// Relative to the config folder, or the folder itself.
    pub file: PathBuf,
    /// From 1; 0 when the file as a whole is meant.
    pub line: u64,
    /// From 1, in characters; 0 when the file as a whole is meant.
    pub column: u64,
    /// How bad.
    pub severity: Severity,
    /// What is wrong, what is allowed, how to mend it. One line.
    pub message: String,
}

impl Diagnostic {
    /// An error about a file as a whole.
    pub fn of_file(file: impl Into<PathBuf>, message: impl Into<String>) -> Self {
        Self { file: file.into(), line: 0, column: 0, severity: Severity::Error, message: message.into() }
    }

    /// A problem at its place in a file.
    pub(crate) fn of_problem(file: &Path, Position { line, column }: Position, problem: &Problem) -> Self {
        Self { file: file.to_owned(), line, column, severity: problem.severity, message: problem.to_string() }
    }
}

impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.file.display())?;
        if self.line > 0 {
            write!(f, ":{}:{}", self.line, self.column)?;
        }
        write!(f, ": {}: {}", self.severity, self.message)
    }
}

/// All findings about a refused state: at least one error, warnings too; sorted by place. Displays one per line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Diagnostics(Vec<Diagnostic>);

impl Diagnostics {
    pub(crate) fn new(mut list: Vec<Diagnostic>) -> Self {
        list.sort();
        list.dedup();
        Self(list)
    }

    /// The findings in order.
    pub fn iter(&self) -> impl Iterator<Item = &Diagnostic> {
        self.0.iter()
    }

    pub(crate) fn into_vec(self) -> Vec<Diagnostic> {
        self.0
    }

    /// How many of them are errors.
    pub fn errors(&self) -> usize {
        self.0.iter().filter(|d| d.severity == Severity::Error).count()
    }
}

impl fmt::Display for Diagnostics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, diagnostic) in self.0.iter().enumerate() {
            if index > 0 {
                f.write_str("\n")?;
            }
            write!(f, "{diagnostic}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Diagnostics {}
