//! Rate limits and the AI Gateway block (contract §§5, 9).

use super::Findings;
use crate::{
    diagnostic::Pointer,
    document::{
        AiGatewaySpec, GatewayRateLimitKey, GatewayRateLimitSpec, GuardrailSpec, InferenceTableSpec, RateLimitKey,
        RateLimitSpec,
    },
    snapshot::{EndpointKind, Task},
};

/// Contract §5.1.
pub(super) fn legacy_rate_limits(list: &[RateLimitSpec], kind: EndpointKind, at: &Pointer, out: &mut Findings) {
    if kind == EndpointKind::Custom && !list.is_empty() {
        out.error_on_key(
            at,
            "`rate_limits` works for external and foundation models only; use `ai_gateway.rate_limits`",
        );
    }
    let subject = |limit: &RateLimitSpec| limit.key.unwrap_or(RateLimitKey::Endpoint);
    for (index, limit) in list.iter().enumerate() {
        if list[..index].iter().any(|earlier| subject(earlier) == subject(limit)) {
            out.error(&at.index(index), "a second limit for the same key; keep one per key");
        }
    }
}

pub(super) fn ai_gateway(
    spec: &AiGatewaySpec,
    kind: EndpointKind,
    task: Option<Task>,
    at: &Pointer,
    out: &mut Findings,
) {
    if let Some(guardrails) = &spec.guardrails {
        for (side, guardrail) in [("input", &guardrails.input), ("output", &guardrails.output)] {
            if let Some(guardrail) = guardrail {
                needs_no_classifier(guardrail, &at.key("guardrails").key(side), out);
            }
        }
        if task == Some(Task::Embeddings) && guardrails.output.is_some() {
            let message = "embeddings have no text to check and this has no effect; use `input`";
            out.warning_on_key(&at.key("guardrails").key("output"), message);
        }
    }
    if let Some(table) = &spec.inference_table_config {
        inference_table(table, &at.key("inference_table_config"), out);
    }
    rate_limits(&spec.rate_limits, &at.key("rate_limits"), out);
    let falls_back = spec.fallback_config.as_ref().is_some_and(|fallback| fallback.enabled);
    if falls_back && matches!(kind, EndpointKind::Foundation | EndpointKind::Custom) {
        out.warning_on_key(
            &at.key("fallback_config"),
            "fallback works between external models only and has no effect here",
        );
    }
}

/// Contract §9.1: what needs a classifier is refused while there is none, never silently ignored.
fn needs_no_classifier(spec: &GuardrailSpec, at: &Pointer, out: &mut Findings) {
    let asked = [("safety", spec.safety == Some(true)), ("valid_topics", !spec.valid_topics.is_empty())];
    for (key, _) in asked.iter().filter(|(_, asked)| *asked) {
        out.error_on_key(
            &at.key(key),
            format!("`{key}` needs a classifier model and none can be configured yet; remove it"),
        );
    }
}

fn inference_table(spec: &InferenceTableSpec, at: &Pointer, out: &mut Findings) {
    if spec.enabled == Some(true) {
        let why = "an enabled inference table needs `catalog_name` and `schema_name`";
        out.required(at, "catalog_name", spec.catalog_name.as_ref(), why);
        out.required(at, "schema_name", spec.schema_name.as_ref(), why);
    }
}

/// Contract §5.2.
fn rate_limits(list: &[GatewayRateLimitSpec], at: &Pointer, out: &mut Findings) {
    let groups = list.iter().filter(|limit| limit.key == Some(GatewayRateLimitKey::UserGroup)).count();
    if list.len() > 20 {
        out.error(at, format!("has {} entries; at most 20 are allowed", list.len()));
    }
    if groups > 5 {
        out.error(at, format!("has {groups} entries for user groups; at most 5 are allowed"));
    }
    for (index, limit) in list.iter().enumerate() {
        let at = at.index(index);
        if limit.calls.is_none() && limit.tokens.is_none() {
            out.error(&at, "a limit needs `calls` or `tokens` or both");
        }
        match (limit.key.unwrap_or(GatewayRateLimitKey::Endpoint), &limit.principal) {
            (GatewayRateLimitKey::Endpoint, Some(_)) => {
                let message = "`principal` is not allowed with key `endpoint`; remove it, or set the key to user, service_principal or user_group";
                out.error_on_key(&at.key("principal"), message);
            }
            (GatewayRateLimitKey::ServicePrincipal, None) => {
                out.error(&at, "`principal` is missing; key `service_principal` needs an application id");
            }
            (GatewayRateLimitKey::UserGroup, None) => {
                out.error(&at, "`principal` is missing; key `user_group` needs a group's name");
            }
            _ => {}
        }
    }
}
