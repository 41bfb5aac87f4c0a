//! The endpoints themselves (contract §2.2): what is asked for goes into their documents, what is answered comes from documents and rows.

mod config;
mod create;
mod judge;
mod limits;
mod model_units;
mod read;
mod remove;
mod settings;
mod tags;
mod view;

use std::sync::Arc;

use serde::Serialize;
use serde::de::DeserializeOwned;
use weirgate_config::Snapshot;
use weirgate_config::document::EndpointSpec;
use weirgate_config::rest::Flaws;
use weirgate_config::snapshot::Endpoint;
use weirgate_config::structure::Shape;
use weirgate_policy::door::Refusal;
use weirgate_policy::permission::Level;
use weirgate_policy::reason::Reason;

use super::{Answer, Method, Problem, Request, Route};
use crate::lifecycle::{self, Step};
use crate::store::endpoints::{Author, Record};
use crate::{Caller, Control, ControlError, access};

/// The form of a body, made from its type when it is first needed.
macro_rules! form {
    ($type:ty) => {
        form!($type, None)
    };
    ($type:ty, $under:expr) => {{
        static SHAPE: std::sync::LazyLock<weirgate_config::structure::Shape> =
            std::sync::LazyLock::new(|| weirgate_config::structure::Shape::new(weirgate_config::schema::of::<$type>()));
        $crate::api::endpoints::Form { shape: &SHAPE, under: $under }
    }};
}
use form;

pub(super) fn routes() -> Vec<Route> {
    [
        create::routes(),
        read::routes(),
        remove::routes(),
        config::routes(),
        tags::routes(),
        limits::routes(),
        settings::routes(),
        model_units::routes(),
    ]
    .into_iter()
    .flatten()
    .collect()
}

fn unknown(name: &str) -> Refusal {
    Refusal::new(Reason::EndpointNotFound, format!("there is no endpoint `{name}`"))
}

/// An endpoint that a caller may change over this API, with its row.
struct Target<'s> {
    snapshot: &'s Snapshot,
    endpoint: &'s Endpoint,
    record: Arc<Record>,
}

impl<'s> Target<'s> {
    fn find(control: &Control, snapshot: &'s Snapshot, name: &str, caller: &Caller) -> Result<Self, Refusal> {
        let endpoint = snapshot.endpoints.get(name).ok_or_else(|| unknown(name))?;
        access::require(Level::Manage, endpoint, &caller.principal)?;
        access::changeable(endpoint)?;
        let record = control.store.record(name).ok_or_else(|| unknown(name))?;
        Ok(Target { snapshot, endpoint, record })
    }

    /// The document to be changed.
    fn document(&self) -> Box<EndpointSpec> {
        Box::new(EndpointSpec::clone(&self.endpoint.document))
    }
}

/// The form of a body.
struct Form {
    shape: &'static Shape,
    /// The part of the document that the body is, if it is one.
    under: Option<&'static str>,
}

/// Changes the endpoint that the path names as `decide` makes of the body, and answers with what `answer` makes of it afterwards.
///
/// A body with flaws comes to `decide` too, for it to add those that it finds; it is refused in any case.
fn change<B: DeserializeOwned, T: Serialize>(
    request: &Request,
    form: Form,
    decide: impl FnOnce(&Target<'_>, B, Flaws) -> Result<Step, ControlError>,
    answer: impl FnOnce(&Endpoint, &Record) -> T,
) -> Result<Answer, Problem> {
    let (control, caller, name) = (&*request.control, &request.caller, request.path("name"));
    // Who may not change the endpoint learns nothing more; and no lock is held while a body is read.
    Target::find(control, &control.shown().0, name, caller)?;
    let (body, flaws) = request.flawed_body(form.shape, form.under)?;
    let mut version = None;
    lifecycle::change(control, name, &Author::from(caller), |snapshot| {
        let target = Target::find(control, snapshot, name, caller)?;
        version = Some(target.record.config_version);
        decide(&target, body, flaws)
    })?;
    let (snapshot, records) = control.shown();
    // Someone may have deleted it a moment later.
    let endpoint = snapshot.endpoints.get(name).ok_or_else(|| unknown(name))?;
    let record = records.get(name).ok_or_else(|| unknown(name))?;
    Ok(Answer::json(&answer(endpoint, record)).versions(version, Some(record.config_version)))
}

/// The same for routes that answer with the whole endpoint.
fn change_and_show<B: DeserializeOwned>(
    request: &Request,
    form: Form,
    decide: impl FnOnce(&Target<'_>, B, Flaws) -> Result<Step, ControlError>,
) -> Result<Answer, Problem> {
    change(request, form, decide, |endpoint, record| {
        view::detailed(request, &request.control.shown().0, endpoint, record)
    })
}

#[cfg(test)]
mod bodies_tests;
#[cfg(test)]
mod testbed;
#[cfg(test)]
#[path = "endpoints_tests.rs"]
mod tests;
