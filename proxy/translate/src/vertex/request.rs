//! OpenAI chat or completion request → `generateContent`.

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde::Serialize;
use serde::ser::Serializer;
use serde_json::value::RawValue;

use super::model::{Amount, Effort, Model};
use super::tools::{self, Tools};
use super::turns::{self, Conversation, Turn};
use super::{path, schema};
use crate::chat::{self, ResponseFormat};
use crate::completions;
use crate::pair::{Cx, Outgoing};
use crate::params::wrong;
use crate::peek::PeekError;
use crate::wire::{Members, Raw, Text};

/// Members of `generationConfig` that OpenAI has no word for: a client may put them beside OpenAI's parameters.
const CONFIG: [&str; 10] = [
    "audioTimestamp",
    "enableAffectiveDialog",
    "imageConfig",
    "mediaResolution",
    "modelSelectionConfig",
    "responseModalities",
    "routingConfig",
    "speechConfig",
    "thinkingConfig",
    "topK",
];

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

/// `generationConfig`: of each member the first that is set holds.
#[derive(Default)]
struct Config<'r>(Vec<(Cow<'r, str>, Setting<'r>)>);

#[derive(Serialize)]
#[serde(untagged)]
enum Setting<'r> {
    Raw(Cow<'r, RawValue>),
    Number(u64),
    Bool(bool),
    Word(&'static str),
    Texts(&'r [Text<'r>]),
    Words(Vec<String>),
    Thinking(Thinking),
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Thinking {
    include_thoughts: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    thinking_level: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    thinking_budget: Option<u64>,
}

impl<'r> Config<'r> {
    fn set(&mut self, name: impl Into<Cow<'r, str>>, setting: Option<Setting<'r>>) {
        let name = name.into();
        if let Some(setting) = setting.filter(|_| !self.0.iter().any(|(known, _)| *known == name)) {
            self.0.push((name, setting));
        }
    }

    fn set_raw(&mut self, name: impl Into<Cow<'r, str>>, raw: Option<Raw<'r>>) {
        self.set(name, raw.map(|raw| Setting::Raw(Cow::Borrowed(raw))));
    }

    fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// What the client says in the API's own words, apart from what was said in OpenAI's already.
    fn set_own(&mut self, rest: &'r crate::wire::Rest<'_>) -> Result<(), PeekError> {
        for (key, raw) in rest.iter().filter(|(key, _)| CONFIG.contains(&&**key)) {
            self.set_raw(&**key, Some(raw));
        }
        if let Some(own) = chat::unknown(rest, "generationConfig") {
            let own: BTreeMap<String, Raw<'r>> =
                serde_json::from_str(own.get()).map_err(|_| wrong("generationConfig", "must be an object"))?;
            own.into_iter().for_each(|(key, raw)| self.set_raw(key, Some(raw)));
        }
        Ok(())
    }
}

impl Serialize for Config<'_> {
    fn serialize<S: Serializer>(&self, json: S) -> Result<S::Ok, S::Error> {
        json.collect_map(self.0.iter().map(|(name, setting)| (name, setting)))
    }
}

/// Translates a chat request.
pub(super) fn chat(asked: &chat::Request<'_>, cx: &Cx<'_>) -> Result<Outgoing, PeekError> {
    let model = Model::named(cx.model);
    let Conversation { system, turns } = turns::conversation(asked, model)?;
    let mut dropped = Vec::new();
    let mut config = Config::default();
    config.set("maxOutputTokens", asked.max_tokens().or(cx.default_max_tokens).map(Setting::Number));
    config.set_raw("temperature", asked.temperature);
    config.set_raw("topP", asked.top_p);
    config.set_raw("topK", asked.top_k);
    config.set_raw("seed", asked.seed);
    config.set_raw("presencePenalty", asked.presence_penalty);
    config.set_raw("frequencyPenalty", asked.frequency_penalty);
    config.set("stopSequences", stop(&asked.stop.0));
    config.set("candidateCount", asked.n.filter(|n| *n > 1).map(Setting::Number));
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
    if let Some(effort) = asked.reasoning_effort.as_deref() {
        let effort = Effort::named(effort)?;
        let own = ["thinkingConfig", "generationConfig"].iter().any(|key| {
            let own = chat::unknown(&asked.rest, key).map(|raw| raw.get());
            own.is_some_and(|own| *key == "thinkingConfig" || own.contains("thinkingConfig"))
        });
        let include_thoughts = effort != Effort::None;
        let thinking = match model.thinking(effort) {
            Some(Amount::Level(level)) => {
                Some(Thinking { include_thoughts, thinking_level: Some(level), thinking_budget: None })
            }
            Some(Amount::Budget(budget)) => {
                Some(Thinking { include_thoughts, thinking_level: None, thinking_budget: Some(budget) })
            }
            None => None,
        };
        if thinking.is_none() && include_thoughts {
            dropped.push("reasoning_effort");
        }
        config.set("thinkingConfig", thinking.filter(|_| !own).map(Setting::Thinking));
    }
    config.set_own(&asked.rest)?;
    let body = Body {
        rest: Members::of(&asked.rest, |key| match key {
            "contents" | "generationConfig" => false,
            "systemInstruction" => system.is_none(),
            "toolConfig" => !tools.has_config(),
            key => !CONFIG.contains(&key),
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
    let mut config = Config::default();
    config.set("maxOutputTokens", asked.max_tokens.or(cx.default_max_tokens).map(Setting::Number));
    config.set_raw("temperature", asked.temperature);
    config.set_raw("topP", asked.top_p);
    config.set_raw("topK", asked.top_k);
    config.set_raw("seed", asked.seed);
    config.set_raw("presencePenalty", asked.presence_penalty);
    config.set_raw("frequencyPenalty", asked.frequency_penalty);
    config.set("stopSequences", stop(&asked.stop.0));
    config.set("candidateCount", asked.n.filter(|n| *n > 1).map(Setting::Number));
    config.set_own(&asked.rest)?;
    let body = Body {
        contents: vec![Turn::of_user(&prompt)],
        system_instruction: None,
        tools: Tools::default(),
        generation_config: config,
        rest: Members::of(&asked.rest, |key| !matches!(key, "contents" | "generationConfig") && !CONFIG.contains(&key)),
    };
    Outgoing::new(path("google", cx.model, method(asked.stream)), &body)
}

fn method(stream: Option<bool>) -> &'static str {
    if stream == Some(true) { "streamGenerateContent?alt=sse" } else { "generateContent" }
}

fn stop<'r>(texts: &'r [Text<'r>]) -> Option<Setting<'r>> {
    (!texts.is_empty()).then_some(Setting::Texts(texts))
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
