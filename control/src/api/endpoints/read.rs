//! GET: one endpoint, or all that the caller may see.

use schemars::JsonSchema;
use serde::Serialize;
use weirgate_policy::permission::Level;

use super::view::{self, EndpointDetailed, EndpointSummary};
use super::{Answer, Method, Problem, Request, Route, unknown};
use crate::access;

pub(super) fn routes() -> Vec<Route> {
    let list = Route::new(Method::Get, "/api/2.0/serving-endpoints", "List the endpoints that you may see.", list);
    let get = Route::new(Method::Get, "/api/2.0/serving-endpoints/{name}", "Get an endpoint.", get);
    vec![list.answers::<EndpointList>(), get.answers::<EndpointDetailed>()]
}

/// All endpoints that the caller may see.
#[derive(Debug, Serialize, JsonSchema)]
struct EndpointList {
    /// By name; empty if there are none.
    endpoints: Vec<EndpointSummary>,
}

fn list(request: Request) -> Result<Answer, Problem> {
    let control = &*request.control;
    let (snapshot, records) = control.shown();
    let visible = snapshot
        .endpoints
        .values()
        .filter(|endpoint| access::level(endpoint, &request.caller.principal) >= Some(Level::View));
    let summary = |endpoint: &std::sync::Arc<weirgate_config::snapshot::Endpoint>| {
        Some(view::summary(&request, &snapshot, endpoint, records.get(&endpoint.name)?))
    };
    Ok(Answer::json(&EndpointList { endpoints: visible.filter_map(summary).collect() }))
}

fn get(request: Request) -> Result<Answer, Problem> {
    let (control, name) = (&*request.control, request.path("name"));
    let (snapshot, records) = control.shown();
    let endpoint = snapshot.endpoints.get(name).ok_or_else(|| unknown(name))?;
    access::require(Level::View, endpoint, &request.caller.principal)?;
    let record = records.get(name).ok_or_else(|| unknown(name))?;
    Ok(Answer::json(&view::detailed(&request, &snapshot, endpoint, record)))
}
