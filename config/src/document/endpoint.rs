//! `endpoints/<name>.yaml`: the REST create body (contract §3.1) plus `permissions`, `policy` and `managed_by` (product.md §1).

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{AiGatewaySpec, ExternalModelSpec, Percent, RateLimitSpec, SecretRef, Version};

/// Names of endpoints and served entities (contract §3.1).
pub(crate) const NAME_EXPECTED: &str = "1 to 63 letters, digits, - or _";

/// Served models of one endpoint.
pub(crate) const MAX_ENTITIES: usize = 15;

/// Environment variables of one served model.
pub(crate) const MAX_VARIABLES: usize = 100;

/// Whether a text can name an endpoint.
pub(crate) fn is_name(text: &str) -> bool {
    (1..=63).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
}

/// An endpoint.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields, title = "endpoints/<name>.yaml")]
pub struct EndpointSpec {
    /// Unique; in a file, the file's name without its ending.
    #[schemars(regex(pattern = r"^[A-Za-z0-9_-]{1,63}$"), extend("x-expected" = NAME_EXPECTED))]
    pub name: String,
    /// What is served. Without it the endpoint exists but cannot be queried.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub config: Option<ConfigSpec>,
    /// Limits on calls (legacy list); ai_gateway.rate_limits can do more.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub rate_limits: Vec<RateLimitSpec>,
    /// Guardrails, limits, records, fallback.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ai_gateway: Option<AiGatewaySpec>,
    /// Labels.
    #[schemars(length(max = 20))]
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<TagSpec>,
    /// Stored and shown.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub route_optimized: bool,
    /// For people.
    #[schemars(length(max = 65_536))]
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub description: String,
    /// Stored and shown.
    #[schemars(length(max = 255))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub budget_policy_id: Option<String>,
    /// Stored and shown.
    #[schemars(length(max = 255))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub usage_policy_id: Option<String>,
    /// Who is told of updates.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub email_notifications: Option<EmailNotificationsSpec>,
    /// Telemetry export.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub telemetry_config: Option<TelemetrySpec>,
    /// Export of system metrics.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub uc_system_metrics_export_state: Option<MetricsExportState>,
    /// Who may do what, beside admins. Without it every principal may query; an empty list leaves admins alone.
    #[schemars(length(max = 1000))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub permissions: Option<Vec<PermissionSpec>>,
    /// What goes beyond the REST body.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub policy: Option<PolicySpec>,
    /// `file` makes the REST API refuse changes to this endpoint.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub managed_by: Option<ManagedBy>,
}

/// What is served.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
#[serde(default)]
pub struct ConfigSpec {
    /// Accepted for old clients; without effect.
    #[schemars(length(max = 255))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The models.
    #[schemars(length(min = 1, max = MAX_ENTITIES))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub served_entities: Option<Vec<ServedEntitySpec>>,
    /// The models in the old form, without external ones.
    #[schemars(length(min = 1, max = MAX_ENTITIES))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub served_models: Option<Vec<ServedModelSpec>>,
    /// How traffic is split; may be absent with a single model.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub traffic_config: Option<TrafficSpec>,
    /// Old form of ai_gateway.inference_table_config.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub auto_capture_config: Option<AutoCaptureSpec>,
}

/// A served model. Either external_model, or entity_name and entity_version.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
#[serde(default)]
pub struct ServedEntitySpec {
    /// Unique in the endpoint. Default: made from the model's name.
    #[schemars(regex(pattern = r"^[A-Za-z0-9_-]{1,63}$"), extend("x-expected" = NAME_EXPECTED))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// A provider's model.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub external_model: Option<ExternalModelSpec>,
    /// A model of catalog.yaml.
    #[schemars(length(max = 255))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub entity_name: Option<String>,
    /// Its version.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub entity_version: Option<Version>,
    /// Custom models: Small, Medium, Large or another size.
    #[schemars(length(max = 255))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub workload_size: Option<String>,
    /// Custom models.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub workload_type: Option<WorkloadType>,
    /// Custom models.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scale_to_zero_enabled: Option<bool>,
    /// Custom models; not together with workload_size.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub min_provisioned_concurrency: Option<u32>,
    /// Custom models; not together with workload_size.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_provisioned_concurrency: Option<u32>,
    /// Foundation models: tokens per second kept ready; 0 scales to zero.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub min_provisioned_throughput: Option<u32>,
    /// Foundation models: tokens per second never exceeded.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_provisioned_throughput: Option<u32>,
    /// Foundation models: capacity in model units.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub provisioned_model_units: Option<u32>,
    /// Foundation models. Default: true.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub burst_scaling_enabled: Option<bool>,
    /// Custom models; values may be secret references.
    #[schemars(extend("maxProperties" = MAX_VARIABLES, "propertyNames" = { "maxLength": 255 }))]
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub environment_vars: BTreeMap<String, SecretRef>,
    /// Custom models.
    #[schemars(length(max = 2048))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub instance_profile_arn: Option<String>,
}

