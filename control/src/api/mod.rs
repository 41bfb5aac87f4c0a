//! The REST API: one table of routes, from which the axum router and the OpenAPI document are both made.

mod answer;
mod catalog;
mod endpoints;
#[cfg(test)]
pub(crate) mod fixture;
mod gate;
mod gateway;
mod me;
mod observe;
mod openapi;
mod permissions;
mod query_schema;
mod request;
mod route;
mod router;
mod secrets;
mod tokens;

use std::sync::Arc;

pub use answer::{Answer, Problem};
pub use gateway::{OAUTH_PATH, oauth_refusal};
pub use request::Request;
pub use route::{Method, Route};

use crate::Control;

/// Every route of the control API.
fn routes() -> Vec<Route> {
    let areas = [
        catalog::routes(),
        endpoints::routes(),
        gateway::routes(),
        me::routes(),
        observe::routes(),
        permissions::routes(),
        secrets::routes(),
        tokens::routes(),
        vec![openapi::route()],
    ];
    areas.into_iter().flatten().collect()
}

/// The control API. Paths come without a slash at the end; every request carries a [`crate::Caller`] in its extensions.
pub fn router(control: Arc<Control>) -> axum::Router {
    router::router(routes(), control)
}

#[cfg(test)]
#[path = "api_tests.rs"]
mod tests;
