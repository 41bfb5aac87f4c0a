//! `additionalModelRequestFields`: what only some models take, in their makers' words.

use std::borrow::Cow;

use serde::{Serialize, Serializer};
use serde_json::value::{RawValue, to_raw_value};

use super::tools::{ToolChoice, Tools};
use crate::anthropic::model::Model;
use crate::anthropic::thinking::thought;
use crate::bedrock::models::Family;
use crate::chat;
use crate::params::wrong;
use crate::peek::PeekError;
use crate::wire::{Raw, Rest, Text, record};

/// Its members, in order.
#[derive(Default)]
pub(super) struct Fields<'r>(Vec<(Cow<'r, str>, Cow<'r, RawValue>)>);

impl Serialize for Fields<'_> {
    fn serialize<S: Serializer>(&self, json: S) -> Result<S::Ok, S::Error> {
        json.collect_map(self.0.iter().map(|(key, value)| (key, value)))
    }
}

record! {
    /// An object of any members.
    Object {}
}

/// Members of a Converse request that a client may give in the API's own words.
const CONVERSE: [&str; 12] = [
    "additionalModelResponseFieldPaths",
    "guardrailConfig",
    "inferenceConfig",
    "outputConfig",
    "performanceConfig",
    "promptVariables",
    "requestMetadata",
    "serviceTier",
    "system",
    "toolConfig",
    "messages",
    OWN,
];
const OWN: &str = "additionalModelRequestFields";

/// Whether a member that OpenAI does not have is Converse's; if not, it is the model's.
pub(super) fn is_converses(key: &str) -> bool {
    CONVERSE.contains(&key)
}

impl<'r> Fields<'r> {
    /// What the client says in the model's own words.
    pub fn given(rest: &'r Rest<'_>) -> Result<Self, PeekError> {
        let mut fields = Self::default();
        for (key, value) in rest {
            if &**key == OWN {
                let Object { rest } =
                    serde_json::from_str::<Object<'r>>(value.get()).map_err(|_| wrong(OWN, "must be an object"))?;
                for (Text(key), value) in rest {
                    fields.add(key, Cow::Borrowed(value));
                }
            } else if !is_converses(key) {
                fields.add(Cow::Borrowed(&**key), Cow::Borrowed(*value));
            }
        }
        Ok(fields)
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn has(&self, key: &str) -> bool {
        self.0.iter().any(|(known, _)| known == key)
    }

    /// Adds a member unless it is there.
    fn add(&mut self, key: impl Into<Cow<'r, str>>, value: Cow<'r, RawValue>) {
        let key = key.into();
        if !self.has(&key) {
            self.0.push((key, value));
        }
    }

    fn raw(&mut self, key: &'static str, value: Option<Raw<'r>>) {
        if let Some(value) = value {
            self.add(key, Cow::Borrowed(value));
        }
    }

    fn made(&mut self, key: &'static str, value: &impl Serialize) {
        if let Ok(value) = to_raw_value(value) {
            self.add(key, Cow::Owned(value));
        }
    }

    /// Adds what the request says in OpenAI's words. What a model cannot be told is named in `dropped`.
    pub fn of_family(
        &mut self,
        family: Family,
        model: &str,
        asked: &'r chat::Request<'_>,
        tools: &mut Tools<'r>,
        dropped: &mut Vec<&'static str>,
    ) -> Result<(), PeekError> {
        match family {
            Family::Claude => {
                self.raw("top_k", asked.top_k);
                self.claude(model, asked, tools, dropped)?;
            }
            Family::Nova => {
                if let Some(top_k) = asked.top_k {
                    self.made("inferenceConfig", &TopK { top_k });
                }
                if let Some(effort) = asked.reasoning_effort.as_deref().filter(|_| !self.has("reasoningConfig")) {
                    match level(effort)? {
                        _ if !model.contains("nova-2") => dropped.push("reasoning_effort"),
                        None => self.made("reasoningConfig", &ReasoningConfig { kind: "disabled", level: None }),
                        level => self.made("reasoningConfig", &ReasoningConfig { kind: "enabled", level }),
                    }
                }
            }
            Family::OpenAi => {
                if let Some(effort) = asked.reasoning_effort.as_deref() {
                    match level(effort)? {
                        Some(level) => self.made("reasoning_effort", &level),
                        None => dropped.push("reasoning_effort"),
                    }
                }
            }
            Family::Cohere => {
                self.raw("k", asked.top_k);
                self.raw("seed", asked.seed);
                self.raw("frequency_penalty", asked.frequency_penalty);
                self.raw("presence_penalty", asked.presence_penalty);
            }
            Family::Ai21 => {
                self.raw("frequency_penalty", asked.frequency_penalty);
                self.raw("presence_penalty", asked.presence_penalty);
            }
            Family::Mistral => self.raw("top_k", asked.top_k),
            Family::Other => {}
        }
        if family != Family::Claude && tools.forbidden && asked.tool_choice.is_some() {
            dropped.push("tool_choice");
        }
        Ok(())
    }

    /// Claude's own words reach it untouched, and say what Converse has no words for.
    fn claude(
        &mut self,
        model: &str,
        asked: &'r chat::Request<'_>,
        tools: &mut Tools<'r>,
        dropped: &mut Vec<&'static str>,
    ) -> Result<(), PeekError> {
        let thinks = self.has("thinking");
        if let Some(effort) = asked.reasoning_effort.as_deref().filter(|_| !thinks) {
            let thought = thought(effort, Model::named(model), asked, tools.are_forced(), super::FORMAT)?;
            if let Some(thinking) = &thought.thinking {
                self.made("thinking", thinking);
            }
            if let Some(effort) = thought.effort {
                self.made("output_config", &Effort { effort });
            }
            if thought.dropped {
                dropped.push("reasoning_effort");
            }
        }
        let alone = asked.parallel_tool_calls == Some(false) && !tools.is_empty();
        if tools.forbidden {
            self.made("tool_choice", &Choice { kind: "none", name: None, disable_parallel_tool_use: false });
        } else if alone {
            let (kind, name) = match tools.tool_choice.take() {
                None | Some(ToolChoice::Auto {}) => ("auto", None),
                Some(ToolChoice::Any {}) => ("any", None),
                Some(ToolChoice::Tool { name }) => ("tool", Some(name)),
            };
            self.made("tool_choice", &Choice { kind, name, disable_parallel_tool_use: true });
        }
        Ok(())
    }
}

#[derive(Serialize)]
struct TopK<'r> {
    #[serde(rename = "topK")]
    top_k: Raw<'r>,
}

#[derive(Serialize)]
struct ReasoningConfig {
    #[serde(rename = "type")]
    kind: &'static str,
    #[serde(rename = "maxReasoningEffort", skip_serializing_if = "Option::is_none")]
    level: Option<&'static str>,
}

#[derive(Serialize)]
struct Effort {
    effort: &'static str,
}

/// Anthropic's `tool_choice`.
#[derive(Serialize)]
struct Choice<'r> {
    #[serde(rename = "type")]
    kind: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<&'r str>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    disable_parallel_tool_use: bool,
}

/// An effort as models with three of them know it; `None` for none at all.
fn level(effort: &str) -> Result<Option<&'static str>, PeekError> {
    Ok(match effort {
        "none" => None,
        "minimal" | "low" => Some("low"),
        "medium" => Some("medium"),
        "high" | "xhigh" | "max" => Some("high"),
        _ => {
            let rule = "must be none, minimal, low, medium, high, xhigh or max";
            return Err(wrong("reasoning_effort", rule));
        }
    })
}
