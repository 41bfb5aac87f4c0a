//! Rate limits and the AI Gateway block (contract §§5, 9).

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// An entry of the legacy list (contract §5.1).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct RateLimitSpec {
    /// Calls per period; 0 switches the subject off.
    pub calls: u64,
    /// The period.
    pub renewal_period: RenewalPeriod,
    /// Whom it counts. Default: endpoint.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key: Option<RateLimitKey>,
}

/// Length of a rate limit's window.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum RenewalPeriod {
    /// 60 seconds.
    Minute,
}

/// Subject of a legacy rate limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum RateLimitKey {
    /// Each principal by itself.
    User,
    /// All traffic of the endpoint.
    Endpoint,
}

/// The AI Gateway block (contract §9).
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
#[serde(default)]
pub struct AiGatewaySpec {
    /// Checks on requests and answers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub guardrails: Option<GuardrailsSpec>,
    /// Records of requests and answers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub inference_table_config: Option<InferenceTableSpec>,
    /// Limits on calls and tokens.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub rate_limits: Vec<GatewayRateLimitSpec>,
    /// Usage records.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub usage_tracking_config: Option<UsageTrackingSpec>,
    /// Trying other entities on 429 and 5xx.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fallback_config: Option<FallbackSpec>,
}

/// Checks on requests and answers.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
#[serde(default)]
pub struct GuardrailsSpec {
    /// On requests.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub input: Option<GuardrailSpec>,
    /// On answers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub output: Option<GuardrailSpec>,
}

/// Checks in one direction.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
#[serde(default)]
pub struct GuardrailSpec {
    /// Refuse unsafe content; needs a classifier model.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub safety: Option<bool>,
    /// Personal data.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pii: Option<PiiSpec>,
    /// Words that are refused, case-insensitive, whole words.
    #[schemars(length(max = 1000), inner(length(max = 255)))]
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub invalid_keywords: Vec<String>,
    /// Topics that alone are allowed; needs a classifier model.
    #[schemars(length(max = 1000), inner(length(max = 255)))]
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub valid_topics: Vec<String>,
}

/// Personal data.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct PiiSpec {
    /// What happens to it. Default: NONE.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub behavior: Option<PiiBehavior>,
}

/// What happens to personal data.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "UPPERCASE")]
pub enum PiiBehavior {
    /// Nothing.
    None,
    /// The call is refused.
    Block,
    /// It is replaced by tags.
    Mask,
}

/// Records of requests and answers.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
#[serde(default)]
pub struct InferenceTableSpec {
    /// Whether records are written.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub enabled: Option<bool>,
    /// First part of the table's path; required when enabled.
    #[schemars(length(max = 255))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub catalog_name: Option<String>,
    /// Second part; required when enabled.
    #[schemars(length(max = 255))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub schema_name: Option<String>,
    /// Third part. Default: the endpoint's name.
    #[schemars(length(max = 255))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub table_name_prefix: Option<String>,
}

/// An entry of the AI Gateway list (contract §5.2). At least one of calls and tokens.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct GatewayRateLimitSpec {
    /// Calls per period; 0 switches the subject off.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub calls: Option<u64>,
    /// Tokens per period; 0 switches the subject off.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tokens: Option<u64>,
    /// The period.
    pub renewal_period: RenewalPeriod,
    /// Whom it counts. Default: endpoint.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key: Option<GatewayRateLimitKey>,
    /// User name, application id or group name, by key.
    #[schemars(length(min = 1, max = 255))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub principal: Option<String>,
}

/// Subject of an AI Gateway rate limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum GatewayRateLimitKey {
    /// All traffic of the endpoint.
    Endpoint,
    /// Each principal by itself, or the one named.
    User,
    /// The service principal named.
    ServicePrincipal,
    /// All members of the group together.
    UserGroup,
}

/// Usage records.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
#[serde(default)]
pub struct UsageTrackingSpec {
    /// Whether usage is recorded.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub enabled: Option<bool>,
}

/// Trying other entities on 429 and 5xx.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct FallbackSpec {
    /// Whether they are tried.
    pub enabled: bool,
}
