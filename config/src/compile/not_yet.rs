//! What the documents may say and the gateway does not do yet: said aloud, since a limit or a guardrail that is silently ignored is worse than
//! none. Whoever makes one work deletes its line.

use super::Findings;
use crate::{
    diagnostic::Pointer,
    document::{EndpointSpec, ExternalModelSpec, OpenAiType, Provider},
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
        if let Some(external) = entity.external_model.as_ref().filter(|external| !is_callable(external)) {
            let azure = if external.provider == Provider::Openai { " on Azure" } else { "" };
            let message = format!("`{}`{azure} is accepted and cannot be called yet", external.provider.as_str());
            out.warning(&at.key("external_model").key("provider"), message);
        }
        if entity.max_provisioned_throughput.is_some() {
            out.warning_on_key(
                &at.key("max_provisioned_throughput"),
                "provisioned throughput is accepted and not enforced yet",
            );
        }
    }
}

fn is_callable(external: &ExternalModelSpec) -> bool {
    match external.provider {
        Provider::Openai => {
            let kind = external.openai_config.as_ref().and_then(|block| block.openai_api_type);
            kind.is_none_or(|kind| kind == OpenAiType::Openai)
        }
        Provider::DatabricksModelServing | Provider::Custom => true,
        _ => false,
    }
}
