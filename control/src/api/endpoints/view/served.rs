//! Served entities as they are answered, in the new form and in the old.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Serialize;
use weirgate_config::document::{ConfigSpec, ExternalModelSpec, SecretRef, ServedEntitySpec, WorkloadType};
use weirgate_config::snapshot::{Model, Serving};

use crate::credentials::{self, is_own};

/// How far an entity's model is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
#[allow(clippy::enum_variant_names, reason = "the contract's own names")]
pub(crate) enum DeploymentState {
    DeploymentCreating,
    DeploymentReady,
    DeploymentRecovering,
    DeploymentFailed,
    DeploymentAborted,
}

/// How far an entity's model is, and why.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub(crate) struct ServedState {
    pub deployment: DeploymentState,
    pub deployment_state_message: String,
}

impl ServedState {
    pub fn new(deployment: DeploymentState) -> Self {
        ServedState { deployment, deployment_state_message: String::new() }
    }

    pub fn is_ready(&self) -> bool {
        self.deployment == DeploymentState::DeploymentReady
    }
}

/// A foundation model.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub(crate) struct FoundationModel {
    pub name: String,
    pub display_name: String,
    pub description: String,
    pub docs: String,
}

impl FoundationModel {
    /// `None` for a custom model.
    pub fn of(model: &Model) -> Option<Self> {
        let name = model.id.name.to_string();
        let display_name = name.rsplit('.').next().unwrap_or(&name).to_owned();
        let is_foundation = !matches!(model.serving, Serving::Server { .. });
        is_foundation.then(|| FoundationModel { name, display_name, description: String::new(), docs: String::new() })
    }
}

/// A served entity.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub(crate) struct ServedEntityOutput {
    pub name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub external_model: Option<ExternalModelSpec>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub foundation_model: Option<FoundationModel>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub entity_name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub entity_version: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub workload_size: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub workload_type: Option<WorkloadType>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scale_to_zero_enabled: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub min_provisioned_concurrency: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_provisioned_concurrency: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub min_provisioned_throughput: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_provisioned_throughput: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub provisioned_model_units: Option<u32>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub environment_vars: BTreeMap<String, SecretRef>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub instance_profile_arn: Option<String>,
    pub state: ServedState,
    pub creator: String,
    /// Milliseconds since the epoch.
    pub creation_timestamp: u64,
}

/// A served entity in the old form.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct ServedModelOutput {
    pub name: String,
    pub model_name: String,
    pub model_version: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub workload_size: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub workload_type: Option<WorkloadType>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scale_to_zero_enabled: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub min_provisioned_concurrency: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_provisioned_concurrency: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub min_provisioned_throughput: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_provisioned_throughput: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub provisioned_model_units: Option<u32>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub environment_vars: BTreeMap<String, SecretRef>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub instance_profile_arn: Option<String>,
    pub state: ServedState,
    pub creator: String,
    /// Milliseconds since the epoch.
    pub creation_timestamp: u64,
}

/// A served entity in a list.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct ServedEntitySummary {
    pub name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub external_model: Option<ExternalModelSpec>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub foundation_model: Option<FoundationModel>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub entity_name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub entity_version: Option<String>,
}

/// A served entity in a list, in the old form.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct ServedModelSummary {
    pub name: String,
    pub model_name: String,
    pub model_version: String,
}

impl ServedEntityOutput {
    /// An entity of [`shown`], with what is not in its document.
    pub fn new(
        name: String,
        spec: ServedEntitySpec,
        model: Option<&Model>,
        state: ServedState,
        made: (String, u64),
    ) -> Self {
        ServedEntityOutput {
            name,
            external_model: spec.external_model,
            foundation_model: model.and_then(FoundationModel::of),
            entity_name: spec.entity_name,
            entity_version: spec.entity_version.map(|version| version.0),
            workload_size: spec.workload_size,
            workload_type: spec.workload_type,
            scale_to_zero_enabled: spec.scale_to_zero_enabled,
            min_provisioned_concurrency: spec.min_provisioned_concurrency,
            max_provisioned_concurrency: spec.max_provisioned_concurrency,
            min_provisioned_throughput: spec.min_provisioned_throughput,
            max_provisioned_throughput: spec.max_provisioned_throughput,
            provisioned_model_units: spec.provisioned_model_units,
            environment_vars: spec.environment_vars,
            instance_profile_arn: spec.instance_profile_arn,
            state,
            creator: made.0,
            creation_timestamp: made.1,
        }
    }

    /// The old form; `None` for an external model.
    pub fn old_form(&self) -> Option<ServedModelOutput> {
        Some(ServedModelOutput {
            name: self.name.clone(),
            model_name: self.entity_name.clone()?,
            model_version: self.entity_version.clone()?,
            workload_size: self.workload_size.clone(),
            workload_type: self.workload_type,
            scale_to_zero_enabled: self.scale_to_zero_enabled,
            min_provisioned_concurrency: self.min_provisioned_concurrency,
            max_provisioned_concurrency: self.max_provisioned_concurrency,
            min_provisioned_throughput: self.min_provisioned_throughput,
            max_provisioned_throughput: self.max_provisioned_throughput,
            provisioned_model_units: self.provisioned_model_units,
            environment_vars: self.environment_vars.clone(),
            instance_profile_arn: self.instance_profile_arn.clone(),
            state: self.state.clone(),
            creator: self.creator.clone(),
            creation_timestamp: self.creation_timestamp,
        })
    }
}

impl ServedEntitySummary {
    /// An entity of [`shown`].
    pub fn new(name: String, spec: ServedEntitySpec, model: Option<&Model>) -> Self {
        ServedEntitySummary {
            name,
            external_model: spec.external_model,
            foundation_model: model.and_then(FoundationModel::of),
            entity_name: spec.entity_name,
            entity_version: spec.entity_version.map(|version| version.0),
        }
    }

    /// The old form; `None` for an external model.
    pub fn old_form(&self) -> Option<ServedModelSummary> {
        Some(ServedModelSummary {
            name: self.name.clone(),
            model_name: self.entity_name.clone()?,
            model_version: self.entity_version.clone()?,
        })
    }
}

/// A config as it may be shown: without values, and without the references that stand for values sent in the clear.
pub(crate) fn shown(config: &ConfigSpec) -> ConfigSpec {
    let mut config = config.clone();
    for credential in credentials::of_config(&mut config) {
        *credential.plaintext = None;
        credential.reference.take_if(|reference| is_own(&reference.0));
    }
    config
}
