//! Takes over what versions before the database kept: `tokens.json` and `last-good.json`.
//!
//! The files' content goes into the database in one transaction; then they are renamed to `*.migrated`. A crash between the two
//! leaves the files, and taking them over once more changes nothing.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use rusqlite::{Connection, TransactionBehavior};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use weirgate_policy::identity::{PrincipalKind, Warrant};

use super::documents;
use super::tokens::{self, Token};
use crate::ControlError;

const TOKENS: &str = "tokens.json";
const DOCUMENTS: &str = "last-good.json";

#[derive(Deserialize)]
struct TokenFile {
    version: u32,
    tokens: Vec<OldToken>,
}

/// Times are Unix seconds.
#[derive(Deserialize)]
struct OldToken {
    sha256: String,
    user: String,
    #[serde(default)]
    groups: Vec<String>,
    #[serde(default)]
    admin: bool,
    created_at: u64,
    expires_at: Option<u64>,
}

/// Runs under the lock of the folder.
pub(super) fn run(connection: &mut Connection, folder: &Path) -> Result<(), ControlError> {
    let (tokens_path, documents_path) = (folder.join(TOKENS), folder.join(DOCUMENTS));
    let old_tokens = read_tokens(&tokens_path)?;
    let old_documents: Option<BTreeMap<PathBuf, String>> = read(&documents_path)?;

    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    for token in old_tokens.iter().flatten() {
        tokens::insert(&transaction, token)?;
    }
    // Documents that are there already are newer than the file.
    let empty: bool = transaction.query_row("SELECT NOT EXISTS (SELECT 1 FROM documents)", [], |row| row.get(0))?;
    for (path, text) in old_documents.iter().flatten().filter(|_| empty) {
        documents::put(&transaction, path, text)?;
    }
    transaction.commit()?;

    for (path, taken) in [(tokens_path, old_tokens.is_some()), (documents_path, old_documents.is_some())] {
        if taken {
            let renamed = fs::rename(&path, path.with_extension("json.migrated"));
            renamed.map_err(|source| ControlError::Io { what: "rename", path: path.clone(), source })?;
            log::info!("{} was taken over into the state database", path.display());
        }
    }
    Ok(())
}

fn read_tokens(path: &Path) -> Result<Option<Vec<Token>>, ControlError> {
    let Some(file) = read::<TokenFile>(path)? else { return Ok(None) };
    let damaged = |why: &str| ControlError::Damaged { path: path.into(), why: why.into() };
    if file.version != 1 {
        return Err(damaged("its version is not 1"));
    }
    let token = |old: OldToken| {
        let hash = hex::decode(&old.sha256).ok().and_then(|bytes| bytes.try_into().ok());
        Ok(Token {
            id: tokens::new_id(),
            hash: hash.ok_or_else(|| damaged("a `sha256` is not 64 hex digits"))?,
            kind: PrincipalKind::User,
            name: old.user,
            groups: old.groups,
            admin: old.admin,
            warrant: Warrant::default(),
            comment: String::new(),
            created_at: old.created_at.saturating_mul(1000),
            created_by: String::new(),
            expires_at: old.expires_at.map(|seconds| seconds.saturating_mul(1000)),
        })
    };
    file.tokens.into_iter().map(token).collect::<Result<_, _>>().map(Some)
}

fn read<T: DeserializeOwned>(path: &Path) -> Result<Option<T>, ControlError> {
    let text = match fs::read(path) {
        Ok(text) => text,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(source) => return Err(ControlError::Io { what: "read", path: path.into(), source }),
    };
    serde_json::from_slice(&text).map(Some).map_err(|e| ControlError::Damaged { path: path.into(), why: e.to_string() })
}

#[cfg(test)]
#[path = "takeover_tests.rs"]
mod tests;
