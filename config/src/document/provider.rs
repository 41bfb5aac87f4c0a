//! External models and the nine provider blocks (contract §6.3, bases of product.md §4).

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, de::Error};

use super::{Plaintext, SecretRef, Task};

/// A provider's model.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct ExternalModelSpec {
    /// The provider's model id.
    #[schemars(length(min = 1, max = 255))]
    pub name: String,
    /// Who provides it; the block with the provider's name holds the credentials.
    pub provider: Provider,
    /// What it is used for.
    pub task: Task,
    /// For provider openai, Azure included.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub openai_config: Option<OpenAiSpec>,
    /// For provider anthropic.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub anthropic_config: Option<AnthropicSpec>,
    /// For provider cohere.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cohere_config: Option<CohereSpec>,
    /// For provider amazon-bedrock.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub amazon_bedrock_config: Option<AmazonBedrockSpec>,
    /// For provider ai21labs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ai21labs_config: Option<Ai21LabsSpec>,
    /// For provider google-cloud-vertex-ai.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub google_cloud_vertex_ai_config: Option<VertexAiSpec>,
    /// For provider databricks-model-serving.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub databricks_model_serving_config: Option<DatabricksSpec>,
    /// For provider palm.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub palm_config: Option<PalmSpec>,
    /// For provider custom.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub custom_provider_config: Option<CustomProviderSpec>,
}

/// Who provides an external model.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Provider {
    /// OpenAI, Azure included, and servers with its schema.
    Openai,
    /// Anthropic.
    Anthropic,
    /// Cohere.
    Cohere,
    /// Amazon Bedrock.
    AmazonBedrock,
    /// AI21 Labs.
    Ai21labs,
    /// Google Cloud Vertex AI.
    GoogleCloudVertexAi,
    /// Another workspace's serving endpoints.
    DatabricksModelServing,
    /// PaLM.
    Palm,
    /// Anything with OpenAI's format.
    Custom,
}

impl Provider {
    /// The contract's spelling.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Openai => "openai",
            Self::Anthropic => "anthropic",
            Self::Cohere => "cohere",
            Self::AmazonBedrock => "amazon-bedrock",
            Self::Ai21labs => "ai21labs",
            Self::GoogleCloudVertexAi => "google-cloud-vertex-ai",
            Self::DatabricksModelServing => "databricks-model-serving",
            Self::Palm => "palm",
            Self::Custom => "custom",
        }
    }

    /// The key of the one block that belongs to the provider.
    pub fn block(self) -> &'static str {
        match self {
            Self::Openai => "openai_config",
            Self::Anthropic => "anthropic_config",
            Self::Cohere => "cohere_config",
            Self::AmazonBedrock => "amazon_bedrock_config",
            Self::Ai21labs => "ai21labs_config",
            Self::GoogleCloudVertexAi => "google_cloud_vertex_ai_config",
            Self::DatabricksModelServing => "databricks_model_serving_config",
            Self::Palm => "palm_config",
            Self::Custom => "custom_provider_config",
        }
    }
}

/// An enum that is read in any case and emitted in lower case (contract §6.3).
macro_rules! caseless_enum {
    ($(#[$doc:meta])* $name:ident { $($(#[$variant_doc:meta])* $variant:ident = $text:literal,)+ }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
        pub enum $name {
            $($(#[$variant_doc])* #[serde(rename = $text)] $variant,)+
        }

        impl $name {
            /// The contract's spelling, in lower case.
            pub fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $text,)+
                }
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = String::deserialize(deserializer)?;
                $(if text.eq_ignore_ascii_case($text) {
                    return Ok(Self::$variant);
                })+
                Err(D::Error::custom(concat!("not one of:", $(" ", $text),+)))
            }
        }

        impl JsonSchema for $name {
            fn schema_name() -> Cow<'static, str> {
                stringify!($name).into()
            }
            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                json_schema!({ "type": "string", "enum": [$($text),+], "x-any-case": true })
            }
        }
    };
}

caseless_enum!(
    /// How an OpenAI-schema service authenticates and lays out its paths.
    OpenAiType {
        /// OpenAI itself.
        Openai = "openai",
        /// Azure with an API key.
        Azure = "azure",
        /// Azure with Entra ID.
        AzureAd = "azuread",
    }
);

caseless_enum!(
    /// Maker of a Bedrock model, which decides the body's form.
    BedrockProvider {
        /// Anthropic.
        Anthropic = "anthropic",
        /// Cohere.
        Cohere = "cohere",
        /// AI21 Labs.
        Ai21labs = "ai21labs",
        /// Amazon.
        Amazon = "amazon",
        /// xAI.
        Grok = "grok",
    }
);

