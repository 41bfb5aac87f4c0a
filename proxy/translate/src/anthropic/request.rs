//! OpenAI chat request → Messages request.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::model::{Model, Thinking};
use super::tools::{self, Tools};
use super::turns::{Conversation, System, Turn};
use super::{VERSION, schema, turns};
use crate::chat::{self, ResponseFormat, Role};
use crate::pair::{Cx, Outgoing};
use crate::params::wrong;
use crate::peek::PeekError;
use crate::wire::{Members, Raw, Text};

/// Least tokens that may be spent on thinking.
const LEAST_BUDGET: u64 = 1024;

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

#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Think {
    Enabled {
        budget_tokens: u64,
    },
    Adaptive {
        #[serde(skip_serializing_if = "Option::is_none")]
        display: Option<&'static str>,
    },
    Disabled,
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
    let mut thinking = None;
    if limit.is_none()
        && let Some(own) = own_thinking
    {
        max_tokens = max_tokens.saturating_add(budget_of(own));
    }
    if let Some(effort) = asked.reasoning_effort.as_deref().filter(|_| own_thinking.is_none()) {
        let effort = Effort::named(effort)?;
        // The API does not think when it is forced to call a tool, nor (with a budget) in the middle of a tool loop
        // whose beginning it did not think about.
        match (model.thinking(), effort) {
            (Thinking::Never, Effort::None) | (Thinking::Budget, Effort::None) => {}
            (Thinking::Adaptive, Effort::None) => thinking = Some(Think::Disabled),
            (Thinking::Adaptive, effort) => {
                let display = model.hides_thinking().then_some("summarized");
                thinking = (!tools.are_forced()).then_some(Think::Adaptive { display });
                output.effort = Some(effort.level(model));
            }
            (Thinking::Budget, effort) if !tools.are_forced() && !breaks_into_a_tool_loop(asked) => {
                let budget = match limit {
                    Some(limit) => effort.budget().min(limit.saturating_sub(1)),
                    None => {
                        max_tokens += effort.budget();
                        effort.budget()
                    }
                };
                if budget >= LEAST_BUDGET {
                    thinking = Some(Think::Enabled { budget_tokens: budget });
                } else {
                    dropped.push("reasoning_effort");
                }
            }
            (Thinking::Never | Thinking::Budget, _) => dropped.push("reasoning_effort"),
        }
    }
    let service_tier = match asked.service_tier.as_deref() {
        Some("auto") => Some("auto"),
        Some("default") => Some("standard_only"),
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
        thinking,
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

/// Whether the last assistant turn called tools without the thinking that led to it, and their results follow.
fn breaks_into_a_tool_loop(asked: &chat::Request<'_>) -> bool {
    let mut turns = asked.messages.iter().rev();
    let in_loop = turns.clone().next().is_some_and(|turn| turn.role == Role::Tool);
    let last = turns.find(|turn| turn.role == Role::Assistant);
    in_loop && last.is_some_and(|turn| !turn.tool_calls().is_empty() && turn.details(super::FORMAT).next().is_none())
}

/// OpenAI's `reasoning_effort`.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Effort {
    None,
    Minimal,
    Low,
    Medium,
    High,
    Xhigh,
    Max,
}

impl Effort {
    fn named(name: &str) -> Result<Self, PeekError> {
        Ok(match name {
            "none" => Self::None,
            "minimal" => Self::Minimal,
            "low" => Self::Low,
            "medium" => Self::Medium,
            "high" => Self::High,
            "xhigh" => Self::Xhigh,
            "max" => Self::Max,
            _ => {
                let rule = "must be none, minimal, low, medium, high, xhigh or max";
                return Err(wrong("reasoning_effort", rule));
            }
        })
    }

    /// Tokens to think with.
    fn budget(self) -> u64 {
        match self {
            Self::None => 0,
            Self::Minimal | Self::Low => LEAST_BUDGET,
            Self::Medium => 4096,
            Self::High => 16384,
            Self::Xhigh | Self::Max => 32768,
        }
    }

    /// `output_config.effort`.
    fn level(self, model: Model) -> &'static str {
        match self {
            Self::None | Self::Minimal | Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
            Self::Xhigh if model.hides_thinking() => "xhigh",
            Self::Xhigh => "high",
            Self::Max => "max",
        }
    }
}

#[cfg(test)]
#[path = "request_tests.rs"]
mod tests;
