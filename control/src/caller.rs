//! Who called a route. The gateway puts it into each request's extensions; the router trusts it.

use std::net::SocketAddr;
use std::sync::Arc;

use weirgate_policy::identity::{Principal, PrincipalKind, Warrant};

/// The authenticated caller of a control route.
#[derive(Debug, Clone)]
pub struct Caller {
    /// Who.
    pub principal: Arc<Principal>,
    /// What the principal's rights rest on.
    pub warrant: Warrant,
    /// From where, if the connection tells.
    pub address: Option<SocketAddr>,
    /// The request's id, as answered in `x-request-id`.
    pub request_id: Arc<str>,
}

impl Caller {
    /// `User` or `ServicePrincipal`, as the contract spells it (§3.2, `creator_kind`).
    pub fn kind(&self) -> &'static str {
        match self.principal.kind {
            PrincipalKind::User => "User",
            PrincipalKind::ServicePrincipal => "ServicePrincipal",
        }
    }
}