/// A served model in the old form.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct ServedModelSpec {
    /// A model of catalog.yaml.
    #[schemars(length(max = 255))]
    pub model_name: String,
    /// Its version.
    pub model_version: Version,
    /// Custom models.
    pub scale_to_zero_enabled: bool,
    /// Unique in the endpoint. Default: made from the model's name.
    #[schemars(regex(pattern = r"^[A-Za-z0-9_-]{1,63}$"), extend("x-expected" = NAME_EXPECTED))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Custom models.
    #[schemars(length(max = 255))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub workload_size: Option<String>,
    /// Custom models.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub workload_type: Option<WorkloadType>,
    /// Custom models; values may be secret references.
    #[schemars(extend("maxProperties" = MAX_VARIABLES, "propertyNames" = { "maxLength": 255 }))]
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub environment_vars: BTreeMap<String, SecretRef>,
    /// Custom models.
    #[schemars(length(max = 2048))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub instance_profile_arn: Option<String>,
    /// Foundation models: tokens per second kept ready.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub min_provisioned_throughput: Option<u32>,
    /// Foundation models: tokens per second never exceeded.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_provisioned_throughput: Option<u32>,
    /// Custom models.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub min_provisioned_concurrency: Option<u32>,
    /// Custom models.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_provisioned_concurrency: Option<u32>,
    /// Foundation models: capacity in model units.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub provisioned_model_units: Option<u32>,
}

impl From<ServedModelSpec> for ServedEntitySpec {
    fn from(old: ServedModelSpec) -> Self {
        Self {
            name: old.name,
            external_model: None,
            entity_name: Some(old.model_name),
            entity_version: Some(old.model_version),
            workload_size: old.workload_size,
            workload_type: old.workload_type,
            scale_to_zero_enabled: Some(old.scale_to_zero_enabled),
            min_provisioned_concurrency: old.min_provisioned_concurrency,
            max_provisioned_concurrency: old.max_provisioned_concurrency,
            min_provisioned_throughput: old.min_provisioned_throughput,
            max_provisioned_throughput: old.max_provisioned_throughput,
            provisioned_model_units: old.provisioned_model_units,
            burst_scaling_enabled: None,
            environment_vars: old.environment_vars,
            instance_profile_arn: old.instance_profile_arn,
        }
    }
}

/// What a model is used for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
pub enum Task {
    /// Chat completions.
    #[serde(rename = "llm/v1/chat")]
    Chat,
    /// Text completions.
    #[serde(rename = "llm/v1/completions")]
    Completions,
    /// Embeddings.
    #[serde(rename = "llm/v1/embeddings")]
    Embeddings,
}

impl Task {
    /// The contract's spelling.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Chat => "llm/v1/chat",
            Self::Completions => "llm/v1/completions",
            Self::Embeddings => "llm/v1/embeddings",
        }
    }
}

/// Compute of a custom model.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
#[allow(missing_docs, reason = "the vendor's own names for machine sizes")]
pub enum WorkloadType {
    Cpu,
    CpuMedium,
    CpuLarge,
    GpuSmall,
    GpuMedium,
    GpuLarge,
    GpuXlarge,
    #[serde(rename = "GPU_XLARGE_8")]
    GpuXlarge8,
    MultigpuMedium,
}

/// How traffic is split.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct TrafficSpec {
    /// Percentages sum to 100; a model without a route gets 0.
    #[schemars(length(max = 15))]
    #[serde(default)]
    pub routes: Vec<RouteSpec>,
}

/// A model's share. served_model_name and served_entity_name mean the same; one suffices.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct RouteSpec {
    /// Name of a served entity.
    #[schemars(length(max = 255))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub served_model_name: Option<String>,
    /// Name of a served entity.
    #[schemars(length(max = 255))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub served_entity_name: Option<String>,
    /// 0 to 100.
    pub traffic_percentage: Percent,
}

