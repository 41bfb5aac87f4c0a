//! OpenAI chat request → Converse request.

use std::borrow::Cow;

use serde::Serialize;

use super::fields::{self, Fields};
use super::tools::{self, Tools};
use super::turns::{self, Block, Turn};
use crate::anthropic::schema;
use crate::bedrock::models::Family;
use crate::bedrock::path;
use crate::chat::{self, JsonSchema, ResponseFormat};
use crate::pair::{Cx, Outgoing};
use crate::peek::PeekError;
use crate::wire::{Members, Raw, Text};

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Body<'r> {
    #[serde(skip_serializing_if = "Vec::is_empty")]
    system: Vec<Block<'r>>,
    messages: Vec<Turn<'r>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    inference_config: Option<Inference<'r>>,
    #[serde(skip_serializing_if = "Tools::is_empty")]
    tool_config: Tools<'r>,
    #[serde(skip_serializing_if = "Option::is_none")]
    output_config: Option<OutputConfig<'r>>,
    #[serde(skip_serializing_if = "Fields::is_empty")]
    additional_model_request_fields: Fields<'r>,
    #[serde(skip_serializing_if = "Option::is_none")]
    request_metadata: Option<Raw<'r>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    service_tier: Option<ServiceTier>,
    #[serde(flatten)]
    rest: Members<'r>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Inference<'r> {
    #[serde(skip_serializing_if = "Option::is_none")]
    max_tokens: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    temperature: Option<Raw<'r>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    top_p: Option<Raw<'r>>,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    stop_sequences: &'r [Text<'r>],
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct OutputConfig<'r> {
    text_format: TextFormat<'r>,
}

#[derive(Serialize)]
struct TextFormat<'r> {
    #[serde(rename = "type")]
    kind: &'static str,
    structure: Structure<'r>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Structure<'r> {
    json_schema: Schema<'r>,
}

/// A schema, which is JSON in a string here.
#[derive(Serialize)]
struct Schema<'r> {
    schema: Cow<'r, str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<&'r str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<&'r str>,
}

#[derive(Serialize)]
struct ServiceTier {
    #[serde(rename = "type")]
    kind: &'static str,
}

/// Translates a request for a family's models.
pub(in crate::bedrock) fn request(
    asked: &chat::Request<'_>,
    cx: &Cx<'_>,
    family: Family,
) -> Result<Outgoing, PeekError> {
    let mut dropped = Vec::new();
    let has_schemas = family.has_schemas(cx.model);
    let mut said = turns::conversation(asked, family.has_cache())?;
    let mut tools = tools::tools(asked, &mut said, has_schemas)?;
    let mut fields = Fields::given(&asked.rest)?;

    let mut output_config = None;
    let mut json_tool = false;
    match &asked.response_format {
        None | Some(ResponseFormat::Text) => {}
        Some(format) => {
            output_config = match format {
                ResponseFormat::JsonSchema(wanted) if has_schemas => native(wanted),
                _ => None,
            };
            json_tool = output_config.is_none();
            if json_tool {
                tools.force_json(format);
            }
        }
    }
    fields.of_family(family, cx.model, asked, &mut tools, &mut dropped)?;
    if said.uncached {
        dropped.push("cache_control");
    }
    let service_tier = match asked.service_tier.as_deref() {
        None | Some("auto") => None,
        Some("default") => Some(ServiceTier { kind: "default" }),
        Some("flex") => Some(ServiceTier { kind: "flex" }),
        Some("priority") => Some(ServiceTier { kind: "priority" }),
        Some(_) => {
            dropped.push("service_tier");
            None
        }
    };
    let inference = Inference {
        max_tokens: asked.max_tokens().or(cx.default_max_tokens),
        temperature: asked.temperature,
        top_p: asked.top_p,
        stop_sequences: &asked.stop.0,
    };
    let says_something = inference.max_tokens.is_some()
        || inference.temperature.is_some()
        || inference.top_p.is_some()
        || !inference.stop_sequences.is_empty();
    let body = Body {
        // What the client says in Converse's own words, apart from what was said in OpenAI's already.
        rest: Members::of(&asked.rest, |key| match key {
            "system" => said.system.is_empty(),
            "messages" | "additionalModelRequestFields" => false,
            "inferenceConfig" => !says_something,
            "toolConfig" => tools.is_empty(),
            "outputConfig" => output_config.is_none(),
            "requestMetadata" => asked.metadata.is_none(),
            "serviceTier" => service_tier.is_none(),
            key => fields::is_converses(key),
        }),
        system: said.system,
        messages: said.turns,
        inference_config: says_something.then_some(inference),
        tool_config: tools,
        output_config,
        additional_model_request_fields: fields,
        request_metadata: asked.metadata,
        service_tier,
    };
    let api = if asked.stream == Some(true) { "converse-stream" } else { "converse" };
    let mut outgoing = Outgoing::new(path(cx.model, api), &body)?;
    outgoing.dropped = dropped;
    outgoing.asked.json_tool = json_tool;
    Ok(outgoing)
}

/// A schema as models take it that have some; `None` if its objects must stay open.
fn native<'r>(wanted: &'r JsonSchema<'_>) -> Option<OutputConfig<'r>> {
    let schema = match schema::fitting(wanted.schema?)? {
        Cow::Borrowed(schema) => Cow::Borrowed(schema.get()),
        Cow::Owned(schema) => Cow::Owned(schema.get().to_owned()),
    };
    let (name, description) = (wanted.name.as_deref(), wanted.description.as_deref());
    let structure = Structure { json_schema: Schema { schema, name, description } };
    Some(OutputConfig { text_format: TextFormat { kind: "json_schema", structure } })
}

#[cfg(test)]
#[path = "request_tests.rs"]
mod tests;
