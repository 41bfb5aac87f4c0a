//! What can be seen of a running endpoint: metrics, logs, and the schema of its queries.

use std::sync::Arc;

use schemars::JsonSchema;
use serde::Serialize;
use weirgate_config::snapshot::{Endpoint, ModelId};
use weirgate_policy::door::Refusal;
use weirgate_policy::permission::Level;
use weirgate_policy::reason::Reason;

use super::{Answer, Method, Problem, Request, Route, query_schema};
use crate::access;
use crate::lifecycle::config;
use crate::store::endpoints::{Failed, Update};

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
    let logs = served(&request)?.map_or_else(String::new, |model| request.control.plane.log(&model));
    Ok(Answer::json(&ServedModelLogs { logs }))
}

fn build_logs(request: Request) -> Result<Answer, Problem> {
    let logs = served(&request)?
        .map_or_else(String::new, |model| format!("nothing is built for {model}: its files are served as they are\n"));
    Ok(Answer::json(&ServedModelLogs { logs }))
}

/// The endpoint of the request's name, if the caller may see it.
fn find(request: &Request) -> Result<Arc<Endpoint>, Refusal> {
    let snapshot = request.control.shown().0;
    let name = request.path("name");
    let Some(endpoint) = snapshot.endpoints.get(name) else {
        return Err(Refusal::new(Reason::EndpointNotFound, format!("there is no endpoint {name}")));
    };
    access::require(Level::View, endpoint, &request.caller.principal)?;
    Ok(endpoint.clone())
}

/// The model of the request's served entity; `None` if it is a provider's. Where the active config has no such entity it may be one that
/// is being deployed, or that failed to.
fn served(request: &Request) -> Result<Option<ModelId>, Refusal> {
    let endpoint = find(request)?;
    let record = request.control.store.record(&endpoint.name);
    let waiting = record.as_deref().and_then(|record| match &record.update {
        Update::InProgress(pending) | Update::UpdateFailed(Failed { pending, .. }) => Some(&pending.config),
        Update::NotUpdating | Update::UpdateCanceled => None,
    });
    let configs = endpoint.document.config.iter().chain(waiting);
    let served = request.path("served");
    match configs.flat_map(config::entities).find(|(name, _)| name == served) {
        Some((_, entity)) => Ok(config::model(&entity)),
        None => {
            let text = format!("endpoint {} has no served entity called {served}", endpoint.name);
            Err(Refusal::new(Reason::ServedEntityNotFound, text))
        }
    }
}
