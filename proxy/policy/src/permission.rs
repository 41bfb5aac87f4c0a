//! Whether a principal may do something with an endpoint (contract §2.3).

use std::borrow::Borrow;
use std::sync::Arc;

use crate::identity::{ADMINS, Principal, PrincipalKind};

/// What a principal may do; each level holds those before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// See it, its metrics included.
    View,
    /// Send requests to it.
    Query,
    /// Everything.
    Manage,
}

/// To whom a level is granted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Grantee {
    /// A person by name.
    User(Arc<str>),
    /// A program by application id.
    ServicePrincipal(Arc<str>),
    /// All members of a group.
    Group(Arc<str>),
}

/// The grants of one endpoint.
#[derive(Debug, Clone)]
pub enum Grants {
    /// The document names none: every principal may query.
    Everyone,
    /// Only those listed, and admins.
    Listed(Vec<(Grantee, Level)>),
}

impl Grants {
    /// The highest level that a principal has, if any.
    pub fn level(&self, principal: &Principal) -> Option<Level> {
        match self {
            Grants::Everyone => level_by_all(principal),
            Grants::Listed(grants) => level_by(grants.iter().map(|(to, level)| (to, *level)), principal),
        }
    }

    /// Whether a principal may send requests.
    pub fn may_query(&self, principal: &Principal) -> bool {
        self.level(principal) >= Some(Level::Query)
    }
}

/// The level that a principal has where no list says more.
pub fn level_by_all(principal: &Principal) -> Option<Level> {
    level_by(None::<(&Grantee, Level)>, principal).or(Some(Level::Query))
}

/// The highest level that a list gives to a principal, if any.
pub fn level_by<G: Borrow<Grantee>>(
    grants: impl IntoIterator<Item = (G, Level)>,
    principal: &Principal,
) -> Option<Level> {
    if principal.in_group(ADMINS) {
        return Some(Level::Manage);
    }
    grants.into_iter().filter(|(to, _)| covers(to.borrow(), principal)).map(|(_, level)| level).max()
}

fn covers(grantee: &Grantee, principal: &Principal) -> bool {
    match grantee {
        Grantee::User(name) => principal.kind == PrincipalKind::User && *name == principal.name,
        Grantee::ServicePrincipal(id) => principal.kind == PrincipalKind::ServicePrincipal && *id == principal.name,
        Grantee::Group(group) => principal.in_group(group),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn principal(kind: PrincipalKind, admin: bool) -> Principal {
        Principal { kind, name: "ada".into(), groups: vec!["research".into()], admin }
    }

    #[test]
    fn the_highest_grant_counts() {
        let grants = Grants::Listed(vec![
            (Grantee::Group("research".into()), Level::View),
            (Grantee::User("ada".into()), Level::Query),
        ]);
        assert_eq!(grants.level(&principal(PrincipalKind::User, false)), Some(Level::Query));
        // A service principal of the same name is another account.
        assert_eq!(grants.level(&principal(PrincipalKind::ServicePrincipal, false)), Some(Level::View));
        assert!(!grants.may_query(&principal(PrincipalKind::ServicePrincipal, false)));
    }

    #[test]
    fn admins_may_everything_and_an_empty_list_shuts_out_the_rest() {
        let none = Grants::Listed(vec![]);
        assert_eq!(none.level(&principal(PrincipalKind::User, true)), Some(Level::Manage));
        assert_eq!(none.level(&principal(PrincipalKind::User, false)), None);
        let member = Principal { groups: vec![ADMINS.into()], ..principal(PrincipalKind::User, false) };
        assert_eq!(none.level(&member), Some(Level::Manage));
    }

    #[test]
    fn without_a_list_everyone_may_query_and_nobody_manage() {
        assert_eq!(Grants::Everyone.level(&principal(PrincipalKind::User, false)), Some(Level::Query));
    }
}
