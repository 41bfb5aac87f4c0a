//! Errors as the contract shapes them (§1.2).

use axum::response::{IntoResponse, Response};
use http::header::{CONTENT_TYPE, RETRY_AFTER};
use weirgate_policy::door::{Door, Refusal};

use crate::ControlError;

/// A refusal on its way out. The response carries the [`Refusal`]'s reason as an extension, for the gateway's metrics.
#[derive(Debug)]
pub struct Problem(pub Refusal);

impl From<Refusal> for Problem {
    fn from(refusal: Refusal) -> Self {
        Problem(refusal)
    }
}

impl From<ControlError> for Problem {
    fn from(error: ControlError) -> Self {
        Problem(error.into_refusal())
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let rendered = self.0.render(Door::Databricks, "");
        let mut response = (
            http::StatusCode::from_u16(rendered.status).unwrap_or(http::StatusCode::INTERNAL_SERVER_ERROR),
            [
                (CONTENT_TYPE, "application/json"),
                (http::HeaderName::from_static("x-weirgate-reason"), self.0.reason.facts().name),
            ],
            rendered.body,
        )
            .into_response();
        if let Some(seconds) = rendered.retry_after {
            response.headers_mut().insert(RETRY_AFTER, seconds.into());
        }
        response.extensions_mut().insert(self.0.reason);
        response
    }
}
