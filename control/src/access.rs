//! What a principal may do with an endpoint (contract §2.3).

use weirgate_config::document::ManagedBy;
use weirgate_config::snapshot::{Endpoint, Permission, PermissionLevel, PermissionPrincipal};
use weirgate_policy::door::Refusal;
use weirgate_policy::identity::Principal;
use weirgate_policy::permission::{Grantee, Grants, Level, level_by, level_by_all};
use weirgate_policy::reason::Reason;

/// The grants of a compiled endpoint.
pub fn grants(endpoint: &Endpoint) -> Grants {
    let Some(permissions) = &endpoint.permissions else { return Grants::Everyone };
    Grants::Listed(permissions.iter().map(grant).collect())
}

fn grant(permission: &Permission) -> (Grantee, Level) {
    let to = match &permission.principal {
        PermissionPrincipal::User(name) => Grantee::User(name.clone()),
        PermissionPrincipal::Group(name) => Grantee::Group(name.clone()),
        PermissionPrincipal::ServicePrincipal(id) => Grantee::ServicePrincipal(id.clone()),
    };
    let level = match permission.level {
        PermissionLevel::CanView => Level::View,
        PermissionLevel::CanQuery => Level::Query,
        PermissionLevel::CanManage => Level::Manage,
    };
    (to, level)
}

/// The highest level that a principal has on an endpoint, if any.
pub fn level(endpoint: &Endpoint, principal: &Principal) -> Option<Level> {
    // As `grants` has it, without its list: a list of endpoints asks for each of thousands.
    match &endpoint.permissions {
        None => level_by_all(principal),
        Some(permissions) => level_by(permissions.iter().map(grant), principal),
    }
}

/// Refuses a principal that has less than a level.
///
/// # Errors
/// [`Reason::PermissionDenied`] with a text that says which level is missing and who can grant it.
pub fn require(level: Level, endpoint: &Endpoint, principal: &Principal) -> Result<(), Refusal> {
    if self::level(endpoint, principal) >= Some(level) {
        return Ok(());
    }
    let needed = match level {
        Level::View => "CAN_VIEW",
        Level::Query => "CAN_QUERY",
        Level::Manage => "CAN_MANAGE",
    };
    let (who, name) = (&principal.name, &endpoint.name);
    Err(Refusal::new(
        Reason::PermissionDenied,
        format!("{who} needs {needed} on endpoint {name}; who has CAN_MANAGE on it, or an administrator, can grant it"),
    ))
}

/// Refuses changes to an endpoint that its document reserves to its file.
///
/// # Errors
/// [`Reason::PermissionDenied`], naming the file.
pub fn changeable(endpoint: &Endpoint) -> Result<(), Refusal> {
    if endpoint.document.managed_by != Some(ManagedBy::File) {
        return Ok(());
    }
    let name = &endpoint.name;
    let text =
        format!("endpoint {name} is managed by its file (`managed_by: file`); change endpoints/{name}.yaml instead");
    Err(Refusal::new(Reason::PermissionDenied, text))
}

#[cfg(test)]
#[path = "access_tests.rs"]
mod tests;
