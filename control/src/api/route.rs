//! One route: method, path, handler, and what the OpenAPI document says of it.

use std::sync::Arc;

use schemars::{JsonSchema, SchemaGenerator};
use weirgate_policy::reason::Reason;

use super::{Answer, Problem, Request};

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

impl Method {
    /// As on the wire.
    pub fn name(self) -> &'static str {
        match self {
            Method::Get => "GET",
            Method::Post => "POST",
            Method::Put => "PUT",
            Method::Patch => "PATCH",
            Method::Delete => "DELETE",
        }
    }
}

/// Handlers run on a thread that may block.
pub(super) type Handler = Arc<dyn Fn(Request) -> Result<Answer, Problem> + Send + Sync>;
/// Adds a type to the document's schemas and names it.
pub(super) type Schema = fn(&mut SchemaGenerator) -> schemars::Schema;

/// A parameter of the query string.
#[derive(Debug, Clone, Copy)]
pub(super) struct Query {
    pub(super) name: &'static str,
    pub(super) required: bool,
    pub(super) what: &'static str,
}

/// What a route answers with.
#[derive(Clone, Copy)]
pub(super) enum Output {
    /// A JSON object nobody has described more closely.
    Object,
    /// An object of this type.
    Typed(Schema),
    /// Text of this content type.
    Text(&'static str),
}

/// One route of the API.
pub struct Route {
    pub(super) method: Method,
    pub(super) path: &'static str,
    pub(super) handler: Handler,
    pub(super) summary: &'static str,
    pub(super) admin: bool,
    pub(super) action: Option<&'static str>,
    pub(super) input: Option<Schema>,
    pub(super) output: Output,
    pub(super) query: Vec<Query>,
    pub(super) refuses: Vec<Reason>,
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
            action: None,
            input: None,
            output: Output::Object,
            query: Vec::new(),
            refuses: Vec::new(),
        }
    }

    /// Only for administrators; others get 403.
    pub fn admin(mut self) -> Self {
        self.admin = true;
        self
    }

    /// Writes an audit entry of this action (`endpoint.create`) for each call, granted or refused. Its target is what the handler gave to
    /// [`Request::concerns`], else the path's parameters; its versions are those of [`Answer::versions`].
    pub fn audits(mut self, action: &'static str) -> Self {
        self.action = Some(action);
        self
    }

    /// The type of the request's body, for the document.
    pub fn takes<T: JsonSchema>(mut self) -> Self {
        self.input = Some(|generator| generator.subschema_for::<T>());
        self
    }

    /// The type of the answer's body, for the document.
    pub fn answers<T: JsonSchema>(mut self) -> Self {
        self.output = Output::Typed(|generator| generator.subschema_for::<T>());
        self
    }

    /// The content type of an answer that is text, for the document.
    pub fn answers_text(mut self, content_type: &'static str) -> Self {
        self.output = Output::Text(content_type);
        self
    }

    /// A parameter of the query string: name, whether it is required, what it is.
    pub fn asks(mut self, name: &'static str, required: bool, what: &'static str) -> Self {
        self.query.push(Query { name, required, what });
        self
    }

    /// Refusals beyond those that follow from path, parameters and body, for the document.
    pub fn refuses(mut self, reasons: &[Reason]) -> Self {
        self.refuses.extend(reasons);
        self
    }
}
