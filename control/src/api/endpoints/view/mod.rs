//! Endpoints as they are answered (contract §§3.2, 3.3).

mod config;
mod served;
mod state;

use schemars::JsonSchema;
use serde::Serialize;
use weirgate_config::Snapshot;
use weirgate_config::document::{
    AiGatewaySpec, EmailNotificationsSpec, EndpointSpec, MetricsExportState, PermissionLevel, PolicySpec,
    RateLimitSpec, TagSpec, Task, TelemetrySpec,
};
use weirgate_config::snapshot::Endpoint;
use weirgate_policy::permission::Level;

pub(super) use self::config::{ConfigOutput, ConfigSummary, PendingConfig};
use self::state::{Configs, EndpointState, EndpointType};
use super::Request;
use crate::access;
use crate::store::endpoints::Record;

/// What list and get have in common.
#[derive(Debug, Serialize, JsonSchema)]
struct Common {
    name: String,
    /// 32 hex digits; the same for the endpoint's life.
    id: String,
    /// Name of the principal that made it; `file` if it came from a file.
    creator: String,
    creator_display_name: String,
    /// `User` or `ServicePrincipal`; absent if it came from a file.
    #[serde(skip_serializing_if = "Option::is_none")]
    creator_kind: Option<String>,
    /// Milliseconds since the epoch.
    creation_timestamp: u64,
    /// Milliseconds since the epoch; moves on every accepted change.
    last_updated_timestamp: u64,
    state: EndpointState,
    tags: Vec<TagSpec>,
    #[serde(skip_serializing_if = "Option::is_none")]
    task: Option<Task>,
    #[serde(skip_serializing_if = "Option::is_none")]
    endpoint_type: Option<EndpointType>,
    route_optimized: bool,
    description: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    budget_policy_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    usage_policy_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    email_notifications: Option<EmailNotificationsSpec>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ai_gateway: Option<AiGatewaySpec>,
    /// The legacy list.
    rate_limits: Vec<RateLimitSpec>,
    #[serde(skip_serializing_if = "Option::is_none")]
    telemetry_config: Option<TelemetrySpec>,
    #[serde(skip_serializing_if = "Option::is_none")]
    uc_system_metrics_export_state: Option<MetricsExportState>,
    /// What goes beyond the contract.
    #[serde(skip_serializing_if = "Option::is_none")]
    policy: Option<PolicySpec>,
    /// Where a route-optimized endpoint is queried.
    #[serde(skip_serializing_if = "Option::is_none")]
    endpoint_url: Option<String>,
}

/// An endpoint.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct EndpointDetailed {
    #[serde(flatten)]
    common: Common,
    /// The active config, or the first one if that never became active.
    #[serde(skip_serializing_if = "Option::is_none")]
    config: Option<ConfigOutput>,
    /// The config that waits for its models.
    #[serde(skip_serializing_if = "Option::is_none")]
    pending_config: Option<PendingConfig>,
    /// The config of an update that failed; the active one goes on serving.
    #[serde(skip_serializing_if = "Option::is_none")]
    failed_config: Option<ConfigOutput>,
    /// The caller's.
    #[serde(skip_serializing_if = "Option::is_none")]
    permission_level: Option<PermissionLevel>,
}

/// An endpoint in a list.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct EndpointSummary {
    #[serde(flatten)]
    common: Common,
    /// The active config.
    #[serde(skip_serializing_if = "Option::is_none")]
    config: Option<ConfigSummary>,
}

/// An endpoint as GET answers it.
pub(super) fn detailed(
    request: &Request,
    snapshot: &Snapshot,
    endpoint: &Endpoint,
    record: &Record,
) -> EndpointDetailed {
    let configs = Configs { plane: &*request.control.plane, snapshot, record, endpoint };
    let level = access::level(endpoint, &request.caller.principal).map(|level| match level {
        Level::View => PermissionLevel::CanView,
        Level::Query => PermissionLevel::CanQuery,
        Level::Manage => PermissionLevel::CanManage,
    });
    let (active, failed) = (configs.active(), configs.failed());
    let (config, failed_config) = if active.is_some() { (active, failed) } else { (failed, None) };
    EndpointDetailed {
        common: common(request, &configs),
        config,
        pending_config: configs.pending(),
        failed_config,
        permission_level: level,
    }
}

/// An endpoint as the list shows it.
pub(super) fn summary(request: &Request, snapshot: &Snapshot, endpoint: &Endpoint, record: &Record) -> EndpointSummary {
    let configs = Configs { plane: &*request.control.plane, snapshot, record, endpoint };
    EndpointSummary { common: common(request, &configs), config: configs.summary() }
}

fn common(request: &Request, configs: &Configs<'_>) -> Common {
    let (record, spec): (&Record, &EndpointSpec) = (configs.record, &configs.endpoint.document);
    let (task, endpoint_type) = configs.kind();
    Common {
        name: spec.name.clone(),
        id: record.id.clone(),
        creator: record.creator.name.clone(),
        creator_display_name: record.creator.name.clone(),
        creator_kind: record.creator.kind.clone(),
        creation_timestamp: record.created_at,
        last_updated_timestamp: record.updated_at,
        state: configs.state(),
        tags: spec.tags.clone(),
        task,
        endpoint_type,
        route_optimized: spec.route_optimized,
        description: spec.description.clone(),
        budget_policy_id: spec.budget_policy_id.clone(),
        usage_policy_id: spec.usage_policy_id.clone(),
        email_notifications: spec.email_notifications.clone(),
        ai_gateway: ai_gateway(spec),
        rate_limits: spec.rate_limits.clone(),
        telemetry_config: spec.telemetry_config.clone(),
        uc_system_metrics_export_state: spec.uc_system_metrics_export_state,
        policy: spec.policy.clone(),
        endpoint_url: spec
            .route_optimized
            .then(|| request.url(&format!("/serving-endpoints/{}/invocations", spec.name))),
    }
}

/// The block as it is shown: a table without a prefix has the endpoint's name as one (contract §9).
pub(super) fn ai_gateway(spec: &EndpointSpec) -> Option<AiGatewaySpec> {
    let mut block = spec.ai_gateway.clone()?;
    if let Some(table) = &mut block.inference_table_config {
        table.table_name_prefix.get_or_insert_with(|| spec.name.clone());
    }
    Some(block)
}
