//! Secret values and where they come from. A value is reachable by [`SecretText::expose`] only; no `Debug` or `Display` shows it.

use std::{fmt, path::Path, sync::Arc};

use zeroize::Zeroizing;

use crate::inputs::read_limited;

/// The text of a secret, overwritten in memory when its last owner drops it. `Debug` shows `<redacted>`; there is no `Display`.
#[derive(Clone, PartialEq, Eq)]
pub struct SecretText(Arc<Zeroizing<String>>);

impl SecretText {
    /// Wraps a value; given a `String`, no copy of it is made.
    pub fn new(value: impl Into<String>) -> Self {
        Self(Arc::new(Zeroizing::new(value.into())))
    }

    /// The value itself, for the one place that sends it.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for SecretText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("<redacted>")
    }
}

/// A credential as the snapshot holds it: resolved, or known to be missing (a query that needs it gets 400).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Secret {
    /// The resolved value.
    Value(SecretText),
    /// The reference could not be resolved when the snapshot was made.
    Missing {
        /// The reference as written, for example `{{env/OPENAI_API_KEY}}`.
        reference: String,
        /// Why it has no value, for people.
        why: String,
    },
}

impl Secret {
    /// The value, or `None` when it is missing.
    pub fn value(&self) -> Option<&str> {
        match self {
            Self::Value(text) => Some(text.expose()),
            Self::Missing { .. } => None,
        }
    }
}

/// Scopes that start so are the gateway's own: they hold what callers sent in `*_plaintext` fields.
pub const OWN_PREFIX: &str = "weirgate.";

/// The store behind `{{secrets/scope/key}}`.
pub trait SecretSource {
    /// The value, or `None` when the scope or the key does not exist.
    fn get(&self, scope: &str, key: &str) -> Option<String>;
}

/// A store that holds nothing.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoSecrets;

impl SecretSource for NoSecrets {
    fn get(&self, _scope: &str, _key: &str) -> Option<String> {
        None
    }
}

/// A parsed secret reference.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reference<'a> {
    /// `{{secrets/scope/key}}`
    Store {
        /// Scope name.
        scope: &'a str,
        /// Key in the scope.
        key: &'a str,
    },
    /// `{{env/NAME}}`
    Env(&'a str),
    /// `{{file/PATH}}`, relative to the config folder.
    File(&'a str),
}

impl<'a> Reference<'a> {
    /// Parses a whole string as a reference; `None` when it is not one.
    pub fn parse(text: &'a str) -> Option<Self> {
        let inner = text.strip_prefix("{{")?.strip_suffix("}}")?;
        if inner.contains(['{', '}']) || inner.contains(char::is_control) {
            return None;
        }
        let (kind, rest) = inner.split_once('/')?;
        match kind {
            "secrets" => {
                let (scope, key) = rest.split_once('/')?;
                (is_secret_name(scope) && is_secret_name(key)).then_some(Self::Store { scope, key })
            }
            "env" => is_variable_name(rest).then_some(Self::Env(rest)),
            "file" => (!rest.is_empty()).then_some(Self::File(rest)),
            _ => None,
        }
    }
}

/// Contract §6.1: letters, digits, `-`, `_`, `.`; at most 128 characters.
fn is_secret_name(name: &str) -> bool {
    (1..=128).contains(&name.len()) && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b))
}

fn is_variable_name(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
}

/// Looks references up.
#[derive(Clone, Copy)]
pub struct Resolver<'a> {
    /// The config folder, which `{{file/PATH}}` is relative to.
    pub folder: &'a Path,
    /// The store behind `{{secrets/scope/key}}`.
    pub store: &'a dyn SecretSource,
}

impl Resolver<'_> {
    /// Resolves a reference that [`Reference::parse`] accepts; anything else is missing too, with its reason.
    pub fn resolve(&self, reference: &str) -> Secret {
        let found = match Reference::parse(reference) {
            Some(Reference::Store { scope, key }) => self.store.get(scope, key).ok_or_else(|| {
                if scope.starts_with(OWN_PREFIX) {
                    "what was sent in plaintext for it is not in the store; send it again".to_owned()
                } else {
                    format!("the secret store has no key `{key}` in scope `{scope}`; put it there")
                }
            }),
            Some(Reference::Env(name)) => {
                std::env::var(name).map_err(|_| format!("the environment variable `{name}` is not set"))
            }
            Some(Reference::File(path)) => read_secret_file(&self.folder.join(path))
                .map_err(|error| format!("the file `{path}` cannot be read: {error}")),
            None => Err("it is not a secret reference".to_owned()),
        };
        // Editors and `kubectl create secret` leave a last line break that is no part of the key.
        let trimmed = found.map(|mut value| {
            value.truncate(value.trim_end_matches(['\r', '\n']).len());
            value
        });
        match trimmed {
            Ok(value) if value.is_empty() => {
                Secret::Missing { reference: reference.to_owned(), why: "its value is empty".to_owned() }
            }
            Ok(value) => Secret::Value(SecretText::new(value)),
            Err(why) if is_own(reference) => Secret::Missing { reference: "a credential".to_owned(), why },
            Err(why) => Secret::Missing { reference: reference.to_owned(), why },
        }
    }
}

/// Nobody gave it this name, so nobody is told it.
fn is_own(reference: &str) -> bool {
    matches!(Reference::parse(reference), Some(Reference::Store { scope, .. }) if scope.starts_with(OWN_PREFIX))
}

fn read_secret_file(path: &Path) -> std::io::Result<String> {
    String::from_utf8(read_limited(path)?).map_err(|error| {
        drop(Zeroizing::new(error.into_bytes()));
        std::io::Error::other("it is not UTF-8 text")
    })
}

#[cfg(test)]
#[path = "secret_tests.rs"]
mod tests;
