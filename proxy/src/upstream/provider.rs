//! The providers: which API an external model is called by, where, and with what credentials (contract §6.4,
//! product.md §4).

use ring::digest;
use url::Url;
use weirgate_config::secret::Secret;
use weirgate_config::snapshot::{
    AwsCredential, CustomAuth, EntraCredential, ExternalModel, ProviderConfig, Task, UpstreamDefaults,
};
use weirgate_policy::door::Refusal;
use weirgate_policy::reason::Reason;
use weirgate_translate::pair::segment;
use weirgate_translate::{Pair, pair_for};
use zeroize::Zeroizing;

use super::credential::Credential;
use super::grant::{self, Grant};
use super::sigv4::Signer;
use crate::registry::Registries;

/// Client headers for upstreams of the client's own schema: tracing context and what the API itself defines.
/// Credentials, cookies, addresses and hop-by-hop headers stay here.
pub const OPENAI_PASSES: &[&str] = &["traceparent", "tracestate", "openai-beta", "idempotency-key"];
const ANTHROPIC_PASSES: &[&str] = &["traceparent", "tracestate", "anthropic-beta"];
const PASSES: &[&str] = &["traceparent", "tracestate"];

/// What it takes to call an external model.
pub struct Api {
    /// The whole URL, or what a pair's paths are appended to.
    pub url: Url,
    /// How to speak to it; `None` = in the client's schema.
    pub pair: Option<&'static Pair>,
    /// Headers that never change.
    pub headers: Vec<(String, String)>,
    /// What changes.
    pub credential: Credential,
    /// What must never be shown.
    pub secrets: Vec<String>,
    /// Client headers that are passed on.
    pub passes: &'static [&'static str],
}

impl Api {
    /// The API of a model; the refusal is what a query to it gets.
    pub fn of(model: &ExternalModel, settings: &UpstreamDefaults, shared: &Registries) -> Result<Self, Refusal> {
        let provider = model.provider.provider_name();
        match &model.provider {
            ProviderConfig::OpenAi { base, key, organization } => {
                let api = Api::same(join(base, task_path(model.task))).bearer(secret_value(key)?);
                api.organization(organization.as_deref())
            }
            ProviderConfig::Azure { base, key, api_version, deployment, organization } => {
                let api = Api::same(azure_url(base, deployment, api_version, model.task));
                api.key("api-key", secret_value(key)?).organization(organization.as_deref())
            }
            ProviderConfig::AzureAd { base, credential, api_version, deployment, organization } => {
                let api = Api::same(azure_url(base, deployment, api_version, model.task));
                let api = match credential {
                    EntraCredential::Token(token) => api.bearer(secret_value(token)?),
                    EntraCredential::Client { tenant_id, client_id, client_secret } => {
                        let url = grant::entra_url(tenant_id)?;
                        let secret = Zeroizing::new(text_of(client_secret)?.to_owned());
                        let id = digest_of(&[url.as_str(), client_id, &secret]);
                        let api = api.secret(&secret);
                        api.token(id, Grant::Client { id: client_id.clone(), secret }, url, settings, shared)?
                    }
                };
                api.organization(organization.as_deref())
            }
            ProviderConfig::DatabricksModelServing { workspace_url, token } => {
                let path = format!("serving-endpoints/{}/invocations", segment(&model.name));
                Ok(Api::same(join(workspace_url, &path)).bearer(secret_value(token)?))
            }
            ProviderConfig::Custom { url, auth } => {
                let api = Api::same(custom_url(url, model.task));
                Ok(match auth {
                    CustomAuth::Bearer(token) => api.bearer(secret_value(token)?),
                    CustomAuth::Header { name, value } => api.key(name, secret_value(value)?),
                })
            }
            ProviderConfig::Anthropic { base, key } => {
                let api = Api::other(base, pair(model, None)?, ANTHROPIC_PASSES);
                Ok(api.key("x-api-key", secret_value(key)?))
            }
            ProviderConfig::Cohere { base, key } | ProviderConfig::Ai21Labs { base, key } => {
                Ok(Api::other(base, pair(model, None)?, PASSES).bearer(secret_value(key)?))
            }
            ProviderConfig::VertexAi { base, region, project, private_key, client_email } => {
                let base = join(base, &format!("v1/projects/{}/locations/{}", segment(project), segment(region)));
                let key = text_of(private_key)?;
                let (grant, url) = grant::service_account(key, client_email.as_deref())?;
                let id = digest_of(&[url.as_str(), client_email.as_deref().unwrap_or_default(), key]);
                Api::other(&base, pair(model, None)?, PASSES).token(id, grant, url, settings, shared)
            }
            ProviderConfig::AmazonBedrock { base, region, maker, credential } => {
                let AwsCredential::Keys { access_key_id, secret_access_key } = credential else {
                    return Err(Refusal::new(
                        Reason::NotImplemented,
                        "this version of weirgate cannot sign with an instance profile; give the endpoint AWS keys",
                    ));
                };
                let (id, secret) = (secret_value(access_key_id)?, text_of(secret_access_key)?.to_owned());
                let api = Api::other(base, pair(model, Some(maker.as_str()))?, PASSES).secret(&id).secret(&secret);
                Ok(Api { credential: Credential::Aws(Signer::new(id, secret, region)), ..api })
            }
            ProviderConfig::Palm { .. } => Err(Refusal::new(
                Reason::NotImplemented,
                format!("provider {provider} is retired and cannot be called; use google-cloud-vertex-ai"),
            )),
        }
    }

