//! What can be seen of a running endpoint: metrics, logs, and the schema of its queries.

use std::sync::Arc;

use schemars::JsonSchema;
use serde::Serialize;
use weirgate_config::snapshot::{Endpoint, Snapshot, Target};
use weirgate_policy::door::Refusal;
use weirgate_policy::permission::Level;
use weirgate_policy::reason::Reason;

use super::{Answer, Method, Problem, Request, Route, query_schema};
use crate::access;

/// Prometheus' text exposition format.
const METRICS: &str = "text/plain; version=0.0.4; charset=utf-8";

pub(super) fn routes() -> Vec<Route> {
    vec![
        Route::new(Method::Get, "/api/2.0/serving-endpoints/{name}/metrics", "Its metrics, for Prometheus.", metrics)
            .answers_text(METRICS),
        Route::new(
            Method::Get,
            "/api/2.0/serving-endpoints/{name}/openapi",
            "An OpenAPI document of its query routes.",
            openapi,
        )
        .refuses(&[Reason::EndpointNotReady]),
        Route::new(
            Method::Get,
            "/api/2.0/serving-endpoints/{name}/served-models/{served}/logs",
            "The last lines of a served entity's engine.",
            logs,
        )
        .answers::<ServedModelLogs>(),
        Route::new(
            Method::Get,
            "/api/2.0/serving-endpoints/{name}/served-models/{served}/build-logs",
            "The log of a served entity's build.",
            build_logs,
        )
        .answers::<ServedModelLogs>(),
    ]
}

/// A log.
#[derive(Debug, Serialize, JsonSchema)]
struct ServedModelLogs {
    /// Its lines.
    logs: String,
}

fn metrics(request: Request) -> Result<Answer, Problem> {
    let endpoint = find(&request)?;
    Ok(Answer::text(METRICS, request.control.plane.metrics(&endpoint.name)))
}

fn openapi(request: Request) -> Result<Answer, Problem> {
    let endpoint = find(&request)?;
    match query_schema::document(&endpoint) {
        Some(document) => Ok(Answer::json(&document)),
        None => Err(Problem::new(
            Reason::EndpointNotReady,
            format!("endpoint {} serves nothing yet, so its queries have no form; give it a config", endpoint.name),
        )),
    }
}

fn logs(request: Request) -> Result<Answer, Problem> {
    let logs = match served(&request)? {
        Target::External(_) => String::new(),
        Target::Local(model) => request.control.plane.log(&model.id),
    };
    Ok(Answer::json(&ServedModelLogs { logs }))
}

fn build_logs(request: Request) -> Result<Answer, Problem> {
    let logs = match served(&request)? {
        Target::External(_) => String::new(),
        Target::Local(model) => format!("nothing is built for {}: its files are served as they are\n", model.id),
    };
    Ok(Answer::json(&ServedModelLogs { logs }))
}

/// The endpoint of the request's name, if the caller may see it.
fn find(request: &Request) -> Result<Arc<Endpoint>, Refusal> {
    let snapshot: Arc<Snapshot> = request.control.keeper.current();
    let name = request.path("name");
    let Some(endpoint) = snapshot.endpoints.get(name) else {
        return Err(Refusal::new(Reason::EndpointNotFound, format!("there is no endpoint {name}")));
    };
    access::require(Level::View, endpoint, &request.caller.principal)?;
    Ok(endpoint.clone())
}

/// Who answers for the request's served entity.
fn served(request: &Request) -> Result<Target, Refusal> {
    let endpoint = find(request)?;
    let served = request.path("served");
    let entity = endpoint.entities.iter().find(|entity| *entity.name == *served);
    entity.map(|entity| entity.target.clone()).ok_or_else(|| {
        let text = format!("endpoint {} serves no model called {served}", endpoint.name);
        Refusal::new(Reason::ServedEntityNotFound, text)
    })
}
