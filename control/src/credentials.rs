//! The credentials in a config: each a field that takes a reference, with its `_plaintext` sibling (contract §6.3).

use weirgate_config::Pointer;
use weirgate_config::document::{ConfigSpec, ExternalModelSpec, Plaintext, SecretRef};
use weirgate_config::secret::Reference;

use crate::store::secrets::OWN_PREFIX;

/// One credential.
pub(crate) struct Credential<'s> {
    /// Where the reference stands in the endpoint's document.
    pub at: Pointer,
    pub reference: &'s mut Option<SecretRef>,
    pub plaintext: &'s mut Option<Plaintext>,
}

/// Scope and key of a reference to the secret store.
pub(crate) fn stored(reference: &str) -> Option<(&str, &str)> {
    match Reference::parse(reference) {
        Some(Reference::Store { scope, key }) => Some((scope, key)),
        _ => None,
    }
}

/// Whether a reference leads to a value that a caller sent in the clear: such references are nobody's business.
pub(crate) fn is_own(reference: &str) -> bool {
    stored(reference).is_some_and(|(scope, _)| scope.starts_with(OWN_PREFIX))
}

/// All credentials of a config.
pub(crate) fn of_config(config: &mut ConfigSpec) -> Vec<Credential<'_>> {
    let mut list = Vec::new();
    for (index, entity) in config.served_entities.iter_mut().flatten().enumerate() {
        if let Some(model) = &mut entity.external_model {
            let at = Pointer::root().key("config").key("served_entities").index(index).key("external_model");
            of_model(model, &at, &mut list);
        }
    }
    list
}

/// The references to the gateway's own scopes in a config, as (scope, key).
pub(crate) fn own_secrets(config: &ConfigSpec) -> Vec<(String, String)> {
    let mut config = config.clone();
    let references: Vec<String> =
        of_config(&mut config).into_iter().filter_map(|credential| Some(credential.reference.take()?.0)).collect();
    let own = references.iter().filter(|reference| is_own(reference)).filter_map(|reference| stored(reference));
    own.map(|(scope, key)| (scope.to_owned(), key.to_owned())).collect()
}

fn of_model<'s>(model: &'s mut ExternalModelSpec, at: &Pointer, list: &mut Vec<Credential<'s>>) {
    let block = at.key(model.provider.block());
    let mut add = |at: Pointer, reference, plaintext| list.push(Credential { at, reference, plaintext });
    if let Some(spec) = &mut model.openai_config {
        add(block.key("openai_api_key"), &mut spec.openai_api_key, &mut spec.openai_api_key_plaintext);
        let (reference, plaintext) =
            (&mut spec.microsoft_entra_client_secret, &mut spec.microsoft_entra_client_secret_plaintext);
        add(block.key("microsoft_entra_client_secret"), reference, plaintext);
    }
    if let Some(spec) = &mut model.anthropic_config {
        add(block.key("anthropic_api_key"), &mut spec.anthropic_api_key, &mut spec.anthropic_api_key_plaintext);
    }
    if let Some(spec) = &mut model.cohere_config {
        add(block.key("cohere_api_key"), &mut spec.cohere_api_key, &mut spec.cohere_api_key_plaintext);
    }
    if let Some(spec) = &mut model.amazon_bedrock_config {
        add(block.key("aws_access_key_id"), &mut spec.aws_access_key_id, &mut spec.aws_access_key_id_plaintext);
        let (reference, plaintext) = (&mut spec.aws_secret_access_key, &mut spec.aws_secret_access_key_plaintext);
        add(block.key("aws_secret_access_key"), reference, plaintext);
    }
    if let Some(spec) = &mut model.ai21labs_config {
        add(block.key("ai21labs_api_key"), &mut spec.ai21labs_api_key, &mut spec.ai21labs_api_key_plaintext);
    }
    if let Some(spec) = &mut model.google_cloud_vertex_ai_config {
        add(block.key("private_key"), &mut spec.private_key, &mut spec.private_key_plaintext);
    }
    if let Some(spec) = &mut model.databricks_model_serving_config {
        add(
            block.key("databricks_api_token"),
            &mut spec.databricks_api_token,
            &mut spec.databricks_api_token_plaintext,
        );
    }
    if let Some(spec) = &mut model.palm_config {
        add(block.key("palm_api_key"), &mut spec.palm_api_key, &mut spec.palm_api_key_plaintext);
    }
    if let Some(spec) = &mut model.custom_provider_config {
        if let Some(auth) = &mut spec.api_key_auth {
            add(block.key("api_key_auth").key("value"), &mut auth.value, &mut auth.value_plaintext);
        }
        if let Some(auth) = &mut spec.bearer_token_auth {
            add(block.key("bearer_token_auth").key("token"), &mut auth.token, &mut auth.token_plaintext);
        }
    }
}

#[cfg(test)]
#[path = "credentials_tests.rs"]
mod tests;
