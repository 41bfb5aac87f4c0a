//! A config as it is answered.

use schemars::JsonSchema;
use serde::Serialize;
use weirgate_config::document::{AutoCaptureSpec, ConfigSpec};

use super::served::{ServedEntityOutput, ServedEntitySummary, ServedModelOutput, ServedModelSummary};

/// A config.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct ConfigOutput {
    pub served_entities: Vec<ServedEntityOutput>,
    /// The same in the old form; absent for external models, which it cannot express.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub served_models: Option<Vec<ServedModelOutput>>,
    pub traffic_config: TrafficOutput,
    /// From 1. Of a config that is not active: the version that it would become.
    pub config_version: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub auto_capture_config: Option<AutoCaptureSpec>,
}

/// A config that waits for its models.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct PendingConfig {
    #[serde(flatten)]
    pub config: ConfigOutput,
    /// Since when, in milliseconds since the epoch.
    pub start_time: u64,
}

/// A config in a list.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct ConfigSummary {
    pub served_entities: Vec<ServedEntitySummary>,
    /// The same in the old form; absent for external models.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub served_models: Option<Vec<ServedModelSummary>>,
}

/// The split of traffic.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct TrafficOutput {
    pub routes: Vec<RouteOutput>,
}

/// A served entity's share, under both names that clients read.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct RouteOutput {
    pub served_model_name: String,
    pub served_entity_name: String,
    /// 0 to 100.
    pub traffic_percentage: u32,
}

impl TrafficOutput {
    /// The split that a config gives; a single entity without one gets all.
    pub fn of(config: &ConfigSpec, names: &[String]) -> Self {
        let route = |name: &str, traffic_percentage| RouteOutput {
            served_model_name: name.to_owned(),
            served_entity_name: name.to_owned(),
            traffic_percentage,
        };
        let routes = match &config.traffic_config {
            Some(traffic) => traffic
                .routes
                .iter()
                .filter_map(|spec| {
                    let name = spec.served_model_name.as_ref().or(spec.served_entity_name.as_ref())?;
                    Some(route(name, spec.traffic_percentage.0))
                })
                .collect(),
            None => names.iter().map(|name| route(name, 100)).collect(),
        };
        TrafficOutput { routes }
    }
}
