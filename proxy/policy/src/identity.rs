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

    /// The same account without any rights.
    fn bare(&self) -> Principal {
        Principal { kind: self.kind, name: self.name.clone(), groups: Vec::new(), admin: false }
    }

    /// The same account with those of its rights that any of `sources` has too.
    pub fn within(&self, sources: &[&Principal]) -> Principal {
        let has = |group: &str| sources.iter().any(|source| source.in_group(group));
        let groups = self.groups.iter().filter(|group| has(group)).cloned().collect();
        Principal { groups, admin: self.admin && has(ADMINS), ..self.bare() }
    }
}

/// Where the rights of a caller (groups, administration) come from; a token that the caller makes gets them no firmer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Source {
    /// They were given to the token itself, on the command line or by the environment.
    #[default]
    Own,
    /// From the configuration's tokens of the principal.
    Configured,
    /// From an identity provider's claims.
    Claimed,
}

/// What a caller's rights rest on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Warrant {
    /// Where they come from.
    pub source: Source,
    /// Milliseconds since the epoch from which on they are void; `None` = never.
    pub ends_at: Option<u64>,
}

/// A token for a [`Directory`].
#[derive(Debug, Clone)]
pub struct Entry {
    /// Of the token.
    pub hash: TokenHash,
    /// Whose it is, with the rights that it has until the warrant ends.
    pub principal: Principal,
    /// Milliseconds since the epoch from which on it is not accepted any more.
    pub expires_at: Option<u64>,
    /// What the rights rest on.
    pub warrant: Warrant,
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
    warrant: Warrant,
    /// The principal after the end of the warrant.
    bare: Arc<Principal>,
}

impl Directory {
    /// A hash that comes twice keeps its last entry. `decided` replaces groups and admin right of the principals that it
    /// names, whatever their tokens say.
    pub fn new(tokens: impl IntoIterator<Item = Entry>, decided: impl IntoIterator<Item = Principal>) -> Self {
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
        let tokens = tokens.into_iter().map(|Entry { hash, principal, expires_at, warrant }| {
            let bare = if warrant.ends_at.is_some() { principal.bare() } else { principal.clone() };
            let (own, bare) = (share(principal), directory.decided(share(bare)));
            let principal = directory.decided(own.clone());
            let source = if Arc::ptr_eq(&own, &principal) { warrant.source } else { Source::Configured };
            let warrant = Warrant { source, ..warrant };
            (hash, Known { principal, expires_at, warrant, bare })
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

    /// The principal of a token at `now` (milliseconds since the epoch) and what its rights rest on, if the token is known
    /// and not expired.
    pub fn authenticate(&self, token: &[u8], now: u64) -> Option<(&Arc<Principal>, Warrant)> {
        let known = self.tokens.get(&hash_token(token))?;
        let before = |end: Option<u64>| end.is_none_or(|end| now < end);
        let principal = if before(known.warrant.ends_at) { &known.principal } else { &known.bare };
        before(known.expires_at).then_some((principal, known.warrant))
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
        Directory::new([entry(b"secret", principal, expires_at)], [])
    }

    fn entry(token: &[u8], principal: Principal, expires_at: Option<u64>) -> Entry {
        Entry { hash: hash_token(token), principal, expires_at, warrant: Warrant::default() }
    }

    #[test]
    fn rights_end_with_their_warrant_and_the_token_goes_on() {
        let root =
            Principal { kind: PrincipalKind::User, name: "ada".into(), groups: vec!["research".into()], admin: true };
        let warrant = Warrant { source: Source::Claimed, ends_at: Some(100) };
        let minted = Entry { warrant, ..entry(b"minted", root.clone(), None) };
        let known = Directory::new([minted.clone()], []);
        let (before, seen) = known.authenticate(b"minted", 99).unwrap();
        assert!(before.in_group("research") && before.in_group(ADMINS) && seen == warrant);
        let (after, _) = known.authenticate(b"minted", 100).unwrap();
        assert!(*after.name == *root.name && !after.in_group("research") && !after.in_group(ADMINS));
        let known = Directory::new([minted], [root]);
        let (decided, warrant) = known.authenticate(b"minted", 100).unwrap();
        assert!(decided.in_group(ADMINS) && warrant.source == Source::Configured, "the configuration decides");
    }

    #[test]
    fn rights_within_sources_are_those_that_a_source_has_too() {
        let of = |groups: &[&str], admin| Principal {
            kind: PrincipalKind::User,
            name: "ada".into(),
            groups: groups.iter().map(|group| (*group).into()).collect(),
            admin,
        };
        let root = of(&["a", "b"], true);
        assert_eq!(root.within(&[]), of(&[], false));
        assert_eq!(root.within(&[&of(&["b", "c"], false)]), of(&["b"], false));
        assert_eq!(root.within(&[&of(&["a"], false), &of(&["b"], true)]), root);
        assert_eq!(of(&["a"], false).within(&[&root]), of(&["a"], false), "nothing is added");
    }

    #[test]
    fn only_the_whole_token_is_known() {
        let known = directory(None);
        assert_eq!(&*known.authenticate(b"secret", 0).unwrap().0.name, "ada");
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
        let token = |text: &[u8], kind| entry(text, of(kind, &["old"], true), None);
        let known = Directory::new(
            [
                token(b"a", PrincipalKind::User),
                token(b"b", PrincipalKind::User),
                token(b"c", PrincipalKind::ServicePrincipal),
            ],
            [of(PrincipalKind::User, &["new"], false)],
        );
        let (a, _) = known.authenticate(b"a", 0).unwrap();
        assert!(a.in_group("new") && !a.in_group("old") && !a.in_group(ADMINS));
        assert!(Arc::ptr_eq(a, known.authenticate(b"b", 0).unwrap().0));
        assert!(known.authenticate(b"c", 0).unwrap().0.in_group("old"), "a service principal is another account");
        let verdict = Arc::new(of(PrincipalKind::User, &["claimed"], true));
        assert!(known.decided(verdict).in_group("new"));
    }

    #[test]
    fn groups() {
        let known = directory(None);
        let (ada, _) = known.authenticate(b"secret", 0).unwrap();
        assert!(ada.in_group("research") && ada.in_group(EVERYONE));
        assert!(!ada.in_group(ADMINS) && !ada.in_group("sales"));
    }
}
