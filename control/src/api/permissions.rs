//! Permissions of an endpoint, by its id (contract §2.3). They are part of the endpoint's document.

use std::sync::{Arc, LazyLock};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use weirgate_config::document::{EndpointSpec, PermissionLevel, PermissionSpec};
use weirgate_config::schema;
use weirgate_config::snapshot::{Endpoint, Snapshot};
use weirgate_config::structure::Shape;
use weirgate_policy::door::Refusal;
use weirgate_policy::identity::{ADMINS, EVERYONE};
use weirgate_policy::permission::Level;
use weirgate_policy::reason::Reason;

use super::{Answer, Method, Problem, Request, Route};
use crate::lifecycle::{self, Step};
use crate::store::endpoints::{Author, Record};
use crate::{Control, ControlError, access};

const PATH: &str = "/api/2.0/permissions/serving-endpoints/{id}";
const LEVELS: &str = "/api/2.0/permissions/serving-endpoints/{id}/permissionLevels";

pub(super) fn routes() -> Vec<Route> {
    vec![
        Route::new(Method::Get, PATH, "Who may do what with an endpoint.", get).answers::<EndpointPermissions>(),
        Route::new(Method::Put, PATH, "Replaces the direct grants.", |request| change(&request, replaced))
            .audits("permissions.set")
            .takes::<AccessControlList>()
            .answers::<EndpointPermissions>(),
        Route::new(Method::Patch, PATH, "Adds grants, or overrides those of the same principals.", |request| {
            change(&request, merged)
        })
        .audits("permissions.update")
        .takes::<AccessControlList>()
        .answers::<EndpointPermissions>(),
        Route::new(Method::Get, LEVELS, "The levels that can be granted.", levels).answers::<PermissionLevels>(),
    ]
}

static SHAPE: LazyLock<Shape> = LazyLock::new(|| Shape::new(schema::of::<AccessControlList>()));

/// Direct grants.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
struct AccessControlList {
    /// At most one entry per principal.
    #[schemars(length(max = 1000))]
    access_control_list: Vec<PermissionSpec>,
}

/// Who may do what with an endpoint.
#[derive(Debug, PartialEq, Serialize, JsonSchema)]
struct EndpointPermissions {
    /// `/serving-endpoints/` and the endpoint's id.
    object_id: String,
    /// `serving-endpoint`
    object_type: &'static str,
    /// One entry per principal.
    access_control_list: Vec<AccessControl>,
}

/// A principal and its levels. Exactly one of the names is there.
#[derive(Debug, PartialEq, Serialize, JsonSchema)]
struct AccessControl {
    /// A user.
    #[serde(skip_serializing_if = "Option::is_none")]
    user_name: Option<String>,
    /// A group; `users` is everyone.
    #[serde(skip_serializing_if = "Option::is_none")]
    group_name: Option<String>,
    /// A service principal by application id.
    #[serde(skip_serializing_if = "Option::is_none")]
    service_principal_name: Option<String>,
    /// The levels.
    all_permissions: Vec<EffectivePermission>,
}

/// A level that a principal has.
#[derive(Debug, PartialEq, Serialize, JsonSchema)]
struct EffectivePermission {
    /// What.
    permission_level: PermissionLevel,
    /// Whether it comes from above and cannot be taken away here.
    inherited: bool,
    /// From where.
    #[serde(skip_serializing_if = "Option::is_none")]
    inherited_from_object: Option<Vec<&'static str>>,
}

/// The levels that can be granted.
#[derive(Debug, Serialize, JsonSchema)]
struct PermissionLevels {
    /// From the lowest to the highest.
    permission_levels: Vec<PermissionLevelDescription>,
}

/// A level and what it allows.
#[derive(Debug, Serialize, JsonSchema)]
struct PermissionLevelDescription {
    /// The level.
    permission_level: PermissionLevel,
    /// What it allows.
    description: &'static str,
}

fn get(request: Request) -> Result<Answer, Problem> {
    let snapshot = request.control.shown().0;
    let endpoint = find(&request, &snapshot, Level::View)?;
    Ok(Answer::json(&view(request.path("id"), &endpoint.document)))
}

fn levels(request: Request) -> Result<Answer, Problem> {
    find(&request, &request.control.shown().0, Level::View)?;
    let described = |permission_level, description| PermissionLevelDescription { permission_level, description };
    let permission_levels = vec![
        described(PermissionLevel::CanView, "Can see the endpoint and its metrics."),
        described(PermissionLevel::CanQuery, "Can see the endpoint and send requests to it."),
        described(PermissionLevel::CanManage, "Can do everything with the endpoint, permissions included."),
    ];
    Ok(Answer::json(&PermissionLevels { permission_levels }))
}

/// What the document grants from now on, given what it granted and what the request says.
type Change = fn(Vec<PermissionSpec>, &[PermissionSpec]) -> Vec<PermissionSpec>;

