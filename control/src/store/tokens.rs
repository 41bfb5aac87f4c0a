//! Tokens made at run time (hashes only) and the service principals that they made known.

use rand::RngCore;
use rusqlite::{Connection, Row, params};
use weirgate_policy::door::Refusal;
use weirgate_policy::identity::{Principal, PrincipalKind, Source, TokenHash, Warrant, hash_token};
use weirgate_policy::reason::Reason;
use zeroize::Zeroizing;

use super::{Store, from_sql, to_sql};
use crate::{ControlError, now_ms};

/// What a token starts with, so that scanners and people recognise a leaked one.
pub const PREFIX: &str = "wg-";

/// Most tokens of one principal.
const MAX_COUNT: i64 = 10_000;

/// A token as it is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Token {
    /// Public id, 32 hex digits; says nothing about the token.
    pub id: String,
    /// SHA-256 of the token.
    pub hash: TokenHash,
    /// Whose it is.
    pub kind: PrincipalKind,
    /// User name or application id.
    pub name: String,
    /// The principal's groups when the token was made.
    pub groups: Vec<String>,
    /// Whether the principal was an administrator then.
    pub admin: bool,
    /// What groups and admin right rest on.
    pub warrant: Warrant,
    /// Free text.
    pub comment: String,
    /// Milliseconds.
    pub created_at: u64,
    /// Who made it.
    pub created_by: String,
    /// Milliseconds; `None` = never.
    pub expires_at: Option<u64>,
}

/// A new random token: 256 bits in hex behind [`PREFIX`].
pub fn generate() -> String {
    let mut bytes = Zeroizing::new([0u8; 32]);
    rand::rng().fill_bytes(&mut *bytes);
    format!("{PREFIX}{}", &*Zeroizing::new(hex::encode(bytes.as_slice())))
}

impl Store {
    /// All tokens that have not expired.
    pub fn tokens(&self) -> Result<Vec<Token>, ControlError> {
        self.select_tokens("TRUE", [])
    }

    /// A principal's tokens that have not expired.
    pub fn tokens_of(&self, kind: PrincipalKind, name: &str) -> Result<Vec<Token>, ControlError> {
        self.select_tokens("kind = ?1 AND name = ?2", [kind_name(kind), name])
    }

    /// Makes a token that holds the principal's rights by itself. The text is returned once and cannot be had again.
    ///
    /// # Errors
    /// [`Reason::BadRequest`] if the principal has ten thousand already.
    pub fn create_token(
        &self,
        whose: &Principal,
        by: &str,
        comment: &str,
        lifetime_seconds: Option<u64>,
    ) -> Result<(String, Token), ControlError> {
        self.mint_token(whose, Warrant::default(), by, comment, lifetime_seconds)
    }

    /// As [`Store::create_token`], with rights that are worth no more than what they rest on.
    pub fn mint_token(
        &self,
        whose: &Principal,
        warrant: Warrant,
        by: &str,
        comment: &str,
        lifetime_seconds: Option<u64>,
    ) -> Result<(String, Token), ControlError> {
        let text = generate();
        let now = now_ms();
        let token = Token {
            id: new_id(),
            hash: hash_token(text.as_bytes()),
            kind: whose.kind,
            name: whose.name.to_string(),
            groups: whose.groups.iter().map(|group| group.to_string()).collect(),
            admin: whose.admin,
            warrant,
            comment: comment.into(),
            created_at: now,
            created_by: by.into(),
            expires_at: lifetime_seconds.map(|seconds| now.saturating_add(seconds.saturating_mul(1000))),
        };
        self.write(|transaction| {
            remove_expired(transaction)?;
            let count = "SELECT count(*) FROM tokens WHERE kind = ?1 AND name = ?2";
            let count: i64 = transaction.query_row(count, [kind_name(token.kind), &token.name], |row| row.get(0))?;
            if count >= MAX_COUNT {
                let text = format!("{} has {MAX_COUNT} tokens; delete those that are not used any more", token.name);
                return Err(Refusal::new(Reason::BadRequest, text).into());
            }
            insert(transaction, &token)
        })?;
        Ok((text, token))
    }

