//! The OpenAI block with its three forms (contract §6.3).

use url::Url;

use super::{
    Context, Findings,
    base_url::{Form, upstream_url},
    credential::{Field, Use},
};
use crate::{
    diagnostic::Pointer,
    document::{OpenAiSpec, OpenAiType},
    snapshot::{EntraCredential, ProviderConfig},
};

const PUBLIC_BASE: &str = "https://api.openai.com/v1";

pub(super) fn openai(spec: &OpenAiSpec, at: &Pointer, cx: &Context<'_>, out: &mut Findings) -> Option<ProviderConfig> {
    let key = Field::new("openai_api_key", &spec.openai_api_key, &spec.openai_api_key_plaintext);
    let organization = spec.openai_organization.clone();
    let kind = spec.openai_api_type.unwrap_or(OpenAiType::Openai);
    if kind != OpenAiType::AzureAd {
        let entra = [
            ("microsoft_entra_tenant_id", spec.microsoft_entra_tenant_id.is_some()),
            ("microsoft_entra_client_id", spec.microsoft_entra_client_id.is_some()),
            ("microsoft_entra_client_secret", spec.microsoft_entra_client_secret.is_some()),
            ("microsoft_entra_client_secret_plaintext", spec.microsoft_entra_client_secret_plaintext.is_some()),
        ];
        refuse(&entra, at, "works only with `openai_api_type: azuread`", out);
    }
    match kind {
        OpenAiType::Openai => {
            let azure = [
                ("openai_api_version", spec.openai_api_version.is_some()),
                ("openai_deployment_name", spec.openai_deployment_name.is_some()),
            ];
            refuse(&azure, at, "works only with `openai_api_type: azure` or `azuread`", out);
            let text = spec.openai_api_base.as_deref().unwrap_or(PUBLIC_BASE);
            let base = upstream_url(text, Form::Base, &at.key("openai_api_base"), cx.allow_private, out);
            let key = key.compile(Use::Header, at, cx, out);
            Some(ProviderConfig::OpenAi { base: base?, key: key?, organization })
        }
        OpenAiType::Azure => {
            let deployment = deployment(spec, at, cx, out);
            let key = key.compile(Use::Header, at, cx, out);
            let Deployment { base, api_version, deployment } = deployment?;
            Some(ProviderConfig::Azure { base, key: key?, api_version, deployment, organization })
        }
        OpenAiType::AzureAd => {
            let deployment = deployment(spec, at, cx, out);
            let credential = entra(spec, &key, at, cx, out);
            let Deployment { base, api_version, deployment } = deployment?;
            Some(ProviderConfig::AzureAd { base, credential: credential?, api_version, deployment, organization })
        }
    }
}

fn refuse(keys: &[(&str, bool)], at: &Pointer, why: &str, out: &mut Findings) {
    for (key, _) in keys.iter().filter(|(_, given)| *given) {
        out.error_on_key(&at.key(key), format!("`{key}` {why}; remove it or set the type"));
    }
}

struct Deployment {
    base: Url,
    api_version: String,
    deployment: String,
}

fn deployment(spec: &OpenAiSpec, at: &Pointer, cx: &Context<'_>, out: &mut Findings) -> Option<Deployment> {
    let why = "Azure needs `openai_api_base`, `openai_api_version` and `openai_deployment_name`";
    let base = out.required(at, "openai_api_base", spec.openai_api_base.as_ref(), why);
    let base = base.and_then(|text| upstream_url(text, Form::Base, &at.key("openai_api_base"), cx.allow_private, out));
    let api_version = out.required(at, "openai_api_version", spec.openai_api_version.as_ref(), why);
    let deployment = out.required(at, "openai_deployment_name", spec.openai_deployment_name.as_ref(), why);
    Some(Deployment { base: base?, api_version: api_version?.to_owned(), deployment: deployment?.to_owned() })
}

/// The Entra trio wins when it is complete; else `openai_api_key` holds an access token.
fn entra(
    spec: &OpenAiSpec,
    key: &Field<'_>,
    at: &Pointer,
    cx: &Context<'_>,
    out: &mut Findings,
) -> Option<EntraCredential> {
    let name = "microsoft_entra_client_secret";
    let secret = Field::new(name, &spec.microsoft_entra_client_secret, &spec.microsoft_entra_client_secret_plaintext);
    let (tenant, client) = (spec.microsoft_entra_tenant_id.as_ref(), spec.microsoft_entra_client_id.as_ref());
    let complete = tenant.is_some() && client.is_some() && secret.is_given();
    let begun = tenant.is_some() || client.is_some() || secret.is_given();
    if key.is_given() && !complete {
        if begun {
            out.warning(
                at,
                "the microsoft_entra_ fields are incomplete and ignored; `openai_api_key` is used as access token",
            );
        }
        return key.compile(Use::Header, at, cx, out).map(EntraCredential::Token);
    }
    let why = "azuread needs microsoft_entra_tenant_id, _client_id and _client_secret, or an access token in `openai_api_key`";
    let tenant_id = out.required(at, "microsoft_entra_tenant_id", tenant, why);
    let client_id = out.required(at, "microsoft_entra_client_id", client, why);
    let client_secret = secret.compile(Use::Free, at, cx, out);
    Some(EntraCredential::Client {
        tenant_id: tenant_id?.to_owned(),
        client_id: client_id?.to_owned(),
        client_secret: client_secret?,
    })
}
