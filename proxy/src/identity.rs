//! Who may come in: tokens of config, store and environment in one directory, and JWTs of configured issuers.
//!
//! The directory is swapped whole and apart from the endpoint table, so a token change costs no table.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::ArcSwap;
use http::HeaderValue;
use weirgate_config::snapshot::{PrincipalKind as PlanKind, PrincipalSpec, Snapshot};
use weirgate_control::jwt::Issuers;
use weirgate_control::store::tokens::Token;
use weirgate_control::{Store, now_ms};
use weirgate_policy::door::Refusal;
use weirgate_policy::identity::{
    Directory, Entry, Principal, PrincipalKind, Source, TokenHash, Warrant, bearer, hash_token,
};
use weirgate_policy::reason::Reason;

/// The user of the token in the environment, and of the one that a new gateway makes.
pub const ADMIN: &str = "admin";

/// All accepted identities.
pub struct Identities {
    directory: ArcSwap<Directory>,
    /// Whose JWTs are accepted.
    pub issuers: Issuers,
    /// Held while a directory is made, so that an older one never replaces a newer one.
    sources: Mutex<Sources>,
}

/// What the directory is compiled from.
struct Sources {
    snapshot: Arc<Snapshot>,
    /// What the store held when it could last be read.
    stored: Vec<Token>,
    admin_token: Option<TokenHash>,
}

impl Identities {
    /// `stored` = the store's tokens; `admin_token` is accepted beside these and those of the config.
    pub fn new(snapshot: Arc<Snapshot>, stored: Vec<Token>, admin_token: Option<&str>) -> Self {
        let issuers = Issuers::new(&snapshot.issuers, snapshot.settings.upstreams.allow_private);
        let admin_token = admin_token.map(|token| hash_token(token.as_bytes()));
        let sources = Sources { snapshot, stored, admin_token };
        Identities { directory: ArcSwap::from_pointee(sources.directory()), issuers, sources: Mutex::new(sources) }
    }

    /// Takes over what a new snapshot says of identities.
    pub fn configure(&self, snapshot: &Arc<Snapshot>) {
        let mut sources = self.sources.lock().unwrap_or_else(PoisonError::into_inner);
        let before = std::mem::replace(&mut sources.snapshot, snapshot.clone());
        if before.tokens != snapshot.tokens || before.principals != snapshot.principals {
            self.directory.store(Arc::new(sources.directory()));
        }
        drop(sources);
        self.issuers.configure(&snapshot.issuers, snapshot.settings.upstreams.allow_private);
    }

    /// Reads the store's tokens again. Blocks.
    pub fn reload(&self, store: &Store) {
        let mut sources = self.sources.lock().unwrap_or_else(PoisonError::into_inner);
        match store.tokens() {
            Ok(stored) => sources.stored = stored,
            Err(e) => return log::error!("{e}; the tokens known so far stay valid"),
        }
        self.directory.store(Arc::new(sources.directory()));
    }

    /// Who sends this `Authorization` header, and what the sender's rights rest on.
    pub async fn authenticate(&self, header: Option<&HeaderValue>) -> Result<(Arc<Principal>, Warrant), Refusal> {
        let refuse = |text: &str| Refusal::new(Reason::Unauthenticated, text);
        let header = header.ok_or_else(|| {
            refuse("no token was given; send the header `Authorization: Bearer <token>` with a token of this gateway")
        })?;
        let token = bearer(header.as_bytes())
            .ok_or_else(|| refuse("the Authorization header is not of the form `Bearer <token>`"))?;
        let now = now_ms();
        if let Some((known, warrant)) = self.directory.load().authenticate(token, now) {
            return Ok((known.clone(), warrant));
        }
        if self.issuers.concerns(token)
            // In a box: most requests bring another kind of token, and should not carry the room that this one needs.
            && let Some(verdict) = Box::pin(self.issuers.authenticate(token, now / 1000)).await
        {
            let decided = self.directory.load().decided(verdict.principal.clone());
            let claimed = Arc::ptr_eq(&decided, &verdict.principal);
            let source = if claimed { Source::Claimed } else { Source::Configured };
            return Ok((decided, Warrant { source, ends_at: milliseconds(verdict.expires_at) }));
        }
        Err(refuse("the token is not known to this gateway, or has expired"))
    }
}

impl Sources {
    fn directory(&self) -> Directory {
        let Snapshot { tokens, principals, .. } = &*self.snapshot;
        let listed = tokens.iter().map(|entry| {
            let expires_at = milliseconds(entry.expires_at);
            let warrant = Warrant { source: Source::Configured, ends_at: expires_at };
            Entry { hash: entry.sha256, principal: principal(&entry.principal), expires_at, warrant }
        });
        let mut configured: HashMap<_, Vec<Principal>> = HashMap::new();
        for entry in tokens {
            let principal = principal(&entry.principal);
            configured.entry((principal.kind, principal.name.clone())).or_default().push(principal);
        }
        let made = self.stored.iter().map(|token| {
            let principal = Principal {
                kind: token.kind,
                name: token.name.as_str().into(),
                groups: token.groups.iter().map(|group| group.as_str().into()).collect(),
                admin: token.admin,
            };
            let Token { hash, expires_at, .. } = *token;
            let ends_at = [token.warrant.ends_at, expires_at].into_iter().flatten().min();
            let warrant = Warrant { ends_at, ..token.warrant };
            let principal = match warrant.source {
                Source::Own | Source::Claimed => principal,
                // Made with a token of the files: worth what is left of that.
                Source::Configured => {
                    let sources = configured.get(&(principal.kind, principal.name.clone()));
                    principal.within(&sources.into_iter().flatten().collect::<Vec<_>>())
                }
            };
            Entry { hash, principal, expires_at, warrant }
        });
        let admin = self.admin_token.map(|hash| Entry {
            hash,
            principal: admin(),
            expires_at: None,
            warrant: Warrant::default(),
        });
        Directory::new(listed.chain(made).chain(admin), principals.iter().map(principal))
    }
}

fn milliseconds(seconds: Option<u64>) -> Option<u64> {
    seconds.map(|seconds| seconds.saturating_mul(1000))
}

/// The administrator of a new gateway.
pub fn admin() -> Principal {
    Principal { kind: PrincipalKind::User, name: ADMIN.into(), groups: Vec::new(), admin: true }
}

fn principal(spec: &PrincipalSpec) -> Principal {
    let kind = match spec.kind {
        PlanKind::User => PrincipalKind::User,
        PlanKind::ServicePrincipal => PrincipalKind::ServicePrincipal,
    };
    Principal { kind, name: spec.name.clone(), groups: spec.groups.clone(), admin: spec.admin }
}

#[cfg(test)]
#[path = "identity_tests.rs"]
mod tests;
