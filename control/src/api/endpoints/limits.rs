//! PUT rate-limits (contract §5.1) and PUT ai-gateway (contract §9): each replaces the whole of its part.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use weirgate_config::document::{AiGatewaySpec, InferenceTableSpec, RateLimitSpec};
use weirgate_config::{Pointer, Problem as Finding};

use super::judge::Trial;
use super::{Answer, Method, Problem, Request, Route, change, form, view};
use crate::lifecycle::Step;

pub(super) fn routes() -> Vec<Route> {
    let limits = Route::new(
        Method::Put,
        "/api/2.0/serving-endpoints/{name}/rate-limits",
        "Replace the rate limits of an endpoint; an empty list clears them.",
        put_limits,
    );
    let gateway = Route::new(
        Method::Put,
        "/api/2.0/serving-endpoints/{name}/ai-gateway",
        "Replace the AI Gateway block of an endpoint; parts that are absent are switched off.",
        put_ai_gateway,
    );
    vec![
        limits.takes::<RateLimits>().answers::<RateLimits>().audits("endpoint.rate_limits"),
        gateway.takes::<AiGatewaySpec>().answers::<AiGatewaySpec>().audits("endpoint.ai_gateway"),
    ]
}

/// The legacy rate limits of an endpoint.
#[derive(Debug, Default, Serialize, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
#[serde(default)]
struct RateLimits {
    /// At most one for each key.
    rate_limits: Vec<RateLimitSpec>,
}

/// The body of PUT ai-gateway, at its place in the document.
#[derive(Debug, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
struct AiGatewayBody {
    ai_gateway: AiGatewaySpec,
}

fn put_limits(request: Request) -> Result<Answer, Problem> {
    change(
        &request,
        form!(RateLimits),
        |target, body: RateLimits, flaws| {
            let mut spec = target.document();
            spec.rate_limits = body.rate_limits;
            Trial::of(&request, target).kept(&spec, &target.record, flaws)?;
            Ok(Step::Document(spec))
        },
        |endpoint, _| RateLimits { rate_limits: endpoint.document.rate_limits.clone() },
    )
}

fn put_ai_gateway(request: Request) -> Result<Answer, Problem> {
    change(
        &request,
        form!(AiGatewayBody, Some("ai_gateway")),
        |target, body: AiGatewayBody, mut flaws| {
            let mut spec = target.document();
            let table = |block: &Option<AiGatewaySpec>| block.as_ref()?.inference_table_config.clone();
            let before = table(&spec.ai_gateway);
            spec.ai_gateway = Some(body.ai_gateway).filter(|block| *block != AiGatewaySpec::default());
            flaws.add(renamed_tables(&spec.name, before, table(&spec.ai_gateway)));
            Trial::of(&request, target).kept(&spec, &target.record, flaws)?;
            Ok(Step::Document(spec))
        },
        |endpoint, _| view::ai_gateway(&endpoint.document).unwrap_or_default(),
    )
}

/// The names of an inference table can change only while it is disabled (contract §9).
fn renamed_tables(
    endpoint: &str,
    before: Option<InferenceTableSpec>,
    after: Option<InferenceTableSpec>,
) -> Vec<Finding> {
    let (Some(before), Some(after)) = (before.filter(|table| table.enabled == Some(true)), after) else {
        return Vec::new();
    };
    let stays = after.enabled == Some(true);
    let prefix = |table: &InferenceTableSpec| table.table_name_prefix.clone().or_else(|| Some(endpoint.to_owned()));
    let (prefix_before, prefix_after) = (prefix(&before), prefix(&after));
    let names = [
        ("catalog_name", before.catalog_name, after.catalog_name.clone(), after.catalog_name.is_some()),
        ("schema_name", before.schema_name, after.schema_name.clone(), after.schema_name.is_some()),
        ("table_name_prefix", prefix_before, prefix_after, stays || after.table_name_prefix.is_some()),
    ];
    let at = Pointer::root().key("ai_gateway").key("inference_table_config");
    let renamed = names.into_iter().filter(|(_, before, after, counts)| *counts && before != after);
    renamed
        .map(|(name, ..)| {
            let text = format!("`{name}` cannot change while the inference table is enabled; disable it first");
            Finding::error(at.key(name), text)
        })
        .collect()
}

#[cfg(test)]
#[path = "limits_tests.rs"]
mod tests;