    /// Deletes a token; with `owner` only if it is that principal's. Returns whether there was such a token.
    pub fn delete_token(&self, id: &str, owner: Option<(PrincipalKind, &str)>) -> Result<bool, ControlError> {
        let (kind, name) = owner.map(|(kind, name)| (kind_name(kind), name)).unzip();
        let delete = "DELETE FROM tokens WHERE id = ?1 AND (?2 IS NULL OR (kind = ?2 AND name = ?3))";
        self.write(|transaction| Ok(transaction.execute(delete, params![id, kind, name])? == 1))
    }

    /// Makes a service principal known. Returns whether it is new.
    pub fn ensure_service_principal(&self, application_id: &str, by: &str) -> Result<bool, ControlError> {
        let insert =
            "INSERT OR IGNORE INTO service_principals (application_id, created_at, created_by) VALUES (?1, ?2, ?3)";
        self.write(|transaction| Ok(transaction.execute(insert, params![application_id, to_sql(now_ms()), by])? == 1))
    }

    fn select_tokens<const N: usize>(&self, which: &str, values: [&str; N]) -> Result<Vec<Token>, ControlError> {
        let now = now_ms();
        self.read(|connection| {
            let mut select = connection.prepare(&format!(
                "SELECT id, sha256, kind, name, groups, admin, comment, created_at, created_by, expires_at, rights, rights_end FROM tokens \
                 WHERE {which} ORDER BY created_at, id"
            ))?;
            let tokens = select.query_map(rusqlite::params_from_iter(values), from_row)?;
            let alive = |token: &Token| token.expires_at.is_none_or(|end| now < end);
            Ok(tokens.filter(|token| token.as_ref().map_or(true, alive)).collect::<Result<_, _>>()?)
        })
    }
}

/// A new public id.
pub(super) fn new_id() -> String {
    hex::encode(rand::random::<[u8; 16]>())
}

/// A token that is there already is left as it is.
pub(super) fn insert(connection: &Connection, token: &Token) -> Result<(), ControlError> {
    let insert = "INSERT INTO tokens (id, sha256, kind, name, groups, admin, comment, created_at, created_by, expires_at, \
                  rights, rights_end) \
                  VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12) ON CONFLICT (sha256) DO NOTHING";
    connection.execute(
        insert,
        params![
            token.id,
            token.hash,
            kind_name(token.kind),
            token.name,
            serde_json::Value::from(token.groups.clone()).to_string(),
            token.admin,
            token.comment,
            to_sql(token.created_at),
            token.created_by,
            token.expires_at.map(to_sql),
            source_name(token.warrant.source),
            token.warrant.ends_at.map(to_sql),
        ],
    )?;
    Ok(())
}

pub(super) fn remove_expired(connection: &Connection) -> Result<(), ControlError> {
    connection.execute("DELETE FROM tokens WHERE expires_at <= ?1", [to_sql(now_ms())])?;
    Ok(())
}

fn from_row(row: &Row<'_>) -> rusqlite::Result<Token> {
    let groups: String = row.get(4)?;
    let groups = serde_json::from_str(&groups)
        .map_err(|e| rusqlite::Error::FromSqlConversionFailure(4, rusqlite::types::Type::Text, Box::new(e)))?;
    let kind: String = row.get(2)?;
    Ok(Token {
        id: row.get(0)?,
        hash: row.get(1)?,
        kind: if kind == kind_name(PrincipalKind::User) {
            PrincipalKind::User
        } else {
            PrincipalKind::ServicePrincipal
        },
        name: row.get(3)?,
        groups,
        admin: row.get(5)?,
        comment: row.get(6)?,
        created_at: from_sql(row.get(7)?),
        created_by: row.get(8)?,
        expires_at: row.get::<_, Option<i64>>(9)?.map(from_sql),
        warrant: Warrant {
            source: source(&row.get::<_, String>(10)?),
            ends_at: row.get::<_, Option<i64>>(11)?.map(from_sql),
        },
    })
}

/// As the schema spells it.
fn kind_name(kind: PrincipalKind) -> &'static str {
    match kind {
        PrincipalKind::User => "user",
        PrincipalKind::ServicePrincipal => "service_principal",
    }
}

/// As the schema spells it.
fn source_name(source: Source) -> &'static str {
    match source {
        Source::Own => "own",
        Source::Configured => "configured",
        Source::Claimed => "claimed",
    }
}

fn source(name: &str) -> Source {
    [Source::Own, Source::Claimed].into_iter().find(|source| source_name(*source) == name).unwrap_or(Source::Configured)
}

#[cfg(test)]
#[path = "tokens_tests.rs"]
mod tests;
