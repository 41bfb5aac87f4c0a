//! External models: the right block, complete, and a task that the provider has (contract §§6.3, 6.5).

use url::Url;

use super::{
    Context, Findings,
    base_url::{Form, upstream_url},
    credential::{Field, Use},
    openai::openai,
};
use crate::{
    diagnostic::Pointer,
    document::{
        Ai21LabsSpec, AmazonBedrockSpec, AnthropicSpec, CohereSpec, CustomProviderSpec, DatabricksSpec,
        ExternalModelSpec, PalmSpec, Plaintext, Provider, SecretRef, Task, VertexAiSpec,
    },
    snapshot::{AwsCredential, CustomAuth, ExternalModel, ProviderConfig},
};

/// Headers that say where a message starts and ends or goes; set from outside they would let one request hide another.
const FRAMING: [&str; 9] =
    ["connection", "content-length", "expect", "host", "keep-alive", "te", "trailer", "transfer-encoding", "upgrade"];

pub(super) fn external_model(
    spec: &ExternalModelSpec,
    at: &Pointer,
    cx: &Context<'_>,
    out: &mut Findings,
) -> Option<ExternalModel> {
    let provider = spec.provider;
    if matches!(provider, Provider::Anthropic | Provider::Ai21labs) && spec.task == Task::Embeddings {
        let message =
            format!("provider `{}` has no embeddings; allowed: llm/v1/chat, llm/v1/completions", provider.as_str());
        out.error(&at.key("task"), message);
    }
    refuse_other_blocks(spec, at, out);
    let config = block(spec, &at.key(provider.block()), cx, out);
    if config.is_none() && !given_blocks(spec).contains(&provider.block()) {
        out.error(at, format!("`{}` is missing; provider `{}` needs it", provider.block(), provider.as_str()));
    }
    Some(ExternalModel { name: spec.name.as_str().into(), task: spec.task, provider: config? })
}

fn given_blocks(spec: &ExternalModelSpec) -> Vec<&'static str> {
    [
        (Provider::Openai, spec.openai_config.is_some()),
        (Provider::Anthropic, spec.anthropic_config.is_some()),
        (Provider::Cohere, spec.cohere_config.is_some()),
        (Provider::AmazonBedrock, spec.amazon_bedrock_config.is_some()),
        (Provider::Ai21labs, spec.ai21labs_config.is_some()),
        (Provider::GoogleCloudVertexAi, spec.google_cloud_vertex_ai_config.is_some()),
        (Provider::DatabricksModelServing, spec.databricks_model_serving_config.is_some()),
        (Provider::Palm, spec.palm_config.is_some()),
        (Provider::Custom, spec.custom_provider_config.is_some()),
    ]
    .into_iter()
    .filter(|(_, given)| *given)
    .map(|(provider, _)| provider.block())
    .collect()
}

fn refuse_other_blocks(spec: &ExternalModelSpec, at: &Pointer, out: &mut Findings) {
    let own = spec.provider.block();
    for other in given_blocks(spec).into_iter().filter(|block| *block != own) {
        let message =
            format!("`{other}` belongs to another provider; provider `{}` takes `{own}` only", spec.provider.as_str());
        out.error_on_key(&at.key(other), message);
    }
}

/// `None` without a finding when the block is absent.
fn block(spec: &ExternalModelSpec, at: &Pointer, cx: &Context<'_>, out: &mut Findings) -> Option<ProviderConfig> {
    match spec.provider {
        Provider::Openai => openai(spec.openai_config.as_ref()?, at, cx, out),
        Provider::Anthropic => anthropic(spec.anthropic_config.as_ref()?, at, cx, out),
        Provider::Cohere => cohere(spec.cohere_config.as_ref()?, at, cx, out),
        Provider::AmazonBedrock => bedrock(spec.amazon_bedrock_config.as_ref()?, at, cx, out),
        Provider::Ai21labs => ai21labs(spec.ai21labs_config.as_ref()?, at, cx, out),
        Provider::GoogleCloudVertexAi => vertex(spec.google_cloud_vertex_ai_config.as_ref()?, at, cx, out),
        Provider::DatabricksModelServing => databricks(spec.databricks_model_serving_config.as_ref()?, at, cx, out),
        Provider::Palm => palm(spec.palm_config.as_ref()?, at, cx, out),
        Provider::Custom => custom(spec.custom_provider_config.as_ref()?, at, cx, out),
    }
}

