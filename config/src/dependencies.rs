//! What a state depends on beside its documents, each with what was seen when it was used. Seeing something else later means: load again.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use crate::{
    inputs::read_limited,
    secret::{Resolver, Secret},
};

type Seen = [u8; 32];

/// Gathered while a state is compiled, failed or not.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Dependencies {
    /// Files whose content matters: certificates and keys.
    files: BTreeMap<PathBuf, Seen>,
    /// Files of which only the existence matters: models.
    presence: BTreeMap<PathBuf, bool>,
    /// Secret references and a hash of their values.
    secrets: BTreeMap<String, Seen>,
}

impl Dependencies {
    /// Notes a file's content.
    pub fn file(&mut self, path: &Path) {
        self.files.insert(path.to_owned(), content(path));
    }

    /// Notes whether a path exists, and says so.
    pub fn exists(&mut self, path: &Path) -> bool {
        *self.presence.entry(path.to_owned()).or_insert_with(|| path.exists())
    }

    /// Notes the value that a reference was resolved to.
    pub fn secret(&mut self, reference: &str, secret: &Secret) {
        self.secrets.insert(reference.to_owned(), value(secret));
    }

    /// The same things as they are at this moment.
    pub fn now(&self, resolver: &Resolver<'_>) -> Self {
        Self {
            files: self.files.keys().map(|path| (path.clone(), content(path))).collect(),
            presence: self.presence.keys().map(|path| (path.clone(), path.exists())).collect(),
            secrets: self
                .secrets
                .keys()
                .map(|reference| (reference.clone(), value(&resolver.resolve(reference))))
                .collect(),
        }
    }

    /// Feeds everything seen into a digest.
    pub fn feed(&self, mut field: impl FnMut(&[u8])) {
        for (path, seen) in &self.files {
            field(path.as_os_str().as_encoded_bytes());
            field(seen);
        }
        for (path, seen) in &self.presence {
            field(path.as_os_str().as_encoded_bytes());
            field(&[u8::from(*seen)]);
        }
        for (reference, seen) in &self.secrets {
            field(reference.as_bytes());
            field(seen);
        }
    }
}

/// Those of several documents together. Where two have seen different things the first counts: the next look finds another then, and
/// everything is loaded anew.
pub(crate) fn merged(parts: &BTreeMap<PathBuf, Dependencies>) -> Dependencies {
    let mut all = Dependencies::default();
    for part in parts.values() {
        first_counts(&mut all.files, &part.files);
        first_counts(&mut all.presence, &part.presence);
        first_counts(&mut all.secrets, &part.secrets);
    }
    all
}

fn first_counts<K: Ord + Clone, V: Copy>(all: &mut BTreeMap<K, V>, more: &BTreeMap<K, V>) {
    for (key, value) in more {
        if !all.contains_key(key) {
            all.insert(key.clone(), *value);
        }
    }
}

fn content(path: &Path) -> Seen {
    match read_limited(path) {
        // It may be a private key.
        Ok(bytes) => Sha256::digest(Zeroizing::new(bytes).as_slice()).into(),
        Err(error) => Sha256::digest(error.to_string()).into(),
    }
}

fn value(secret: &Secret) -> Seen {
    // The reason counts too: it is shown.
    match secret {
        Secret::Value(text) => Sha256::digest(text.expose()).into(),
        Secret::Missing { why, .. } => Sha256::digest(why).into(),
    }
}
