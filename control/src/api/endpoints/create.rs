//! POST: a new endpoint.

use weirgate_config::document::{EndpointSpec, PermissionLevel, PermissionSpec};
use weirgate_config::rest::Flaws;
use weirgate_config::schema;
use weirgate_config::snapshot::EndpointKind;
use weirgate_policy::door::Refusal;
use weirgate_policy::identity::PrincipalKind;
use weirgate_policy::reason::Reason;

use super::judge::Trial;
use super::view::{self, EndpointDetailed};
use super::{Answer, Method, Problem, Request, Route, unknown};
use crate::lifecycle::{self, Step, all_ready, seal};
use crate::store::endpoints::{Author, Record};
use crate::{Caller, now_ms};

pub(super) fn routes() -> Vec<Route> {
    let route = Route::new(Method::Post, "/api/2.0/serving-endpoints", "Create an endpoint.", |request| {
        let (spec, flaws) = request.flawed_body(&schema::ENDPOINT, None)?;
        create(&request, spec, flaws)
    });
    vec![
        route
            .takes::<EndpointSpec>()
            .answers::<EndpointDetailed>()
            .audits("endpoint.create")
            .refuses(&[Reason::AlreadyExists, Reason::Conflict]),
    ]
}

/// Makes the endpoint, and what waits for its models wait.
pub(super) fn create(request: &Request, mut spec: EndpointSpec, flaws: Flaws) -> Result<Answer, Problem> {
    let (control, caller) = (&*request.control, &request.caller);
    let name = spec.name.clone();
    request.concerns(&name);
    prepare(&mut spec, caller);
    if !flaws.is_empty() {
        // The name may be none that a file could have.
        Trial { control, snapshot: &control.keeper.current(), caller }.brought(spec.clone(), flaws)?;
    }
    let by = Author::from(caller);
    lifecycle::change(control, &name, &by, |snapshot| {
        if snapshot.endpoints.contains_key(&*name) {
            let text = format!("there is an endpoint `{name}` already; choose another name, or update that one");
            return Err(Refusal::new(Reason::AlreadyExists, text).into());
        }
        let wanted = Trial { control, snapshot, caller }.brought(spec.clone(), Flaws::default())?;
        if wanted.kind == EndpointKind::External {
            spec.telemetry_config = None;
        }
        let mut record = Record::reserved(by.clone(), now_ms());
        let waits = !all_ready(&*control.plane, &wanted, None);
        if let Some(config) = spec.config.take_if(|_| waits) {
            record.start(config, by.clone(), now_ms());
        }
        let id = record.id.clone();
        // The name first: what is sealed belongs to a row from the beginning.
        control.store.change_records(|rows| rows.put(&name, record))?;
        if let Some(config) = &mut spec.config {
            seal(&control.store, &id, config)?;
        }
        Ok(Step::Document(Box::new(spec)))
    })?;
    let (snapshot, records) = control.shown();
    let endpoint = snapshot.endpoints.get(&*name).ok_or_else(|| unknown(&name))?;
    let record = records.get(&name).ok_or_else(|| unknown(&name))?;
    let shown = view::detailed(request, &snapshot, endpoint, record);
    Ok(Answer::json(&shown).versions(None, Some(record.config_version)))
}

/// The document that a body asks for.
fn prepare(spec: &mut EndpointSpec, caller: &Caller) {
    // MLflow's old call style cannot leave `config` out; it sends an empty one.
    spec.config = spec.config.take().map(lifecycle::config::with_names).filter(|config| *config != Default::default());
    spec.managed_by = None;
    let name = caller.principal.name.to_string();
    let creator = match caller.principal.kind {
        PrincipalKind::User => PermissionSpec { user_name: Some(name), ..NOBODY },
        PrincipalKind::ServicePrincipal => PermissionSpec { service_principal_name: Some(name), ..NOBODY },
    };
    let permissions = spec.permissions.get_or_insert_default();
    let same = |grant: &PermissionSpec| {
        grant.group_name.is_none()
            && grant.user_name == creator.user_name
            && grant.service_principal_name == creator.service_principal_name
    };
    permissions.retain(|grant| !same(grant));
    permissions.insert(0, creator);
}

const NOBODY: PermissionSpec = PermissionSpec {
    user_name: None,
    group_name: None,
    service_principal_name: None,
    permission_level: PermissionLevel::CanManage,
};