/// The base that the block gives, or the provider's public one.
fn base(
    given: Option<&str>,
    public: &str,
    key: &str,
    at: &Pointer,
    cx: &Context<'_>,
    out: &mut Findings,
) -> Option<Url> {
    upstream_url(given.unwrap_or(public), Form::Base, &at.key(key), cx.allow_private, out)
}

fn anthropic(spec: &AnthropicSpec, at: &Pointer, cx: &Context<'_>, out: &mut Findings) -> Option<ProviderConfig> {
    let base = base(spec.anthropic_api_base.as_deref(), "https://api.anthropic.com", "anthropic_api_base", at, cx, out);
    let key = Field::new("anthropic_api_key", &spec.anthropic_api_key, &spec.anthropic_api_key_plaintext);
    let key = key.compile(Use::Header, at, cx, out);
    Some(ProviderConfig::Anthropic { base: base?, key: key? })
}

fn cohere(spec: &CohereSpec, at: &Pointer, cx: &Context<'_>, out: &mut Findings) -> Option<ProviderConfig> {
    let base = base(spec.cohere_api_base.as_deref(), "https://api.cohere.com", "cohere_api_base", at, cx, out);
    let key = Field::new("cohere_api_key", &spec.cohere_api_key, &spec.cohere_api_key_plaintext);
    let key = key.compile(Use::Header, at, cx, out);
    Some(ProviderConfig::Cohere { base: base?, key: key? })
}

fn bedrock(spec: &AmazonBedrockSpec, at: &Pointer, cx: &Context<'_>, out: &mut Findings) -> Option<ProviderConfig> {
    let public = format!("https://bedrock-runtime.{}.amazonaws.com", spec.aws_region);
    let base = base(spec.amazon_bedrock_api_base.as_deref(), &public, "amazon_bedrock_api_base", at, cx, out);
    if spec.uc_service_credential_name.is_some() {
        let message =
            "`uc_service_credential_name` is not supported here; use the two AWS keys or `instance_profile_arn`";
        out.error_on_key(&at.key("uc_service_credential_name"), message);
    }
    let id = Field::new("aws_access_key_id", &spec.aws_access_key_id, &spec.aws_access_key_id_plaintext);
    let secret =
        Field::new("aws_secret_access_key", &spec.aws_secret_access_key, &spec.aws_secret_access_key_plaintext);
    let has_keys = id.is_given() || secret.is_given();
    let credential = match &spec.instance_profile_arn {
        Some(_) if has_keys => {
            let message = "`instance_profile_arn` and AWS keys are both given; keep one way";
            out.error_on_key(&at.key("instance_profile_arn"), message);
            None
        }
        Some(arn) => Some(AwsCredential::InstanceProfile(arn.clone())),
        None if !has_keys => {
            out.error(at, "a credential is missing; give `aws_access_key_id` and `aws_secret_access_key`, or `instance_profile_arn`");
            None
        }
        None => {
            let access_key_id = id.compile(Use::Header, at, cx, out);
            let secret_access_key = secret.compile(Use::Free, at, cx, out);
            access_key_id
                .zip(secret_access_key)
                .map(|(access_key_id, secret_access_key)| AwsCredential::Keys { access_key_id, secret_access_key })
        }
    };
    let (region, maker) = (spec.aws_region.clone(), spec.bedrock_provider);
    Some(ProviderConfig::AmazonBedrock { base: base?, region, maker, credential: credential? })
}

