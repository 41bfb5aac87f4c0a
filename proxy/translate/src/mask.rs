//! Keeping credentials out of text that a provider wrote.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

const MASKED: &str = "[masked]";

/// Shorter "secrets" are placeholders; masking them would tear up ordinary words.
const SHORTEST_SECRET: usize = 6;

/// How well-known credentials start, and how long such a word is at least.
const PREFIXES: [(&str, usize); 7] =
    [("sk-", 9), ("dapi", 16), ("AKIA", 16), ("ASIA", 16), ("AIza", 20), ("eyJ", 20), ("ya29.", 16)];

/// Secret values that are known to the gateway, such as the key it sends to the provider. Cheap to clone; `Debug`
/// shows only how many there are.
#[derive(Clone, Default)]
pub struct Secrets(Arc<[Box<str>]>);

impl Secrets {
    /// Of these values; those of fewer than 6 bytes are left out.
    pub fn new<'s>(values: impl IntoIterator<Item = &'s str>) -> Self {
        let mut values: Vec<Box<str>> =
            values.into_iter().filter(|value| value.len() >= SHORTEST_SECRET).map(Box::from).collect();
        // The longest first, so that a secret that starts like a shorter one is masked whole.
        values.sort_by_key(|value| std::cmp::Reverse(value.len()));
        Self(values.into())
    }
}

impl fmt::Debug for Secrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Secrets({})", self.0.len())
    }
}

/// `text` with the known secrets, bearer tokens and words that look like keys masked.
pub fn clean<'t>(text: &'t str, secrets: &Secrets) -> Cow<'t, str> {
    let mut out = String::new();
    let mut done = 0;
    let mut at = 0;
    let mut in_word = false;
    while let Some(rest) = text.get(at..).filter(|rest| !rest.is_empty()) {
        let found = known(rest, secrets).or_else(|| if in_word { None } else { looks_secret(rest) });
        if let Some((keep, length)) = found {
            out.push_str(text.get(done..at + keep).unwrap_or_default());
            out.push_str(MASKED);
            at += keep + length;
            done = at;
            in_word = false;
            continue;
        }
        let Some(next) = rest.chars().next() else { break };
        in_word = next.is_alphanumeric() || matches!(next, '-' | '_');
        at += next.len_utf8();
    }
    if done == 0 {
        return Cow::Borrowed(text);
    }
    out.push_str(text.get(done..).unwrap_or_default());
    Cow::Owned(out)
}

/// A known secret at the start of `text`: bytes to keep before it (none), and its length.
fn known(text: &str, secrets: &Secrets) -> Option<(usize, usize)> {
    secrets.0.iter().find(|secret| text.starts_with(&***secret)).map(|secret| (0, secret.len()))
}

/// A credential at the start of `text`, by its form: bytes to keep before it, and its length.
fn looks_secret(text: &str) -> Option<(usize, usize)> {
    const BEARER: &str = "bearer ";
    if text.get(..BEARER.len()).is_some_and(|start| start.eq_ignore_ascii_case(BEARER)) {
        let token = text.get(BEARER.len()..)?;
        let token = token.get(..word(token))?;
        // "Bearer authentication" is no token.
        let random =
            token.len() >= 20 || token.len() >= SHORTEST_SECRET && token.contains(|c: char| c.is_ascii_digit());
        return random.then_some((BEARER.len(), token.len()));
    }
    let (_, shortest) = PREFIXES.iter().find(|(prefix, _)| text.starts_with(prefix))?;
    let length = word(text);
    (length >= *shortest).then_some((0, length))
}

/// Bytes of the word at the start of `text`.
fn word(text: &str) -> usize {
    text.find(|c| !is_word(c)).unwrap_or(text.len())
}

/// Characters of keys and tokens; providers show parts of a key with asterisks.
fn is_word(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | '*' | '+' | '/' | '~' | '=')
}

#[cfg(test)]
#[path = "mask_tests.rs"]
mod tests;
