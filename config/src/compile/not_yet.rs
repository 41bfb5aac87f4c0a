//! What the documents may say and the gateway does not do yet: said aloud, since a limit or a guardrail that is silently ignored is worse than
//! none. Whoever makes one work deletes its line.

use super::Findings;
use crate::{
    diagnostic::Pointer,
    document::{EndpointSpec, ExternalModelSpec, Provider},
};

pub(super) fn warn(spec: &EndpointSpec, out: &mut Findings) {
    let root = Pointer::root();
    let gateway = root.key("ai_gateway");
    let config = root.key("config");
    let block = spec.ai_gateway.as_ref();
    let capture = spec.config.as_ref().and_then(|config| config.auto_capture_config.as_ref());
    let said = [
        (&root, "rate_limits", !spec.rate_limits.is_empty()),
        (&root, "email_notifications", spec.email_notifications.is_some()),
        (&config, "auto_capture_config", capture.is_some()),
        (&gateway, "guardrails", block.is_some_and(|block| block.guardrails.is_some())),
        (&gateway, "inference_table_config", block.is_some_and(|block| block.inference_table_config.is_some())),
        (&gateway, "rate_limits", block.is_some_and(|block| !block.rate_limits.is_empty())),
        (&gateway, "usage_tracking_config", block.is_some_and(|block| block.usage_tracking_config.is_some())),
        (&gateway, "fallback_config", block.is_some_and(|block| block.fallback_config.is_some())),
    ];
    for (holder, key, _) in said.iter().filter(|(_, _, said)| *said) {
        out.warning_on_key(&holder.key(key), format!("`{key}` is accepted and not enforced yet"));
    }
    let entities = spec.config.as_ref().and_then(|config| config.served_entities.as_deref()).unwrap_or_default();
    for (index, entity) in entities.iter().enumerate() {
        let at = config.key("served_entities").index(index);
        if let Some((key, what)) = entity.external_model.as_ref().and_then(not_callable) {
            out.warning(&at.key("external_model").key(key), format!("{what} is accepted and cannot be called"));
        }
        if entity.max_provisioned_throughput.is_some() {
            out.warning_on_key(
                &at.key("max_provisioned_throughput"),
                "provisioned throughput is accepted and not enforced yet",
            );
        }
    }
}

/// The key at which a model says that it cannot be called, and what it says there.
fn not_callable(external: &ExternalModelSpec) -> Option<(&'static str, &'static str)> {
    let bedrock = external.amazon_bedrock_config.as_ref();
    match external.provider {
        // Retired by its maker.
        Provider::Palm => Some(("provider", "`palm`")),
        Provider::AmazonBedrock if bedrock.is_some_and(|block| block.instance_profile_arn.is_some()) => {
            Some(("amazon_bedrock_config", "`instance_profile_arn`"))
        }
        _ => None,
    }
}
