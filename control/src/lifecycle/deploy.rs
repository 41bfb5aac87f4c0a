//! Configs that wait for their models: applied when all are ready, given up when one fails or the time is over.

use std::collections::BTreeMap;
use std::time::Duration;

use weirgate_config::Snapshot;
use weirgate_config::document::{ConfigSpec, EndpointSpec};
use weirgate_config::snapshot::{Endpoint, Target};
use weirgate_policy::door::Refusal;
use weirgate_policy::reason::Reason;

use super::config::{entities, model};
use super::{Step, change};
use crate::store::endpoints::{Author, Pending};
use crate::{Control, ControlError, DataPlane, Deployment, now_ms};

/// What a config that waits comes to.
#[derive(Debug, PartialEq)]
pub(crate) enum Verdict {
    /// Not all models are ready yet.
    Wait,
    /// All are.
    Ready,
    /// It never will be, because of these entities.
    Fail(BTreeMap<String, String>),
}

impl Verdict {
    /// From where each served entity's model stands (`None`: the catalogue has no such model any more), and how long the config has waited.
    pub(crate) fn of(models: &[(String, Option<Deployment>)], waited: Duration, at_most: Duration) -> Self {
        let late = waited >= at_most;
        let reason = |deployment: &Option<Deployment>| match deployment {
            None => Some("catalog.yaml has this model no longer".to_owned()),
            Some(Deployment::Failed(why)) => Some(why.clone()),
            Some(Deployment::Creating | Deployment::Recovering) if late => {
                Some(format!("the model was not ready within {} s (engine.deploy_timeout)", at_most.as_secs()))
            }
            Some(_) => None,
        };
        let reasons: BTreeMap<_, _> =
            models.iter().filter_map(|(name, deployment)| Some((name.clone(), reason(deployment)?))).collect();
        if !reasons.is_empty() {
            Verdict::Fail(reasons)
        } else if models.iter().all(|(_, deployment)| *deployment == Some(Deployment::Ready)) {
            Verdict::Ready
        } else {
            Verdict::Wait
        }
    }
}

/// Whether a config can be active at once: its models answer, or are at work in the active config already.
pub(crate) fn all_ready(plane: &dyn DataPlane, wanted: &Endpoint, active: Option<&Endpoint>) -> bool {
    let local = |target: &Target| match target {
        Target::Local(model) => Some(model.clone()),
        Target::External(_) => None,
    };
    let models =
        |endpoint: &Endpoint| endpoint.entities.iter().filter_map(|entity| local(&entity.target)).collect::<Vec<_>>();
    let at_work = active.map(models).unwrap_or_default();
    // All of them are asked, so that all begin to start.
    let new = models(wanted).into_iter().filter(|model| !at_work.iter().any(|other| other.id == model.id));
    new.fold(true, |all, model| all & (plane.deployment(&model) == Deployment::Ready))
}

/// Looks at every config that waits.
pub(crate) fn step(control: &Control) {
    let snapshot = control.keeper.current();
    let at_most = snapshot.settings.engine.deploy_timeout;
    for (name, record) in control.store.records().iter() {
        let Some(pending) = record.pending() else { continue };
        let waited = Duration::from_millis(now_ms().saturating_sub(pending.started_at));
        let outcome = match Verdict::of(&stand(control, &snapshot, &pending.config), waited, at_most) {
            Verdict::Wait => Ok(()),
            Verdict::Fail(reasons) => fail(control, name, pending, reasons),
            Verdict::Ready => match promote(control, name, pending) {
                // The catalogue or the rest of the document has changed, or the disk does not come back.
                Err(ControlError::Refused(refusal))
                    if refusal.reason == Reason::InvalidParameter || waited >= at_most =>
                {
                    let why = |(name, _)| (name, refusal.message.clone());
                    fail(control, name, pending, entities(&pending.config).into_iter().map(why).collect())
                }
                other => other,
            },
        };
        if let Err(error) = outcome {
            log::debug!("the update of {name} is tried again: {error}");
        }
    }
}

/// Where the models of a config's entities stand.
fn stand(control: &Control, snapshot: &Snapshot, config: &ConfigSpec) -> Vec<(String, Option<Deployment>)> {
    let deployment = |spec| snapshot.models.get(&model(&spec)?).map(|model| control.plane.deployment(model));
    entities(config).into_iter().map(|(name, spec)| (name, deployment(spec))).collect()
}

fn promote(control: &Control, name: &str, pending: &Pending) -> Result<(), ControlError> {
    change(control, name, &pending.by, |snapshot| {
        let endpoint = snapshot.endpoints.get(name).ok_or_else(overtaken)?;
        if control.store.change_records(|rows| rows.get(name))?.is_none_or(|record| record.pending() != Some(pending)) {
            return Err(overtaken());
        }
        let mut spec = EndpointSpec::clone(&endpoint.document);
        spec.config = Some(pending.config.clone());
        Ok(Step::Config(Box::new(spec)))
    })
}

fn fail(
    control: &Control,
    name: &str,
    pending: &Pending,
    reasons: BTreeMap<String, String>,
) -> Result<(), ControlError> {
    change(control, name, &Author::default(), |_| {
        control.store.change_records(|rows| match rows.get(name)? {
            Some(mut record) if record.pending() == Some(pending) => {
                record.fail(reasons, now_ms());
                rows.put(name, record)
            }
            _ => Err(overtaken()),
        })?;
        Ok(Step::Row)
    })
}

/// Someone cancelled, deleted or replaced the update meanwhile.
fn overtaken() -> ControlError {
    Refusal::new(Reason::Conflict, "the update is not the present one any more").into()
}

#[cfg(test)]
#[path = "deploy_tests.rs"]
mod tests;
