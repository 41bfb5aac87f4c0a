//! OpenAI chat request → Messages request.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::model::Model;
use super::thinking::{self, Think};
use super::tools::{self, Tools};
use super::turns::{Conversation, System, Turn};
use super::{VERSION, schema, turns};
use crate::chat::{self, ResponseFormat};
use crate::pair::{Cx, Outgoing};
use crate::peek::PeekError;
use crate::wire::{Members, Raw, Text};

#[derive(Serialize)]
struct Body<'r> {
    #[serde(skip_serializing_if = "Option::is_none")]
    model: Option<&'r str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    anthropic_version: Option<&'static str>,
    max_tokens: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    system: Option<System<'r>>,
    messages: Vec<Turn<'r>>,
    #[serde(flatten)]
    common: Common<'r>,
    #[serde(flatten)]
    tools: Tools<'r>,
    #[serde(skip_serializing_if = "Option::is_none")]
    thinking: Option<Think>,
    #[serde(skip_serializing_if = "Option::is_none")]
    output_config: Option<OutputConfig<'r>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    service_tier: Option<&'static str>,
    #[serde(flatten)]
    rest: Members<'r>,
}

#[derive(Default, Serialize)]
struct OutputConfig<'r> {
    #[serde(skip_serializing_if = "Option::is_none")]
    effort: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    format: Option<Format<'r>>,
}

#[derive(Serialize)]
struct Format<'r> {
    #[serde(rename = "type")]
    kind: &'static str,
    schema: Cow<'r, RawValue>,
}

/// What both of Anthropic's APIs take in the same words.
#[derive(Serialize)]
pub(super) struct Common<'r> {
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    pub stop_sequences: &'r [Text<'r>],
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub stream: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub temperature: Option<Raw<'r>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub top_k: Option<Raw<'r>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub top_p: Option<Raw<'r>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub metadata: Option<Metadata<'r>>,
}

#[derive(Serialize)]
pub(super) struct Metadata<'r> {
    pub user_id: &'r str,
}

/// Who serves the Messages schema: other clouds take it with small changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Host {
    /// Anthropic's own API.
    Anthropic,
    /// One that names model and stream in the path, and this version in the body; it has no Files API.
    Cloud {
        /// `anthropic_version`.
        version: &'static str,
    },
}

/// Translates a request.
pub(super) fn request(asked: &chat::Request<'_>, cx: &Cx<'_>) -> Result<Outgoing, PeekError> {
    let mut outgoing = messages(asked, cx, Host::Anthropic)?;
    outgoing.path = "/v1/messages".into();
    outgoing.headers.insert(0, (VERSION.0, VERSION.1.to_owned()));
    Ok(outgoing)
}

/// Translates a request's body for a host; path and headers of the host's own are the caller's to add.
pub fn messages(asked: &chat::Request<'_>, cx: &Cx<'_>, host: Host) -> Result<Outgoing, PeekError> {
    let model = Model::named(cx.model);
    let mut dropped = Vec::new();
    let Conversation { system, turns, files } = turns::conversation(asked)?;
    let mut tools = tools::tools(asked, model)?;

    let mut output = OutputConfig::default();
    let mut json_tool = false;
    if let Some(format) = asked.response_format.as_ref().filter(|format| !matches!(format, ResponseFormat::Text)) {
        let schema = match format {
            ResponseFormat::JsonSchema(wanted) if model.has_schemas() => wanted.schema.and_then(schema::fitting),
            _ => None,
        };
        json_tool = schema.is_none();
        match schema {
            Some(schema) => output.format = Some(Format { kind: "json_schema", schema }),
            None => tools.force_json(format, asked),
        }
    }

    let own_thinking = chat::unknown(&asked.rest, "thinking");
    let limit = asked.max_tokens();
    let mut max_tokens = limit.or(cx.default_max_tokens).unwrap_or_else(|| model.default_max_tokens());
    let mut think = None;
    if limit.is_none()
        && let Some(own) = own_thinking
    {
        max_tokens = max_tokens.saturating_add(budget_of(own));
    }
    if let Some(effort) = asked.reasoning_effort.as_deref().filter(|_| own_thinking.is_none()) {
        let thought = thinking::thought(effort, model, asked, tools.are_forced(), super::FORMAT)?;
        max_tokens = max_tokens.saturating_add(thought.more_tokens);
        output.effort = thought.effort;
        think = thought.thinking;
        if thought.dropped {
            dropped.push("reasoning_effort");
        }
    }
    let service_tier = match asked.service_tier.as_deref() {
        Some("auto") if host == Host::Anthropic => Some("auto"),
        Some("default") if host == Host::Anthropic => Some("standard_only"),
        Some(_) => {
            dropped.push("service_tier");
            None
        }
        None => None,
    };
    let has_output = output.effort.is_some() || output.format.is_some();
    let user = asked.user.as_deref().or(asked.safety_identifier.as_deref());
    let body = Body {
        model: (host == Host::Anthropic).then_some(cx.model),
        anthropic_version: match host {
            Host::Anthropic => None,
            Host::Cloud { version } => Some(version),
        },
        max_tokens,
        common: Common {
            stop_sequences: &asked.stop.0,
            stream: host == Host::Anthropic && asked.stream == Some(true),
            temperature: asked.temperature,
            top_k: asked.top_k,
            top_p: asked.top_p,
            metadata: user.map(|user_id| Metadata { user_id }),
        },
        output_config: has_output.then_some(output),
        service_tier,
        // What the client says in Anthropic's own words, apart from what was said in OpenAI's already.
        rest: Members::of(&asked.rest, |key| match key {
            "system" => system.is_none(),
            "stop_sequences" => asked.stop.0.is_empty(),
            "output_config" => !has_output,
            _ => true,
        }),
        system,
        messages: turns,
        tools,
        thinking: think,
    };
    let mut outgoing = Outgoing::new("", &body)?;
    if files {
        outgoing.headers.push(("anthropic-beta", "files-api-2025-04-14".to_owned()));
    }
    outgoing.dropped = dropped;
    outgoing.asked.json_tool = json_tool;
    Ok(outgoing)
}

/// The budget that a client gives in Anthropic's own words; it must stay below `max_tokens`.
fn budget_of(thinking: Raw<'_>) -> u64 {
    #[derive(Deserialize)]
    struct Thinking {
        budget_tokens: u64,
    }
    serde_json::from_str::<Thinking>(thinking.get()).map_or(0, |thinking| thinking.budget_tokens)
}

#[cfg(test)]
#[path = "request_tests.rs"]
mod tests;
