//! Answers and errors as the contract shapes them (§1, §1.2).

use axum::response::{IntoResponse, Response};
use http::header::{CONTENT_TYPE, HeaderName, HeaderValue, RETRY_AFTER};
use serde::Serialize;
use weirgate_policy::door::{Door, Refusal};
use weirgate_policy::reason::Reason;

use crate::ControlError;

const JSON: HeaderValue = HeaderValue::from_static("application/json");

/// What a handler answers with: always a 200 (contract §1: success is a JSON object, or text on the few routes that say so).
#[derive(Debug)]
pub struct Answer {
    content_type: HeaderValue,
    body: Option<Vec<u8>>,
    headers: Vec<(HeaderName, HeaderValue)>,
    pub(super) versions: (Option<u64>, Option<u64>),
}

impl Answer {
    /// A 200 with this object. A value that does not serialise to one is a fault of the route and becomes a 500.
    pub fn json(value: &impl Serialize) -> Self {
        let body = serde_json::to_vec(value).ok().filter(|body| body.first() == Some(&b'{'));
        Answer { content_type: JSON, body, headers: Vec::new(), versions: (None, None) }
    }

    /// `{}`: success without content (contract §1: never an empty body).
    pub fn empty() -> Self {
        Answer::json(&serde_json::Map::new())
    }

    /// A 200 with text of this content type.
    pub fn text(content_type: &'static str, text: impl Into<String>) -> Self {
        let (content_type, body) = (HeaderValue::from_static(content_type), text.into().into_bytes());
        Answer { content_type, body: Some(body), headers: Vec::new(), versions: (None, None) }
    }

    /// One more header.
    pub fn header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.push((name, value));
        self
    }

    /// The versions (`config_version` of an endpoint) before and after, for the audit log.
    pub fn versions(mut self, old: Option<u64>, new: Option<u64>) -> Self {
        self.versions = (old, new);
        self
    }
}

impl IntoResponse for Answer {
    fn into_response(self) -> Response {
        let Some(body) = self.body else {
            return Problem::new(
                Reason::Internal,
                "the answer is no JSON object: a fault of weirgate, please report it",
            )
            .into_response();
        };
        let mut response = ([(CONTENT_TYPE, self.content_type)], body).into_response();
        response.headers_mut().extend(self.headers);
        response
    }
}

/// A refusal on its way out. The response carries the [`Refusal`]'s reason as an extension, for the gateway's metrics.
#[derive(Debug)]
pub struct Problem(pub Refusal);

impl Problem {
    /// A refusal with a text.
    pub fn new(reason: Reason, message: impl Into<String>) -> Self {
        Problem(Refusal::new(reason, message))
    }
}

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
                (CONTENT_TYPE, JSON),
                (HeaderName::from_static("x-weirgate-reason"), HeaderValue::from_static(self.0.reason.facts().name)),
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
