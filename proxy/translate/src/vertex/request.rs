//! OpenAI chat or completion request → `generateContent`.

use std::borrow::Cow;

use serde::Serialize;
use serde_json::value::RawValue;

use super::config::{self, Config, Setting, Thinking};
use super::model::{Amount, Effort, Model};
use super::tools::{self, Tools};
use super::turns::{self, Conversation, Turn};
use super::{path, schema};
use crate::chat::{self, ResponseFormat};
use crate::completions;
use crate::pair::{Cx, Outgoing};
use crate::params::wrong;
use crate::peek::PeekError;
use crate::wire::{Members, Raw};

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Body<'r> {
    contents: Vec<Turn<'r>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    system_instruction: Option<Turn<'r>>,
    #[serde(flatten)]
    tools: Tools<'r>,
    #[serde(skip_serializing_if = "Config::is_empty")]
    generation_config: Config<'r>,
    #[serde(flatten)]
    rest: Members<'r>,
}

/// Translates a chat request.
pub(super) fn chat(asked: &chat::Request<'_>, cx: &Cx<'_>) -> Result<Outgoing, PeekError> {
    let model = Model::named(cx.model);
    let Conversation { system, turns } = turns::conversation(asked, model)?;
    let mut dropped = Vec::new();
    let mut config = Config::of_chat(asked, cx);
    config.set("responseLogprobs", asked.logprobs.filter(|asked| *asked).map(Setting::Bool));
    config.set("logprobs", asked.top_logprobs.filter(|top| *top > 0).map(Setting::Number));
    config.set("responseModalities", modalities(asked)?.map(Setting::Words));

    let mut tools = tools::tools(asked, model)?;
    let mut json_tool = false;
    match asked.response_format.as_ref().filter(|format| !matches!(format, ResponseFormat::Text)) {
        // These models take one or the other, so the answer comes as the call of one more tool.
        Some(format) if tools.has_functions() && !model.takes_tools_with_format() => {
            tools.force_json(format, model)?;
            json_tool = true;
        }
        Some(format) => {
            config.set("responseMimeType", Some(Setting::Word("application/json")));
            if let ResponseFormat::JsonSchema(wanted) = format
                && let Some(schema) = wanted.schema
            {
                let (key, schema) = response_schema(schema, model)?;
                config.set(key, Some(Setting::Raw(schema)));
            }
        }
        None => {}
    }
    config.set_own(&asked.rest)?;
    if let Some(effort) = asked.reasoning_effort.as_deref() {
        let effort = Effort::named(effort)?;
        let include_thoughts = effort != Effort::None;
        let thinking = model.thinking(effort).map(|amount| match amount {
            Amount::Level(level) => Thinking { include_thoughts, thinking_level: Some(level), thinking_budget: None },
            Amount::Budget(tokens) => {
                Thinking { include_thoughts, thinking_level: None, thinking_budget: Some(tokens) }
            }
        });
        if thinking.is_none() && include_thoughts {
            dropped.push("reasoning_effort");
        }
        config.set("thinkingConfig", thinking.map(Setting::Thinking));
    }
    let body = Body {
        rest: Members::of(&asked.rest, |key| match key {
            "contents" | "generationConfig" => false,
            "systemInstruction" => system.is_none(),
            "toolConfig" => !tools.has_config(),
            key => !config::MEMBERS.contains(&key),
        }),
        contents: turns,
        system_instruction: system,
        tools,
        generation_config: config,
    };
    let mut outgoing = Outgoing::new(path("google", cx.model, method(asked.stream)), &body)?;
    outgoing.dropped = dropped;
    outgoing.asked.json_tool = json_tool;
    Ok(outgoing)
}

/// Translates a completion request.
pub(super) fn completion(asked: &completions::Request<'_>, cx: &Cx<'_>) -> Result<Outgoing, PeekError> {
    let prompt = asked.single_prompt()?;
    let mut config = Config::of_completion(asked, cx);
    config.set_own(&asked.rest)?;
    let body = Body {
        contents: vec![Turn::of_user(&prompt)],
        system_instruction: None,
        tools: Tools::default(),
        generation_config: config,
        rest: Members::of(&asked.rest, |key| {
            !matches!(key, "contents" | "generationConfig") && !config::MEMBERS.contains(&key)
        }),
    };
    Outgoing::new(path("google", cx.model, method(asked.stream)), &body)
}

fn method(stream: Option<bool>) -> &'static str {
    if stream == Some(true) { "streamGenerateContent?alt=sse" } else { "generateContent" }
}

/// The kinds of output, unless it is text alone.
fn modalities(asked: &chat::Request<'_>) -> Result<Option<Vec<String>>, PeekError> {
    let kinds = asked.modalities.as_deref().unwrap_or_default();
    if kinds.iter().any(|kind| !matches!(&**kind, "text" | "image")) {
        return Err(wrong("modalities", "must be text or image; the provider answers with nothing else here"));
    }
    let named: Vec<String> = kinds.iter().map(|kind| kind.to_ascii_uppercase()).collect();
    Ok(Some(named).filter(|named| named.iter().any(|kind| kind == "IMAGE")))
}

/// The schema of an answer, and the member that it goes into.
fn response_schema<'r>(schema: Raw<'r>, model: Model<'_>) -> Result<(&'static str, Cow<'r, RawValue>), PeekError> {
    let place = "response_format.json_schema.schema";
    if model.takes_json_schemas() {
        return Ok(("responseJsonSchema", schema::json_schema(schema, place)?));
    }
    Ok(("responseSchema", schema::own_schema(schema, place)?))
}

#[cfg(test)]
#[path = "request_tests.rs"]
mod tests;
