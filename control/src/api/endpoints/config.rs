//! PUT config and POST config/cancel (contract §§4.1-4.4).

use std::collections::BTreeSet;

use weirgate_config::document::{ConfigSpec, EndpointSpec};
use weirgate_config::rest::Flaws;
use weirgate_config::snapshot::EndpointKind;
use weirgate_config::{Pointer, Problem as Finding};
use weirgate_policy::door::Refusal;
use weirgate_policy::reason::Reason;

use super::judge::Trial;
use super::view::EndpointDetailed;
use super::{Answer, Method, Problem, Request, Route, Target, change_and_show, form};
use crate::lifecycle::config::{entities, with_names};
use crate::lifecycle::{Step, all_ready, seal};
use crate::store::endpoints::Author;
use crate::{ControlError, now_ms};

pub(super) fn routes() -> Vec<Route> {
    let put = Route::new(
        Method::Put,
        "/api/2.0/serving-endpoints/{name}/config",
        "Replace the served entities of an endpoint, its traffic split, or both. The old config serves until the new one is ready.",
        |request| {
            let form = form!(ConfigBody, Some("config"));
            change_and_show(&request, form, |target, body: ConfigBody, flaws| {
                update(&request, target, body.config, flaws, false)
            })
        },
    );
    let cancel = Route::new(
        Method::Post,
        "/api/2.0/serving-endpoints/{name}/config/cancel",
        "Cancel the update of an endpoint's config that is in progress.",
        cancel,
    );
    vec![
        put.takes::<ConfigSpec>().answers::<EndpointDetailed>().audits("endpoint.config").refuses(&[Reason::Conflict]),
        cancel.answers::<EndpointDetailed>().audits("endpoint.config_cancel").refuses(&[Reason::Conflict]),
    ]
}

/// The body of PUT config, at its place in the document.
#[derive(Debug, serde::Deserialize, schemars::JsonSchema)]
#[schemars(deny_unknown_fields)]
struct ConfigBody {
    config: ConfigSpec,
}

/// Makes a config the active one, now or (unless `at_once`) when its models are ready.
pub(super) fn update(
    request: &Request,
    target: &Target<'_>,
    body: ConfigSpec,
    mut flaws: Flaws,
    at_once: bool,
) -> Result<Step, ControlError> {
    let control = &*request.control;
    // Another gateway on the same state may have begun one a moment ago.
    let record = control.store.change_records(|rows| rows.get(request.path("name")))?;
    if record.is_some_and(|record| record.pending().is_some()) {
        return Err(in_progress(request.path("name")));
    }
    let mut spec = target.document();
    let trial = Trial::of(request, target);
    let brings_entities = body.served_entities.is_some() || body.served_models.is_some();
    let (config, problems) = merged(spec.config.take(), body);
    flaws.add(problems);
    flaws.add(other_side(target.endpoint.kind, &config));
    spec.config = Some(config);
    let wanted = if brings_entities {
        trial.brought(EndpointSpec::clone(&spec), flaws)?
    } else {
        trial.kept(&spec, &target.record, flaws)?
    };
    if at_once || all_ready(&*control.plane, &wanted, Some(target.endpoint)) {
        if let Some(config) = spec.config.as_mut().filter(|_| brings_entities) {
            seal(&control.store, &target.record.id, config)?;
        }
        return Ok(Step::Config(spec));
    }
    let (name, by) = (request.path("name"), Author::from(&request.caller));
    control.store.change_records(|rows| {
        let mut record = rows.get(name)?.ok_or_else(|| super::unknown(name))?;
        if !record.start(spec.config.take().unwrap_or_default(), by, now_ms()) {
            return Err(in_progress(name));
        }
        rows.put(name, record)
    })?;
    Ok(Step::Row)
}

fn in_progress(name: &str) -> ControlError {
    let text =
        format!("an update of endpoint {name} is in progress; wait for its end, or cancel it with POST config/cancel");
    Refusal::new(Reason::Conflict, text).into()
}

/// What becomes of a config by a request that gives some of its parts (contract §§4.3, 4.4).
fn merged(before: Option<ConfigSpec>, body: ConfigSpec) -> (ConfigSpec, Vec<Finding>) {
    let root = Pointer::root();
    let body = with_names(body);
    let brings_entities = body.served_entities.is_some() || body.served_models.is_some();
    if !brings_entities {
        let why = match (&body.traffic_config, &before) {
            (None, _) => "give `served_entities`, `traffic_config`, or both",
            (Some(_), None) => "the endpoint has no served entities yet; give `served_entities`",
            (Some(_), Some(_)) => "",
        };
        let problems = if why.is_empty() { Vec::new() } else { vec![Finding::error(root.key("config"), why)] };
        let traffic_config = body.traffic_config;
        let before = before.unwrap_or_default();
        let auto_capture_config = body.auto_capture_config.or(before.auto_capture_config);
        return (ConfigSpec { traffic_config, auto_capture_config, ..before }, problems);
    }
    let before = before.unwrap_or_default();
    let names = |config: &ConfigSpec| entities(config).into_iter().map(|(name, _)| name).collect::<BTreeSet<_>>();
    let kept = before.traffic_config.clone().filter(|_| names(&before) == names(&body));
    let config = ConfigSpec {
        traffic_config: body.traffic_config.or(kept),
        auto_capture_config: body.auto_capture_config.or(before.auto_capture_config),
        ..body
    };
    (config, Vec::new())
}

/// Rule 5 of contract §4.2. A config with both kinds breaks another rule.
fn other_side(kind: EndpointKind, config: &ConfigSpec) -> Option<Finding> {
    let sides: BTreeSet<bool> =
        config.served_entities.iter().flatten().map(|entity| entity.external_model.is_some()).collect();
    let side = match (config.served_models.is_some(), sides.len()) {
        (true, _) => false,
        (false, 1) => sides.contains(&true),
        (false, _) => return None,
    };
    let text = match (kind, side) {
        (EndpointKind::External, false) => {
            "an endpoint of external models cannot be updated to one without; create another endpoint"
        }
        (EndpointKind::Foundation | EndpointKind::Custom, true) => {
            "an endpoint without external models cannot be updated to one with them; create another endpoint"
        }
        _ => return None,
    };
    Some(Finding::error(Pointer::root().key("config").key("served_entities"), text))
}

fn cancel(request: Request) -> Result<Answer, Problem> {
    change_and_show(&request, form!(Nothing), |target, _: Nothing, _| {
        let name = &*target.endpoint.name;
        request.control.store.change_records(|rows| {
            let mut record = rows.get(name)?.ok_or_else(|| super::unknown(name))?;
            if !record.cancel(now_ms()) {
                let text = format!("no update of endpoint {name} is in progress");
                return Err(Refusal::new(Reason::Conflict, text).into());
            }
            rows.put(name, record)
        })?;
        Ok(Step::Row)
    })
}

/// A body without content.
#[derive(Debug, serde::Deserialize, schemars::JsonSchema)]
#[schemars(deny_unknown_fields)]
struct Nothing {}
