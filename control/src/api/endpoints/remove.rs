//! DELETE: at any time; the name is free again at once.

use super::{Answer, Method, Problem, Request, Route, Target};
use crate::lifecycle::{self, Step};
use crate::store::endpoints::Author;

pub(super) fn routes() -> Vec<Route> {
    let summary = "Delete an endpoint; requests in flight finish.";
    vec![Route::new(Method::Delete, "/api/2.0/serving-endpoints/{name}", summary, remove).audits("endpoint.delete")]
}

fn remove(request: Request) -> Result<Answer, Problem> {
    let (control, name) = (&*request.control, request.path("name"));
    // A path may hold anything; what is no endpoint's name is just not there.
    Target::find(control, &control.shown().0, name, &request.caller)?;
    let mut before = None;
    lifecycle::change(control, name, &Author::from(&request.caller), |snapshot| {
        before = Some(Target::find(control, snapshot, name, &request.caller)?.record);
        Ok(Step::Remove)
    })?;
    if let Some(record) = &before {
        lifecycle::unseal(&control.store, &record.id);
    }
    Ok(Answer::empty().versions(before.map(|record| record.config_version), None))
}
