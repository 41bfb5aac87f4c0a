//! Tokens made at run time (hashes only) and the service principals that they made known.

use weirgate_policy::identity::{Principal, PrincipalKind, TokenHash};

use super::Store;
use crate::ControlError;

/// A token as it is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Token {
    /// Public id, 64 hex digits or fewer; says nothing about the token.
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
    /// Free text.
    pub comment: String,
    /// Milliseconds.
    pub created_at: u64,
    /// Who made it.
    pub created_by: String,
    /// Milliseconds; `None` = never.
    pub expires_at: Option<u64>,
}

impl Store {
    /// All tokens that have not expired.
    pub fn tokens(&self) -> Result<Vec<Token>, ControlError> {
        unimplemented!("helper B")
    }

    /// Makes a token for a principal. The text is returned once and cannot be had again.
    pub fn create_token(
        &self,
        _whose: &Principal,
        _by: &str,
        _comment: &str,
        _lifetime_seconds: Option<u64>,
    ) -> Result<(String, Token), ControlError> {
        unimplemented!("helper B")
    }
}
