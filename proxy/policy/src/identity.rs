//! Who asks: tokens, their hashes, and the principals behind them.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use sha2::{Digest, Sha256};

/// SHA-256 of a token's bytes. The token itself is never kept.
pub type TokenHash = [u8; 32];

/// Hash of a token as a client presents it.
pub fn hash_token(token: &[u8]) -> TokenHash {
    Sha256::digest(token).into()
}

/// Group that every principal belongs to (contract §2.3).
pub const EVERYONE: &str = "users";
/// Group whose members may do everything (contract §2.3).
pub const ADMINS: &str = "admins";

/// What kind of account a principal is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum PrincipalKind {
    /// A person.
    User,
    /// A program.
    ServicePrincipal,
}

/// The account behind a token.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Principal {
    /// Person or program.
    pub kind: PrincipalKind,
    /// User name or application id.
    pub name: Arc<str>,
    /// Groups, without [`EVERYONE`].
    pub groups: Vec<Arc<str>>,
    /// Member of [`ADMINS`].
    pub admin: bool,
}

impl Principal {
    /// Whether the principal is in a group.
    pub fn in_group(&self, group: &str) -> bool {
        group == EVERYONE || (group == ADMINS && self.admin) || self.groups.iter().any(|g| &**g == group)
    }
}

/// A token that is accepted.
#[derive(Debug, Clone)]
pub struct Credential {
    /// Whose token it is.
    pub principal: Arc<Principal>,
    /// Unix seconds from which on it is not accepted any more.
    pub expires_at: Option<u64>,
}

/// All accepted tokens, by hash. Lookup is by hash, so its time says nothing about a token's characters.
#[derive(Debug, Default)]
pub struct Directory {
    tokens: HashMap<TokenHash, Known>,
    /// Principals whose groups the configuration decides.
    decided: HashMap<(PrincipalKind, Arc<str>), Arc<Principal>>,
}

#[derive(Debug)]
struct Known {
    principal: Arc<Principal>,
    /// Milliseconds since the epoch.
    expires_at: Option<u64>,
}

impl Directory {
    /// From hashes, principals, and the milliseconds since the epoch from which on the token is not accepted any more; a
    /// hash that comes twice keeps its last principal. `decided` replaces groups and admin right of the principals that
    /// it names, whatever their tokens say.
    pub fn new(
        tokens: impl IntoIterator<Item = (TokenHash, Principal, Option<u64>)>,
        decided: impl IntoIterator<Item = Principal>,
    ) -> Self {
        let decided = decided.into_iter().map(|p| ((p.kind, p.name.clone()), Arc::new(p))).collect();
        let mut directory = Directory { tokens: HashMap::new(), decided };
        // One allocation for all tokens of a principal.
        let mut shared: HashSet<Arc<Principal>> = HashSet::new();
        let mut share = |principal: Principal| match shared.get(&principal) {
            Some(same) => same.clone(),
            None => {
                let principal = Arc::new(principal);
                shared.insert(principal.clone());
                principal
            }
        };
        let tokens = tokens.into_iter().map(|(hash, principal, expires_at)| {
            (hash, Known { principal: directory.decided(share(principal)), expires_at })
        });
        directory.tokens = tokens.collect();
        directory
    }

    /// A principal as the configuration wants it, else as it is.
    pub fn decided(&self, principal: Arc<Principal>) -> Arc<Principal> {
        if self.decided.is_empty() {
            return principal;
        }
        self.decided.get(&(principal.kind, principal.name.clone())).cloned().unwrap_or(principal)
    }

    /// The principal of a token at `now` (milliseconds since the epoch), if it is known and not expired.
    pub fn authenticate(&self, token: &[u8], now: u64) -> Option<&Arc<Principal>> {
        let known = self.tokens.get(&hash_token(token))?;
        known.expires_at.is_none_or(|end| now < end).then_some(&known.principal)
    }
}

/// The token of an `Authorization: Bearer` header value. The scheme's case does not matter (RFC 9110 §11.1).
pub fn bearer(value: &[u8]) -> Option<&[u8]> {
    let (scheme, rest) = value.split_at_checked(7)?;
    let token = rest.trim_ascii();
    (scheme.eq_ignore_ascii_case(b"bearer ") && !token.is_empty()).then_some(token)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn directory(expires_at: Option<u64>) -> Directory {
        let principal =
            Principal { kind: PrincipalKind::User, name: "ada".into(), groups: vec!["research".into()], admin: false };
        Directory::new([(hash_token(b"secret"), principal, expires_at)], [])
    }

    #[test]
    fn only_the_whole_token_is_known() {
        let known = directory(None);
        assert_eq!(&*known.authenticate(b"secret", 0).unwrap().name, "ada");
        for wrong in [&b"secre"[..], b"secret ", b"", b"Secret"] {
            assert!(known.authenticate(wrong, 0).is_none());
        }
    }

    #[test]
    fn a_token_ends_at_its_millisecond() {
        let known = directory(Some(100));
        assert!(known.authenticate(b"secret", 99).is_some());
        assert!(known.authenticate(b"secret", 100).is_none());
    }

    #[test]
    fn bearer_takes_any_case_and_spaces() {
        assert_eq!(bearer(b"Bearer abc"), Some(&b"abc"[..]));
        assert_eq!(bearer(b"bEARER   abc "), Some(&b"abc"[..]));
        for wrong in [&b"Basic abc"[..], b"Bearer", b"Bearer ", b"", b"Bearerabc"] {
            assert_eq!(bearer(wrong), None);
        }
    }

    #[test]
    fn the_configuration_decides_the_groups_of_the_account_that_it_names() {
        let of = |kind, groups: &[&str], admin| Principal {
            kind,
            name: "ada".into(),
            groups: groups.iter().map(|g| (*g).into()).collect(),
            admin,
        };
        let token = |text: &[u8], kind| (hash_token(text), of(kind, &["old"], true), None);
        let known = Directory::new(
            [
                token(b"a", PrincipalKind::User),
                token(b"b", PrincipalKind::User),
                token(b"c", PrincipalKind::ServicePrincipal),
            ],
            [of(PrincipalKind::User, &["new"], false)],
        );
        let a = known.authenticate(b"a", 0).unwrap();
        assert!(a.in_group("new") && !a.in_group("old") && !a.in_group(ADMINS));
        assert!(Arc::ptr_eq(a, known.authenticate(b"b", 0).unwrap()));
        assert!(known.authenticate(b"c", 0).unwrap().in_group("old"), "a service principal is another account");
        let verdict = Arc::new(of(PrincipalKind::User, &["claimed"], true));
        assert!(known.decided(verdict).in_group("new"));
    }

    #[test]
    fn groups() {
        let known = directory(None);
        let ada = known.authenticate(b"secret", 0).unwrap();
        assert!(ada.in_group("research") && ada.in_group(EVERYONE));
        assert!(!ada.in_group(ADMINS) && !ada.in_group("sales"));
    }
}
