//! A request as a handler sees it.

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};

use axum::body::Bytes;
use serde::de::DeserializeOwned;
use weirgate_config::rest::{self, BodyError, Flaws};
use weirgate_config::structure::Shape;
use weirgate_policy::door::Refusal;
use weirgate_policy::reason::Reason;

use crate::{Caller, Control};

/// Names and decoded values of the path's parameters, in order.
pub(super) type Parameters = Vec<(&'static str, String)>;

/// A request as a handler sees it.
pub struct Request {
    /// Everything that there is to work on.
    pub control: Arc<Control>,
    /// Who asks.
    pub caller: Caller,
    pub(super) path: Parameters,
    pub(super) query: BTreeMap<String, String>,
    pub(super) body: Bytes,
    pub(super) host: Option<String>,
    /// Shared with the router, which wants it after the handler has consumed the request.
    pub(super) target: Arc<OnceLock<String>>,
}

impl Request {
    /// A segment of the path, percent-decoded. Empty if the route has no such segment.
    pub fn path(&self, name: &str) -> &str {
        self.path.iter().find(|(known, _)| *known == name).map_or("", |(_, value)| value)
    }

    /// A parameter of the query string; the last one if it is there twice.
    pub fn query(&self, name: &str) -> Option<&str> {
        self.query.get(name).map(String::as_str)
    }

    /// The URL of a path on this gateway, as the caller would reach it; the path alone if the request names no host.
    pub fn url(&self, path: &str) -> String {
        let tls = self.control.keeper.current().settings.listeners.iter().all(|listener| listener.tls.is_some());
        let scheme = if tls { "https" } else { "http" };
        self.host.as_ref().map_or_else(|| path.to_owned(), |host| format!("{scheme}://{host}{path}"))
    }

    /// The body, judged by the schema of its type (see [`weirgate_config::rest::read`]).
    ///
    /// # Errors
    /// [`Reason::InvalidJson`] if it is no JSON object, [`Reason::InvalidParameter`] with all that is wrong in it otherwise.
    pub fn body<T: DeserializeOwned>(&self, shape: &Shape) -> Result<T, Refusal> {
        rest::read(&self.body, shape).map_err(|error| match error {
            BodyError::NotAnObject(why) => Refusal::new(Reason::InvalidJson, why),
            BodyError::Invalid(problems) => Refusal::new(Reason::InvalidParameter, rest::sentence(&problems)),
        })
    }

    /// The body as far as it can be read, with what is wrong with it so far (see [`weirgate_config::rest::read_flawed`]).
    ///
    /// # Errors
    /// [`Reason::InvalidJson`] if it is no JSON object, [`Reason::InvalidParameter`] if nothing of it can be read.
    pub fn flawed_body<T: DeserializeOwned>(
        &self,
        shape: &Shape,
        under: Option<&'static str>,
    ) -> Result<(T, Flaws), Refusal> {
        let (body, flaws) =
            rest::read_flawed(&self.body, shape, under).map_err(|why| Refusal::new(Reason::InvalidJson, why))?;
        Ok((body.ok_or_else(|| Refusal::new(Reason::InvalidParameter, flaws.to_string()))?, flaws))
    }

    /// Names what the request is about, for the audit log, where the path does not: an endpoint's name, `scope/key`. Call it as soon as it
    /// is known, so that a refusal is recorded with it. The first call counts.
    pub fn concerns(&self, target: &str) {
        // Bounded: it may come from a body that is refused for it.
        let _ = self.target.set(target.chars().take(200).collect());
    }
}
