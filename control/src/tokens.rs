//! Tokens made at run time: only their hashes are kept, in `state/tokens.json`.
//!
//! The file is replaced atomically under a lock, so `weirgate token create` works beside a running gateway, and two
//! gateways may share the state during an upgrade.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use rand::RngCore;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::{ControlError, atomic};

/// What a token starts with, so that scanners and people recognise a leaked one.
pub const PREFIX: &str = "wg-";

/// One accepted token.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TokenRecord {
    /// SHA-256 of the token, 64 hex digits.
    pub sha256: String,
    /// The user whose token it is.
    pub user: String,
    /// The user's groups.
    #[serde(default)]
    pub groups: Vec<String>,
    /// Whether the user may do everything.
    #[serde(default)]
    pub admin: bool,
    /// Unix seconds.
    pub created_at: u64,
    /// Unix seconds; `None` = never.
    pub expires_at: Option<u64>,
}

impl TokenRecord {
    /// The hash as bytes, if it is one.
    pub fn hash(&self) -> Option<[u8; 32]> {
        hex::decode(&self.sha256).ok()?.try_into().ok()
    }
}

#[derive(Serialize, Deserialize)]
struct TokenFile {
    version: u32,
    tokens: Vec<TokenRecord>,
}

/// The file's form; another number is refused rather than guessed at.
const VERSION: u32 = 1;

/// The token file under a state folder.
#[derive(Debug, Clone)]
pub struct TokenStore {
    folder: PathBuf,
}

impl TokenStore {
    /// Opens the store, making the folder (mode 0700) if it is not there.
    pub fn open(folder: &Path) -> Result<Self, ControlError> {
        use std::os::unix::fs::DirBuilderExt;
        fs::DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(|source| ControlError::Io {
            what: "make",
            path: folder.into(),
            source,
        })?;
        Ok(TokenStore { folder: folder.into() })
    }

    /// The token file, for watching it.
    pub fn path(&self) -> PathBuf {
        self.folder.join("tokens.json")
    }

    /// All tokens; none when there is no file yet.
    pub fn list(&self) -> Result<Vec<TokenRecord>, ControlError> {
        let path = self.path();
        let Some(file) = atomic::read::<TokenFile>(&path)? else { return Ok(Vec::new()) };
        if file.version != VERSION {
            let why = format!("version {}, expected {VERSION}", file.version);
            return Err(ControlError::Damaged { path, why });
        }
        Ok(file.tokens)
    }

    /// Makes a token and keeps its hash. The returned text is shown once and cannot be had again.
    pub fn create(
        &self,
        user: &str,
        groups: Vec<String>,
        admin: bool,
        now: u64,
        lifetime: Option<u64>,
    ) -> Result<String, ControlError> {
        let token = generate();
        let record = TokenRecord {
            sha256: hex::encode(Sha256::digest(token.as_bytes())),
            user: user.into(),
            groups,
            admin,
            created_at: now,
            expires_at: lifetime.map(|seconds| now.saturating_add(seconds)),
        };
        let lock_path = self.folder.join("tokens.lock");
        let lock = File::create(&lock_path)
            .and_then(|file| file.lock().map(|()| file))
            .map_err(|source| ControlError::Io { what: "lock", path: lock_path, source })?;
        let mut tokens = self.list()?;
        tokens.push(record);
        atomic::write(&self.path(), &TokenFile { version: VERSION, tokens })?;
        drop(lock);
        Ok(token)
    }
}

/// A new random token: 256 bits in hex behind [`PREFIX`].
pub fn generate() -> String {
    let mut bytes = [0u8; 32];
    rand::rng().fill_bytes(&mut bytes);
    format!("{PREFIX}{}", hex::encode(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_created_is_listed_and_the_token_itself_is_not_kept() {
        let folder = tempfile::tempdir().unwrap();
        let store = TokenStore::open(&folder.path().join("state")).unwrap();
        assert_eq!(store.list().unwrap(), vec![]);
        let token = store.create("ada", vec!["research".into()], false, 100, Some(60)).unwrap();
        store.create("root", vec![], true, 100, None).unwrap();
        let listed = store.list().unwrap();
        assert_eq!(listed.len(), 2);
        assert_eq!(listed[0].hash().unwrap()[..], Sha256::digest(token.as_bytes())[..]);
        assert_eq!(listed[0].expires_at, Some(160));
        let on_disk = fs::read_to_string(store.path()).unwrap();
        assert!(!on_disk.contains(&token) && !on_disk.contains(token.trim_start_matches(PREFIX)));
    }

    #[test]
    fn concurrent_writers_lose_nothing() {
        let folder = tempfile::tempdir().unwrap();
        std::thread::scope(|scope| {
            for writer in 0..8 {
                let store = TokenStore::open(folder.path()).unwrap();
                scope.spawn(move || {
                    for n in 0..5 {
                        store.create(&format!("u{writer}-{n}"), vec![], false, 0, None).unwrap();
                    }
                });
            }
        });
        assert_eq!(TokenStore::open(folder.path()).unwrap().list().unwrap().len(), 40);
    }

    #[test]
    fn a_damaged_file_is_refused_and_kept() {
        let folder = tempfile::tempdir().unwrap();
        let store = TokenStore::open(folder.path()).unwrap();
        for bad in ["", "{", "[]", r#"{"version":2,"tokens":[]}"#] {
            fs::write(store.path(), bad).unwrap();
            assert!(matches!(store.create("x", vec![], false, 0, None), Err(ControlError::Damaged { .. })), "{bad}");
            assert_eq!(fs::read_to_string(store.path()).unwrap(), bad);
        }
    }
}