fn ai21labs(spec: &Ai21LabsSpec, at: &Pointer, cx: &Context<'_>, out: &mut Findings) -> Option<ProviderConfig> {
    let base =
        base(spec.ai21labs_api_base.as_deref(), "https://api.ai21.com/studio/v1", "ai21labs_api_base", at, cx, out);
    let key = Field::new("ai21labs_api_key", &spec.ai21labs_api_key, &spec.ai21labs_api_key_plaintext);
    let key = key.compile(Use::Header, at, cx, out);
    Some(ProviderConfig::Ai21Labs { base: base?, key: key? })
}

fn vertex(spec: &VertexAiSpec, at: &Pointer, cx: &Context<'_>, out: &mut Findings) -> Option<ProviderConfig> {
    let public = format!("https://{}-aiplatform.googleapis.com", spec.region);
    let given = spec.google_cloud_vertex_ai_api_base.as_deref();
    let base = base(given, &public, "google_cloud_vertex_ai_api_base", at, cx, out);
    let key = Field::new("private_key", &spec.private_key, &spec.private_key_plaintext).compile(Use::Free, at, cx, out);
    Some(ProviderConfig::VertexAi {
        base: base?,
        region: spec.region.clone(),
        project: spec.project_id.clone(),
        private_key: key?,
        client_email: spec.client_email.clone(),
    })
}

fn databricks(spec: &DatabricksSpec, at: &Pointer, cx: &Context<'_>, out: &mut Findings) -> Option<ProviderConfig> {
    let name = "databricks_workspace_url";
    let workspace_url = upstream_url(&spec.databricks_workspace_url, Form::Base, &at.key(name), cx.allow_private, out);
    let token = Field::new("databricks_api_token", &spec.databricks_api_token, &spec.databricks_api_token_plaintext);
    let token = token.compile(Use::Header, at, cx, out);
    Some(ProviderConfig::DatabricksModelServing { workspace_url: workspace_url?, token: token? })
}

fn palm(spec: &PalmSpec, at: &Pointer, cx: &Context<'_>, out: &mut Findings) -> Option<ProviderConfig> {
    let key = Field::new("palm_api_key", &spec.palm_api_key, &spec.palm_api_key_plaintext);
    Some(ProviderConfig::Palm { key: key.compile(Use::Header, at, cx, out)? })
}

fn custom(spec: &CustomProviderSpec, at: &Pointer, cx: &Context<'_>, out: &mut Findings) -> Option<ProviderConfig> {
    let name = "custom_provider_url";
    let url = upstream_url(&spec.custom_provider_url, Form::Whole, &at.key(name), cx.allow_private, out);
    type Pair<'a> = (&'a Option<SecretRef>, &'a Option<Plaintext>);
    let header =
        spec.api_key_auth.as_ref().map(|auth| (Some(&auth.key), (&auth.value, &auth.value_plaintext) as Pair<'_>));
    let bearer = spec.bearer_token_auth.as_ref().map(|auth| (None, (&auth.token, &auth.token_plaintext) as Pair<'_>));
    let (block, (header, pair)) = out.exactly_one(at, vec![("api_key_auth", header), ("bearer_token_auth", bearer)])?;
    if let Some(name) = header.filter(|name| FRAMING.iter().any(|taken| name.eq_ignore_ascii_case(taken))) {
        let message = format!("the header `{name}` belongs to the connection; a key cannot go there");
        out.error(&at.key(block).key("key"), message);
    }
    let field = Field::new(if header.is_some() { "value" } else { "token" }, pair.0, pair.1);
    let secret = field.compile(Use::Header, &at.key(block), cx, out)?;
    let auth = match header {
        Some(name) => CustomAuth::Header { name: name.clone(), value: secret },
        None => CustomAuth::Bearer(secret),
    };
    Some(ProviderConfig::Custom { url: url?, auth })
}