/// OpenAI, Azure included.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
#[serde(default)]
pub struct OpenAiSpec {
    /// API key, as a reference.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub openai_api_key: Option<SecretRef>,
    /// API key, written out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub openai_api_key_plaintext: Option<Plaintext>,
    /// Default: openai.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub openai_api_type: Option<OpenAiType>,
    /// Default: https://api.openai.com/v1. For Azure: the resource's root, required.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub openai_api_base: Option<String>,
    /// Azure only, required there: a date such as 2023-05-15.
    #[schemars(regex(pattern = r"^[0-9]{4}-[0-9]{2}-[0-9]{2}(-[A-Za-z0-9]+)?$"), extend("x-expected" = "a date such as 2023-05-15"))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub openai_api_version: Option<String>,
    /// Azure only, required there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub openai_deployment_name: Option<String>,
    /// Sent as OpenAI-Organization.
    #[schemars(regex(pattern = r"^[!-~]{1,255}$"), extend("x-expected" = "an organization id such as org-123"))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub openai_organization: Option<String>,
    /// azuread only.
    #[schemars(regex(pattern = r"^[A-Za-z0-9.-]{1,255}$"), extend("x-expected" = "a tenant's id or domain"))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub microsoft_entra_tenant_id: Option<String>,
    /// azuread only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub microsoft_entra_client_id: Option<String>,
    /// azuread only, as a reference.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub microsoft_entra_client_secret: Option<SecretRef>,
    /// azuread only, written out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub microsoft_entra_client_secret_plaintext: Option<Plaintext>,
}

/// Anthropic.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
#[serde(default)]
pub struct AnthropicSpec {
    /// API key, as a reference.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub anthropic_api_key: Option<SecretRef>,
    /// API key, written out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub anthropic_api_key_plaintext: Option<Plaintext>,
    /// API root. Default: the public one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub anthropic_api_base: Option<String>,
}

/// Cohere.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
#[serde(default)]
pub struct CohereSpec {
    /// API key, as a reference.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cohere_api_key: Option<SecretRef>,
    /// API key, written out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cohere_api_key_plaintext: Option<Plaintext>,
    /// API root. Default: the public one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cohere_api_base: Option<String>,
}

/// Amazon Bedrock. Either both keys or an instance profile.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct AmazonBedrockSpec {
    /// For example us-east-1.
    #[schemars(regex(pattern = r"^[a-z0-9-]{1,63}$"), extend("x-expected" = "a region such as us-east-1"))]
    pub aws_region: String,
    /// Access key id, as a reference.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub aws_access_key_id: Option<SecretRef>,
    /// Access key id, written out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub aws_access_key_id_plaintext: Option<Plaintext>,
    /// Secret access key, as a reference.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub aws_secret_access_key: Option<SecretRef>,
    /// Secret access key, written out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub aws_secret_access_key_plaintext: Option<Plaintext>,
    /// Instance profile, instead of keys.
    #[schemars(length(min = 1, max = 2048))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub instance_profile_arn: Option<String>,
    /// Not supported here; use keys or an instance profile.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub uc_service_credential_name: Option<String>,
    /// Maker of the model.
    pub bedrock_provider: BedrockProvider,
    /// Default: bedrock-runtime of the region.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub amazon_bedrock_api_base: Option<String>,
}

/// AI21 Labs.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
#[serde(default)]
pub struct Ai21LabsSpec {
    /// API key, as a reference.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ai21labs_api_key: Option<SecretRef>,
    /// API key, written out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ai21labs_api_key_plaintext: Option<Plaintext>,
    /// Down to studio/v1. Default: the public one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ai21labs_api_base: Option<String>,
}

/// Google Cloud Vertex AI.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct VertexAiSpec {
    /// Service-account JSON (or a bare PEM with client_email), as a reference.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub private_key: Option<SecretRef>,
    /// Service-account JSON (or a bare PEM with client_email), written out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub private_key_plaintext: Option<Plaintext>,
    /// Account of a bare PEM.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_email: Option<String>,
    /// For example us-central1.
    #[schemars(regex(pattern = r"^[a-z0-9-]{1,63}$"), extend("x-expected" = "a region such as us-central1"))]
    pub region: String,
    /// Project in the path.
    #[schemars(regex(pattern = r"^[A-Za-z0-9:.-]{1,63}$"), extend("x-expected" = "a project id such as my-project"))]
    pub project_id: String,
    /// Default: {region}-aiplatform.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub google_cloud_vertex_ai_api_base: Option<String>,
}

/// Another workspace's serving endpoints.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct DatabricksSpec {
    /// Token with query right, as a reference.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub databricks_api_token: Option<SecretRef>,
    /// Token with query right, written out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub databricks_api_token_plaintext: Option<Plaintext>,
    /// Root of the workspace.
    pub databricks_workspace_url: String,
}

/// PaLM (retired upstream).
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
#[serde(default)]
pub struct PalmSpec {
    /// API key, as a reference.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub palm_api_key: Option<SecretRef>,
    /// API key, written out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub palm_api_key_plaintext: Option<Plaintext>,
}

/// Anything with OpenAI's format. One of api_key_auth and bearer_token_auth.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct CustomProviderSpec {
    /// Called as given if its path ends in the task's route, which is appended otherwise.
    pub custom_provider_url: String,
    /// A header with a key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub api_key_auth: Option<ApiKeyAuthSpec>,
    /// A bearer token.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bearer_token_auth: Option<BearerTokenAuthSpec>,
}

/// A header with a key.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct ApiKeyAuthSpec {
    /// Name of the header.
    #[schemars(regex(pattern = r"^[!#$%&'*+.^_`|~0-9A-Za-z-]{1,128}$"), extend("x-expected" = "a header name such as x-api-key"))]
    pub key: String,
    /// Its value, as a reference.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub value: Option<SecretRef>,
    /// Its value, written out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub value_plaintext: Option<Plaintext>,
}

/// A bearer token.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct BearerTokenAuthSpec {
    /// As a reference.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub token: Option<SecretRef>,
    /// Written out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub token_plaintext: Option<Plaintext>,
}
