//! Who the caller is (contract §2.1): the part of SCIM's `Me` (RFC 7644 §3.11) that clients ask for.

use http::{HeaderName, HeaderValue};
use schemars::JsonSchema;
use serde::Serialize;
use sha2::{Digest, Sha256};
use weirgate_policy::identity::{ADMINS, EVERYONE, Principal, PrincipalKind};

use super::{Answer, Method, Problem, Request, Route};

pub(super) fn routes() -> Vec<Route> {
    vec![Route::new(Method::Get, "/api/2.0/preview/scim/v2/Me", "Who the caller is.", me).answers::<Me>()]
}

/// The caller.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct Me {
    /// Stays the same for a principal of this kind and name.
    id: String,
    /// User name, or application id of a service principal.
    user_name: String,
    /// The same; the gateway knows no other.
    display_name: String,
    /// The user name as address.
    emails: Vec<Email>,
    /// `users` first.
    groups: Vec<Group>,
    /// True: who is not active is not let in.
    active: bool,
}

/// An address.
#[derive(Serialize, JsonSchema)]
struct Email {
    /// The address.
    value: String,
    /// Whether it is the first choice.
    primary: bool,
}

/// A group.
#[derive(Serialize, JsonSchema)]
struct Group {
    /// Its name.
    display: String,
}

fn me(request: Request) -> Result<Answer, Problem> {
    let answer = Answer::json(&of(&request.caller.principal));
    Ok(match HeaderValue::from_str(request.control.store.workspace_id()) {
        Ok(id) => answer.header(HeaderName::from_static("x-databricks-org-id"), id),
        Err(_) => answer,
    })
}

fn of(principal: &Principal) -> Me {
    let name = || principal.name.to_string();
    let mut groups = vec![EVERYONE];
    groups.extend(principal.admin.then_some(ADMINS));
    groups.extend(principal.groups.iter().map(|group| &**group).filter(|group| !(principal.admin && *group == ADMINS)));
    Me {
        id: id(principal),
        user_name: name(),
        display_name: name(),
        emails: vec![Email { value: name(), primary: true }],
        groups: groups.into_iter().map(|group| Group { display: group.into() }).collect(),
        active: true,
    }
}

/// The API's ids of principals are decimal numbers; this one is made from kind and name.
fn id(principal: &Principal) -> String {
    let kind = match principal.kind {
        PrincipalKind::User => "user",
        PrincipalKind::ServicePrincipal => "service principal",
    };
    let digest = Sha256::digest(format!("{kind}/{}", principal.name));
    let number = digest.iter().take(6).fold(0u64, |number, byte| number << 8 | u64::from(*byte));
    number.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::fixture::user;

    #[test]
    fn the_shape_is_the_contracts() {
        let me = serde_json::to_value(of(&user("ada@example.com", true))).unwrap();
        let expected = serde_json::json!({
            "id": me["id"], "userName": "ada@example.com", "displayName": "ada@example.com",
            "emails": [{"value": "ada@example.com", "primary": true}],
            "groups": [{"display": "users"}, {"display": "admins"}, {"display": "team"}], "active": true,
        });
        assert_eq!(me, expected);
        assert!(me["id"].as_str().unwrap().parse::<u64>().is_ok());
    }

    #[test]
    fn ids_tell_principals_apart() {
        let (ada, bob) = (user("ada", false), user("bob", false));
        let program = Principal { kind: PrincipalKind::ServicePrincipal, ..user("ada", false) };
        assert_eq!(id(&ada), id(&user("ada", true)));
        assert!(id(&ada) != id(&bob) && id(&ada) != id(&program));
    }
}