    /// Of the client's schema, at this whole URL.
    fn same(url: Url) -> Self {
        Api {
            url,
            pair: None,
            headers: Vec::new(),
            credential: Credential::Fixed,
            secrets: Vec::new(),
            passes: OPENAI_PASSES,
        }
    }

    /// Of another schema, below this base.
    fn other(base: &Url, pair: &'static Pair, passes: &'static [&'static str]) -> Self {
        Api { pair: Some(pair), passes, ..Api::same(base.clone()) }
    }

    /// With this key in a header.
    fn key(self, name: &str, key: String) -> Self {
        let mut api = self.secret(&key);
        api.headers.push((name.to_owned(), key));
        api
    }

    fn bearer(self, token: String) -> Self {
        let mut api = self.secret(&token);
        api.headers.push(("authorization".to_owned(), format!("Bearer {token}")));
        api
    }

    fn secret(mut self, secret: &str) -> Self {
        self.secrets.push(secret.to_owned());
        self
    }

    fn organization(mut self, organization: Option<&str>) -> Result<Self, Refusal> {
        if let Some(organization) = organization {
            let organization = header_value(organization, "openai_organization")?;
            self.headers.push(("openai-organization".to_owned(), organization));
        }
        Ok(self)
    }

    /// With access tokens that this grant gets at this URL.
    fn token(
        self,
        id: [u8; 32],
        grant: Grant,
        url: Url,
        settings: &UpstreamDefaults,
        shared: &Registries,
    ) -> Result<Self, Refusal> {
        let wrong = |why: String| Refusal::new(Reason::SecretMissing, format!("the token endpoint: {why}"));
        if url.scheme() != "https" && !settings.allow_private {
            return Err(wrong("plain http is refused unless upstreams.allow_private is true".to_owned()));
        }
        let place = shared.place_of_url(&url, settings).map_err(|e| wrong(e.to_string()))?;
        Ok(Api { credential: Credential::Token(shared.tokens.get(id, grant, url, place)), ..self })
    }
}

/// The pair that speaks to a model.
fn pair(model: &ExternalModel, maker: Option<&str>) -> Result<&'static Pair, Refusal> {
    let provider = model.provider.provider_name();
    let task = task_of(model.task);
    pair_for(provider, task, &model.name, maker).ok_or_else(|| {
        let text =
            format!("this version of weirgate cannot call {} of provider {provider} for {}", model.name, task.name());
        Refusal::new(Reason::NotImplemented, text)
    })
}

/// A task as the translation names it.
pub fn task_of(task: Task) -> weirgate_translate::Task {
    match task {
        Task::Chat => weirgate_translate::Task::Chat,
        Task::Completions => weirgate_translate::Task::Completions,
        Task::Embeddings => weirgate_translate::Task::Embeddings,
    }
}

/// A secret that goes into a header.
fn secret_value(secret: &Secret) -> Result<String, Refusal> {
    header_value(text_of(secret)?.trim_end_matches(['\r', '\n']), "the credential")
}

/// A secret that may hold anything.
fn text_of(secret: &Secret) -> Result<&str, Refusal> {
    match secret {
        Secret::Value(text) => Ok(text.expose()),
        Secret::Missing { reference, why } => {
            Err(Refusal::new(Reason::SecretMissing, format!("the secret {reference} has no value: {why}")))
        }
    }
}

/// Refuses what could break out of a header line (contract §6.2); never repeats the value.
pub fn header_value(value: &str, what: &str) -> Result<String, Refusal> {
    if http::HeaderValue::from_str(value).is_err() {
        return Err(Refusal::new(Reason::SecretMissing, format!("{what} holds characters that no header may hold")));
    }
    Ok(value.to_owned())
}

/// One number for a credential, so that it is told from others without being kept.
fn digest_of(parts: &[&str]) -> [u8; 32] {
    let mut context = digest::Context::new(&digest::SHA256);
    for part in parts {
        context.update(&part.len().to_be_bytes());
        context.update(part.as_bytes());
    }
    let mut id = [0; 32];
    id.copy_from_slice(context.finish().as_ref());
    id
}

/// What is appended to an OpenAI base URL.
pub fn task_path(task: Task) -> &'static str {
    task_of(task).path().trim_start_matches('/')
}

/// Appends to a base's path, whatever its trailing slash; the base's query is kept.
pub fn join(base: &Url, path: &str) -> Url {
    let mut url = base.clone();
    url.set_path(&format!("{}/{path}", base.path().trim_end_matches('/')));
    url
}

/// A deployment's URL for a task.
fn azure_url(base: &Url, deployment: &str, api_version: &str, task: Task) -> Url {
    let mut url = join(base, &format!("openai/deployments/{}/{}", segment(deployment), task_path(task)));
    url.query_pairs_mut().append_pair("api-version", api_version);
    url
}

/// Contract §6.4: a URL that ends in a task's path is taken as given, else the task's suffix is appended.
fn custom_url(url: &Url, task: Task) -> Url {
    let path = url.path().trim_end_matches('/');
    let complete = ["/chat/completions", "/completions", "/embeddings"].iter().any(|suffix| path.ends_with(suffix));
    if complete { url.clone() } else { join(url, task_path(task)) }
}

#[cfg(test)]
#[path = "provider_tests.rs"]
mod tests;
