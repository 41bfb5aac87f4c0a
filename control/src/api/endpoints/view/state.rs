//! An endpoint's configs with the states of their models.

use schemars::JsonSchema;
use serde::Serialize;
use weirgate_config::Snapshot;
use weirgate_config::document::{ConfigSpec, ServedEntitySpec, Task};
use weirgate_config::snapshot::{Endpoint, EndpointKind, Model, Serving};

use super::config::{ConfigOutput, ConfigSummary, PendingConfig, TrafficOutput};
use super::served::{DeploymentState, ServedEntityOutput, ServedEntitySummary, ServedState, shown};
use crate::lifecycle::config::{entities, model};
use crate::store::endpoints::{Pending, Record, Update, fingerprint};
use crate::{DataPlane, Deployment};

/// Whether an endpoint answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub(crate) enum Ready {
    Ready,
    NotReady,
}

/// What came of the last update.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub(crate) enum ConfigUpdate {
    NotUpdating,
    InProgress,
    UpdateFailed,
    UpdateCanceled,
}

/// Where an endpoint stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
pub(crate) struct EndpointState {
    /// Whether every served entity of the active config is ready.
    pub ready: Ready,
    pub config_update: ConfigUpdate,
}

/// What an endpoint serves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub(crate) enum EndpointType {
    ExternalModel,
    FoundationModelApi,
    Custom,
}

/// An endpoint, its row, and where its models stand.
pub(super) struct Configs<'a> {
    pub plane: &'a dyn DataPlane,
    pub snapshot: &'a Snapshot,
    pub endpoint: &'a Endpoint,
    pub record: &'a Record,
}

