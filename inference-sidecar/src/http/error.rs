//! Errors in OpenAI's shape, and the extractor that makes them of bad bodies.

use axum::Json;
use axum::body::Bytes;
use axum::extract::{FromRequest, Request};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::error::Category;

use super::BODY_LIMIT;
use crate::error::EngineError;

/// Seconds after which a client may come back to a busy or loading engine.
const RETRY_AFTER: HeaderValue = HeaderValue::from_static("1");

/// What a client is told.
#[derive(Debug)]
pub struct ApiError {
    status: StatusCode,
    kind: &'static str,
    code: Option<&'static str>,
    param: Option<String>,
    message: String,
}

/// The body of an error, also the last event of a stream that fails.
#[derive(Serialize)]
pub struct ErrorBody<'a> {
    error: ErrorFields<'a>,
}

#[derive(Serialize)]
struct ErrorFields<'a> {
    message: &'a str,
    #[serde(rename = "type")]
    kind: &'a str,
    param: Option<&'a str>,
    code: Option<&'a str>,
}

impl ApiError {
    fn new(status: StatusCode, kind: &'static str, code: Option<&'static str>, message: impl Into<String>) -> Self {
        ApiError { status, kind, code, param: None, message: message.into() }
    }

    fn bad_request(param: Option<String>, message: impl Into<String>) -> Self {
        ApiError { param, ..Self::new(StatusCode::BAD_REQUEST, "invalid_request_error", None, message) }
    }

    /// No such path.
    pub fn not_found(message: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, "invalid_request_error", None, message)
    }

    /// The path exists for another method.
    pub fn method_not_allowed() -> Self {
        Self::new(StatusCode::METHOD_NOT_ALLOWED, "invalid_request_error", None, "this route has another method")
    }

    /// The engine serves one model, and not this one.
    pub fn unknown_model(model: &str) -> Self {
        let (code, message) = (Some("model_not_found"), format!("the model {model:?} does not exist here"));
        let error = Self::new(StatusCode::NOT_FOUND, "invalid_request_error", code, message);
        ApiError { param: Some("model".into()), ..error }
    }

    /// The model does something else.
    pub fn wrong_task(model: &str, does: &str, route: &str) -> Self {
        Self::bad_request(Some("model".into()), format!("the model {model:?} makes {does}; use {route}"))
    }

    /// The model is not there yet.
    pub fn loading() -> Self {
        let status = StatusCode::SERVICE_UNAVAILABLE;
        Self::new(status, "server_error", Some("model_loading"), "the model is still loading; try again")
    }

    /// As the body of an answer or of a stream's last event.
    pub fn body(&self) -> ErrorBody<'_> {
        let param = self.param.as_deref();
        ErrorBody { error: ErrorFields { message: &self.message, kind: self.kind, param, code: self.code } }
    }
}

impl From<EngineError> for ApiError {
    fn from(error: EngineError) -> Self {
        let message = error.to_string();
        match error {
            EngineError::Request { param, .. } => Self::bad_request(param.map(str::to_owned), message),
            EngineError::Busy(_) => {
                Self::new(StatusCode::TOO_MANY_REQUESTS, "rate_limit_error", Some("engine_overloaded"), message)
            }
            EngineError::Read { .. }
            | EngineError::Model { .. }
            | EngineError::Listen { .. }
            | EngineError::Internal(_) => Self::new(StatusCode::INTERNAL_SERVER_ERROR, "server_error", None, message),
        }
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let mut response = (self.status, Json(self.body())).into_response();
        if matches!(self.status, StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE) {
            response.headers_mut().insert(header::RETRY_AFTER, RETRY_AFTER);
        }
        response
    }
}

/// A body read as JSON, whatever its content type says.
pub struct Body<T>(pub T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for Body<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, state: &S) -> Result<Self, ApiError> {
        let bytes = Bytes::from_request(request, state).await.map_err(|rejection| {
            if rejection.status() == StatusCode::PAYLOAD_TOO_LARGE {
                let message = format!("the body is larger than {BODY_LIMIT} bytes");
                ApiError::new(StatusCode::PAYLOAD_TOO_LARGE, "invalid_request_error", None, message)
            } else {
                ApiError::bad_request(None, rejection.body_text())
            }
        })?;
        let mut json = serde_json::Deserializer::from_slice(&bytes);
        let value = serde_path_to_error::deserialize(&mut json).map_err(|error| {
            let path = error.path().to_string();
            match error.inner().classify() {
                Category::Data if path != "." => {
                    ApiError::bad_request(Some(path.clone()), format!("{path}: {}", error.inner()))
                }
                Category::Data => ApiError::bad_request(None, error.inner().to_string()),
                _ => ApiError::bad_request(None, format!("the body is not JSON: {}", error.inner())),
            }
        })?;
        json.end().map_err(|error| ApiError::bad_request(None, format!("the body is not JSON: {error}")))?;
        Ok(Body(value))
    }
}