fn change(request: &Request, becomes: Change) -> Result<Answer, Problem> {
    let asked = request.body::<AccessControlList>(&SHAPE)?.access_control_list;
    each_names_one(&asked)?;
    let id = request.path("id");
    let (name, record) = found(&request.control, id)?;
    request.concerns(&name);
    lifecycle::change(&request.control, &name, &Author::from(&request.caller), |snapshot| {
        // Under the lock: the name may belong to another endpoint by now.
        let endpoint = find(request, snapshot, Level::Manage)?;
        access::changeable(endpoint)?;
        let mut document = EndpointSpec::clone(&endpoint.document);
        document.permissions = Some(becomes(granted(&document), &asked));
        Ok(Step::Document(Box::new(document)))
    })?;
    let snapshot = request.control.shown().0;
    // Someone may have deleted it a moment later.
    let endpoint = snapshot.endpoints.get(&name).ok_or_else(|| unknown(id))?;
    let version = Some(record.config_version);
    Ok(Answer::json(&view(id, &endpoint.document)).versions(version, version))
}

fn replaced(_: Vec<PermissionSpec>, asked: &[PermissionSpec]) -> Vec<PermissionSpec> {
    asked.to_vec()
}

fn merged(mut granted: Vec<PermissionSpec>, asked: &[PermissionSpec]) -> Vec<PermissionSpec> {
    granted.retain(|old| !asked.iter().any(|new| principal(new) == principal(old)));
    granted.extend_from_slice(asked);
    granted
}

/// The direct grants of a document; without any in it everyone may query, and that is what it then says.
fn granted(document: &EndpointSpec) -> Vec<PermissionSpec> {
    document.permissions.clone().unwrap_or_else(|| {
        vec![PermissionSpec {
            user_name: None,
            group_name: Some(EVERYONE.into()),
            service_principal_name: None,
            permission_level: PermissionLevel::CanQuery,
        }]
    })
}

/// Kind and name of the principal that a grant names; equal for grants to the same one.
fn principal(grant: &PermissionSpec) -> [Option<&str>; 3] {
    [&grant.user_name, &grant.group_name, &grant.service_principal_name].map(Option::as_deref)
}

fn each_names_one(grants: &[PermissionSpec]) -> Result<(), Refusal> {
    let refuse = |index: usize, what: &str| {
        let at = format!("access_control_list[{index}]");
        Err(Refusal::new(Reason::InvalidParameter, format!("{at}: {what}")).at(at))
    };
    for (index, grant) in grants.iter().enumerate() {
        if principal(grant).iter().flatten().count() != 1 {
            return refuse(index, "give exactly one of user_name, group_name and service_principal_name");
        }
        if grants.iter().take(index).any(|earlier| principal(earlier) == principal(grant)) {
            return refuse(index, "this principal has an entry above already; keep one of the two");
        }
    }
    Ok(())
}

fn view(id: &str, document: &EndpointSpec) -> EndpointPermissions {
    let direct =
        |permission_level| EffectivePermission { permission_level, inherited: false, inherited_from_object: None };
    let mut list: Vec<AccessControl> = granted(document)
        .into_iter()
        .map(|grant| AccessControl {
            user_name: grant.user_name,
            group_name: grant.group_name,
            service_principal_name: grant.service_principal_name,
            all_permissions: vec![direct(grant.permission_level)],
        })
        .collect();
    let inherited = EffectivePermission {
        permission_level: PermissionLevel::CanManage,
        inherited: true,
        inherited_from_object: Some(vec!["/serving-endpoints/"]),
    };
    match list.iter_mut().find(|holder| holder.group_name.as_deref() == Some(ADMINS)) {
        Some(admins) => admins.all_permissions.push(inherited),
        None => list.push(AccessControl {
            user_name: None,
            group_name: Some(ADMINS.into()),
            service_principal_name: None,
            all_permissions: vec![inherited],
        }),
    }
    EndpointPermissions {
        object_id: format!("/serving-endpoints/{id}"),
        object_type: "serving-endpoint",
        access_control_list: list,
    }
}

/// The endpoint of the request's id, if the caller has this level on it.
fn find<'s>(request: &Request, snapshot: &'s Snapshot, level: Level) -> Result<&'s Endpoint, ControlError> {
    let id = request.path("id");
    let (name, _) = found(&request.control, id)?;
    let endpoint = snapshot.endpoints.get(&name).ok_or_else(|| unknown(id))?;
    access::require(level, endpoint, &request.caller.principal)?;
    Ok(endpoint)
}

fn found(control: &Control, id: &str) -> Result<(Arc<str>, Arc<Record>), Refusal> {
    let records = control.store.records();
    let (name, record) = records.with_id(id).ok_or_else(|| unknown(id))?;
    Ok((name.clone(), record.clone()))
}

fn unknown(id: &str) -> Refusal {
    let text = format!(
        "no endpoint has the id {id}; permissions go by the `id` that GET /api/2.0/serving-endpoints shows, not by name"
    );
    Refusal::new(Reason::EndpointNotFound, text)
}

#[cfg(test)]
#[path = "permissions_tests.rs"]
mod tests;