impl Configs<'_> {
    pub fn state(&self) -> EndpointState {
        let active = self.endpoint.document.config.as_ref().map(entities).unwrap_or_default();
        let ready = !active.is_empty() && active.iter().all(|(_, spec)| self.standing(spec).is_ready());
        let config_update = match self.record.update {
            Update::NotUpdating => ConfigUpdate::NotUpdating,
            Update::InProgress(_) => ConfigUpdate::InProgress,
            Update::UpdateFailed(_) => ConfigUpdate::UpdateFailed,
            Update::UpdateCanceled => ConfigUpdate::UpdateCanceled,
        };
        EndpointState { ready: if ready { Ready::Ready } else { Ready::NotReady }, config_update }
    }

    /// Task and kind of the active config, else of the one that is to become active.
    pub fn kind(&self) -> (Option<Task>, Option<EndpointType>) {
        let of = |serving: &Serving| match serving {
            Serving::Source(_) | Serving::Engine { .. } => EndpointType::FoundationModelApi,
            Serving::Server { .. } => EndpointType::Custom,
        };
        match self.endpoint.kind {
            EndpointKind::External => (self.endpoint.task, Some(EndpointType::ExternalModel)),
            EndpointKind::Foundation => (self.endpoint.task, Some(EndpointType::FoundationModelApi)),
            EndpointKind::Custom => (self.endpoint.task, Some(EndpointType::Custom)),
            EndpointKind::Empty => {
                let other = match &self.record.update {
                    Update::InProgress(pending) => entities(&pending.config),
                    Update::UpdateFailed(failed) => entities(&failed.pending.config),
                    Update::NotUpdating | Update::UpdateCanceled => Vec::new(),
                };
                let model = other.first().and_then(|(_, spec)| self.model(spec));
                (model.and_then(|model| model.task), model.map(|model| of(&model.serving)))
            }
        }
    }

    pub fn active(&self) -> Option<ConfigOutput> {
        let config = self.endpoint.document.config.as_ref()?;
        Some(self.output(config, self.record.config_version, None, |_, spec| self.standing(spec)))
    }

    pub fn pending(&self) -> Option<PendingConfig> {
        let pending = self.record.pending()?;
        let config = self.output(&pending.config, self.next(), Some(pending), |_, spec| self.standing(spec));
        Some(PendingConfig { config, start_time: pending.started_at })
    }

    pub fn failed(&self) -> Option<ConfigOutput> {
        let Update::UpdateFailed(failed) = &self.record.update else { return None };
        let state = |name: &str, _: &ServedEntitySpec| match failed.reasons.get(name) {
            Some(why) => {
                ServedState { deployment: DeploymentState::DeploymentFailed, deployment_state_message: why.clone() }
            }
            None => ServedState::new(DeploymentState::DeploymentAborted),
        };
        Some(self.output(&failed.pending.config, self.next(), Some(&failed.pending), state))
    }

    pub fn summary(&self) -> Option<ConfigSummary> {
        let entities = entities(&shown(self.endpoint.document.config.as_ref()?)).into_iter();
        let served_entities: Vec<ServedEntitySummary> = entities
            .map(|(name, spec)| {
                let model = self.model(&spec);
                ServedEntitySummary::new(name, spec, model)
            })
            .collect();
        let served_models = served_entities.iter().map(ServedEntitySummary::old_form).collect();
        Some(ConfigSummary { served_entities, served_models })
    }

    /// The version that a config becomes which is not active yet.
    fn next(&self) -> u64 {
        self.record.config_version + 1
    }

    fn model(&self, spec: &ServedEntitySpec) -> Option<&Model> {
        self.snapshot.models.get(&model(spec)?).map(|model| &**model)
    }

    /// Where an entity's model stands. A provider's is always ready: nothing is deployed for it.
    fn standing(&self, spec: &ServedEntitySpec) -> ServedState {
        let Some(id) = model(spec) else { return ServedState::new(DeploymentState::DeploymentReady) };
        match self.snapshot.models.get(&id).map(|model| self.plane.deployment(model)) {
            Some(Deployment::Ready) => ServedState::new(DeploymentState::DeploymentReady),
            Some(Deployment::Creating) => ServedState::new(DeploymentState::DeploymentCreating),
            Some(Deployment::Recovering) => ServedState::new(DeploymentState::DeploymentRecovering),
            Some(Deployment::Failed(why)) => {
                ServedState { deployment: DeploymentState::DeploymentFailed, deployment_state_message: why }
            }
            // Its entry has left the catalogue while the config waits; the update is about to fail.
            None => ServedState::new(DeploymentState::DeploymentFailed),
        }
    }

    fn output(
        &self,
        config: &ConfigSpec,
        config_version: u64,
        pending: Option<&Pending>,
        state: impl Fn(&str, &ServedEntitySpec) -> ServedState,
    ) -> ConfigOutput {
        let named = entities(config);
        let names: Vec<String> = named.iter().map(|(name, _)| name.clone()).collect();
        let visible = entities(&shown(config));
        let one = |((name, spec), (_, visible)): ((String, ServedEntitySpec), (String, ServedEntitySpec))| {
            let (made, state) = (self.made(&name, &spec, pending), state(&name, &spec));
            ServedEntityOutput::new(name, visible, self.model(&spec), state, made)
        };
        let served_entities: Vec<ServedEntityOutput> = named.into_iter().zip(visible).map(one).collect();
        ConfigOutput {
            served_models: served_entities.iter().map(ServedEntityOutput::old_form).collect(),
            served_entities,
            traffic_config: TrafficOutput::of(config, &names),
            config_version,
            auto_capture_config: config.auto_capture_config.clone(),
        }
    }

    /// By whom and when an entity was made as it is.
    fn made(&self, name: &str, spec: &ServedEntitySpec, pending: Option<&Pending>) -> (String, u64) {
        let known = self.record.entities.get(name);
        match (known, pending) {
            (Some(made), None) => (made.by.clone(), made.at),
            (Some(made), Some(_)) if made.fingerprint == fingerprint(spec) => (made.by.clone(), made.at),
            (_, Some(pending)) => (pending.by.name.clone(), pending.started_at),
            (None, None) => (self.record.creator.name.clone(), self.record.created_at),
        }
    }
}