/// Old form of the inference table.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
#[serde(default)]
pub struct AutoCaptureSpec {
    /// First part of the table's path.
    #[schemars(length(max = 255))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub catalog_name: Option<String>,
    /// Second part.
    #[schemars(length(max = 255))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub schema_name: Option<String>,
    /// Third part.
    #[schemars(length(max = 255))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub table_name_prefix: Option<String>,
    /// Whether records are written.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub enabled: Option<bool>,
}

/// A label.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct TagSpec {
    /// Unique in the endpoint.
    #[schemars(length(min = 1, max = 127))]
    pub key: String,
    /// Free text.
    #[schemars(length(max = 255))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub value: Option<String>,
}

/// Who is told of updates.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
#[serde(default)]
pub struct EmailNotificationsSpec {
    /// Mail addresses.
    #[schemars(length(max = 100), inner(length(max = 320)))]
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub on_update_success: Vec<String>,
    /// Mail addresses.
    #[schemars(length(max = 100), inner(length(max = 320)))]
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub on_update_failure: Vec<String>,
}

/// Telemetry export.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
#[serde(default)]
pub struct TelemetrySpec {
    /// Where it goes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub table_names: Option<TelemetryTablesSpec>,
    /// Profile.
    #[schemars(length(max = 255))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub telemetry_profile_id: Option<String>,
    /// Sampled records.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub inference_table_config: Option<TelemetryInferenceTableSpec>,
    /// What is exported.
    #[schemars(length(max = 100))]
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub enabled_telemetry_features: Vec<TelemetryFeature>,
}

/// Tables of the telemetry export.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
#[serde(default)]
pub struct TelemetryTablesSpec {
    /// Logs.
    #[schemars(length(max = 255))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub logs_table: Option<String>,
    /// Metrics.
    #[schemars(length(max = 255))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub metrics_table: Option<String>,
    /// Traces.
    #[schemars(length(max = 255))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub traces_table: Option<String>,
    /// Annotations.
    #[schemars(length(max = 255))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub annotations_table: Option<String>,
}

/// Sampled records of the telemetry export.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
#[serde(default)]
pub struct TelemetryInferenceTableSpec {
    /// Name of the table.
    #[schemars(length(max = 255))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Share of calls recorded.
    #[schemars(range(min = 0.0, max = 1.0))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sampling_fraction: Option<f64>,
}

/// What the telemetry export holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[allow(missing_docs, reason = "the vendor's own names")]
pub enum TelemetryFeature {
    #[serde(rename = "TELEMETRY_FEATURE_INFERENCE_TABLE")]
    InferenceTable,
    #[serde(rename = "TELEMETRY_FEATURE_LOGS")]
    Logs,
    #[serde(rename = "TELEMETRY_FEATURE_METRICS")]
    Metrics,
    #[serde(rename = "TELEMETRY_FEATURE_TRACES")]
    Traces,
}

/// Export of system metrics.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[allow(missing_docs, reason = "the vendor's own names")]
pub enum MetricsExportState {
    #[serde(rename = "FIRST_PARTY_EXPORT_ENABLED")]
    Enabled,
    #[serde(rename = "FIRST_PARTY_EXPORT_DISABLED")]
    Disabled,
}

/// A grant. Exactly one of user_name, group_name and service_principal_name.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct PermissionSpec {
    /// A user.
    #[schemars(length(min = 1, max = 255))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user_name: Option<String>,
    /// A group; `users` is everyone.
    #[schemars(length(min = 1, max = 255))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub group_name: Option<String>,
    /// A service principal by application id.
    #[schemars(length(min = 1, max = 255))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub service_principal_name: Option<String>,
    /// What is granted.
    pub permission_level: PermissionLevel,
}

/// Rights on an endpoint, each including the ones before it (contract §2.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum PermissionLevel {
    /// Get, list, metrics.
    CanView,
    /// And queries.
    CanQuery,
    /// Everything.
    CanManage,
}

/// What goes beyond the REST body. Holds only the keys that work today.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(
    deny_unknown_fields,
    extend("x-planned" = ["retries", "priorities", "deadlines", "hedging", "cache", "stickiness", "fallback_endpoint", "default_max_tokens"])
)]
pub struct PolicySpec {}

/// Who may change an endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ManagedBy {
    /// Only its file.
    File,
}
