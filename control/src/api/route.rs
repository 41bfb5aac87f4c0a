//! One route: method, path, handler, and what the OpenAPI document says of it.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::body::Bytes;
use schemars::{JsonSchema, SchemaGenerator};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use weirgate_config::structure::Shape;
use weirgate_policy::door::Refusal;

use super::Problem;
use crate::{Caller, Control};

/// Methods that the API uses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[allow(missing_docs, reason = "HTTP's own names")]
pub enum Method {
    Get,
    Post,
    Put,
    Patch,
    Delete,
}

/// A request as a handler sees it.
pub struct Request {
    /// Everything that there is to work on.
    pub control: Arc<Control>,
    /// Who asks.
    pub caller: Caller,
    path: BTreeMap<String, String>,
    query: BTreeMap<String, String>,
    body: Bytes,
}

impl Request {
    /// A segment of the path, percent-decoded. Empty if the route has no such segment.
    pub fn path(&self, _name: &str) -> &str {
        unimplemented!("helper D")
    }

    /// A parameter of the query string.
    pub fn query(&self, _name: &str) -> Option<&str> {
        unimplemented!("helper D")
    }

    /// The body, judged by the schema of its type (see [`weirgate_config::rest::read`]).
    pub fn body<T: DeserializeOwned>(&self, _shape: &Shape) -> Result<T, Refusal> {
        unimplemented!("helper D")
    }
}

/// What a handler answers with.
#[derive(Debug)]
pub enum Answer {
    /// 200 with a JSON object.
    Json(Value),
    /// 200 with text of this content type.
    Text(&'static str, String),
}

impl Answer {
    /// A 200 with this object.
    pub fn json(_value: &impl Serialize) -> Self {
        unimplemented!("helper D")
    }

    /// `{}`: success without content (contract §1: never an empty body).
    pub fn empty() -> Self {
        Answer::Json(Value::Object(serde_json::Map::new()))
    }
}

/// Handlers run on a thread that may block.
type Handler = Arc<dyn Fn(Request) -> Result<Answer, Problem> + Send + Sync>;

/// One route of the API.
pub struct Route {
    method: Method,
    path: &'static str,
    handler: Handler,
    summary: &'static str,
    admin: bool,
    input: Option<fn(&mut SchemaGenerator) -> schemars::Schema>,
    output: Option<fn(&mut SchemaGenerator) -> schemars::Schema>,
    query: Vec<(&'static str, bool, &'static str)>,
}

impl Route {
    /// A route; `{name}` in the path is a segment.
    pub fn new(
        method: Method,
        path: &'static str,
        summary: &'static str,
        handler: impl Fn(Request) -> Result<Answer, Problem> + Send + Sync + 'static,
    ) -> Self {
        Route {
            method,
            path,
            handler: Arc::new(handler),
            summary,
            admin: false,
            input: None,
            output: None,
            query: Vec::new(),
        }
    }

    /// Only for administrators; others get 403.
    pub fn admin(mut self) -> Self {
        self.admin = true;
        self
    }

    /// The type of the request's body, for the document.
    pub fn takes<T: JsonSchema>(mut self) -> Self {
        self.input = Some(|generator| generator.subschema_for::<T>());
        self
    }

    /// The type of the answer's body, for the document.
    pub fn answers<T: JsonSchema>(mut self) -> Self {
        self.output = Some(|generator| generator.subschema_for::<T>());
        self
    }

    /// A parameter of the query string: name, whether it is required, what it is.
    pub fn asks(mut self, name: &'static str, required: bool, what: &'static str) -> Self {
        self.query.push((name, required, what));
        self
    }
}

pub(super) fn router(_routes: Vec<Route>, _control: Arc<Control>) -> axum::Router {
    unimplemented!("helper D")
}
