//! Changes of one endpoint by the API: one after the other, in step with edits of its file.

use weirgate_config::document::EndpointSpec;
use weirgate_config::{Edit, EditError, Snapshot};
use weirgate_policy::door::Refusal;
use weirgate_policy::reason::Reason;

use crate::store::endpoints::{Author, fingerprint};
use crate::{Control, ControlError, now_ms};

/// What becomes of the endpoint.
pub(crate) enum Step {
    /// This document, with the config that is active.
    Document(Box<EndpointSpec>),
    /// This document, with a config that becomes the active one: a new version even if it is the same.
    Config(Box<EndpointSpec>),
    /// Nothing: the endpoint is gone.
    Remove,
    /// The document stays; only the row has changed.
    Row,
}

/// Why the keeper does not write.
enum Stop {
    Row,
    Error(ControlError),
}

impl From<EditError> for Stop {
    fn from(error: EditError) -> Self {
        Stop::Error(error.into())
    }
}

/// Does what `decide` says. It runs under the keeper's lock, so that what it sees and what it writes into the row hold together with the
/// document. When this returns, the change is served, and the row has taken note of it.
pub(crate) fn change(
    control: &Control,
    name: &str,
    by: &Author,
    decide: impl FnOnce(&Snapshot) -> Result<Step, ControlError>,
) -> Result<(), ControlError> {
    let store = &control.store;
    let document = || store.record(name).and_then(|record| record.document.clone());
    let (mut before, mut is_config) = (None, false);
    let done = control.keeper.edit(name, |snapshot| {
        let step = decide(snapshot).map_err(Stop::Error)?;
        before = document();
        is_config = matches!(step, Step::Config(_));
        match step {
            Step::Document(spec) | Step::Config(spec) => {
                store.announce_edit(name, fingerprint(&*spec), by.clone());
                Ok(Edit::Put(spec))
            }
            Step::Remove => {
                store.announce_edit(name, String::new(), by.clone());
                Ok(Edit::Delete)
            }
            Step::Row => Err(Stop::Row),
        }
    });
    store.announce_nothing();
    match done {
        Ok(served) if store.records().snapshot().is_some_and(|shown| shown.generation < served.generation) => {
            let text = "the change is served, but could not be recorded yet; the gateway goes on trying. Look before you repeat it";
            Err(Refusal::new(Reason::Overloaded, text).into())
        }
        // What was written is what was there: nobody else takes note of that.
        Ok(_) if before.is_some() && before == document() => store.change_records(|rows| {
            if let Some(mut record) = rows.get(name)? {
                if is_config {
                    record.reaffirm(now_ms())
                } else {
                    record.touch(now_ms())
                }
                rows.put(name, record)?;
            }
            Ok(())
        }),
        Ok(_) | Err(Stop::Row) => Ok(()),
        Err(Stop::Error(error)) => Err(error),
    }
}
