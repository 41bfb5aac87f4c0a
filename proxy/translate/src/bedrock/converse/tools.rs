//! Tools, and which of them to call.

use std::borrow::Cow;

use serde::Serialize;

use super::turns::{CachePoint, Conversation};
use crate::anthropic::schema;
use crate::anthropic::tools::{ANY_OBJECT, OPEN_OBJECT, constant};
use crate::chat::{self, Choice, Definition, ResponseFormat, Tool};
use crate::pair::JSON_TOOL;
use crate::params::wrong;
use crate::peek::PeekError;
use crate::wire::{Members, Raw, Text};

/// `toolConfig`.
#[derive(Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Tools<'r> {
    tools: Vec<Written<'r>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tool_choice: Option<ToolChoice<'r>>,
    /// Whether none may be called, which the API has no word for.
    #[serde(skip)]
    pub forbidden: bool,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase", rename_all_fields = "camelCase")]
enum Written<'r> {
    ToolSpec {
        name: &'r str,
        #[serde(skip_serializing_if = "Option::is_none")]
        description: Option<&'r str>,
        input_schema: Schema<'r>,
        #[serde(skip_serializing_if = "Option::is_none")]
        strict: Option<bool>,
    },
    CachePoint(CachePoint<'r>),
    /// A tool in the provider's own words.
    #[serde(untagged)]
    Own(Members<'r>),
}

#[derive(Serialize)]
struct Schema<'r> {
    json: Raw<'r>,
}

/// `toolChoice`
#[derive(Clone, Copy, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) enum ToolChoice<'r> {
    Auto {},
    Any {},
    Tool { name: &'r str },
}

/// Translates what the request says of tools.
pub(super) fn tools<'r>(
    asked: &'r chat::Request<'_>,
    said: &mut Conversation<'r>,
    has_schemas: bool,
) -> Result<Tools<'r>, PeekError> {
    let none = matches!(asked.tool_choice, Some(Choice::None));
    let mut tools = Tools::default();
    // The API wants the tools that were called to be described, though none is to be called any more.
    tools.forbidden = (none || asked.tools().is_empty()) && !said.called.is_empty();
    if none && !tools.forbidden {
        return Ok(tools);
    }
    for (at, tool) in asked.tools().iter().enumerate() {
        match tool {
            Tool::Function { function, cache_control } => {
                if allowed(&asked.tool_choice, &function.name) {
                    tools.tools.push(written(function, has_schemas));
                    tools.mark(*cache_control, said);
                }
            }
            Tool::Other(_, rest) => tools.tools.push(Written::Own(Members::of(rest, |_| true))),
            Tool::Custom(_) => {
                let rule = "is a custom tool, which amazon-bedrock does not have; describe it as a function";
                return Err(wrong(format!("tools[{at}]"), rule));
            }
        }
    }
    if tools.tools.is_empty() {
        let names = said.called.iter();
        tools.tools.extend(names.map(|name| spec(name, None, constant(ANY_OBJECT))));
    }
    tools.tool_choice = match &asked.tool_choice {
        _ if tools.tools.is_empty() => None,
        None | Some(Choice::None) => None,
        Some(Choice::Auto | Choice::Allowed { required: false, .. }) => Some(ToolChoice::Auto {}),
        Some(Choice::Required | Choice::Allowed { required: true, .. }) => Some(ToolChoice::Any {}),
        Some(Choice::Named(name)) => Some(ToolChoice::Tool { name }),
    };
    Ok(tools)
}

fn allowed(choice: &Option<Choice<'_>>, name: &Text<'_>) -> bool {
    match choice {
        Some(Choice::Allowed { names, .. }) => names.contains(name),
        _ => true,
    }
}

fn written<'r>(function: &'r Definition<'_>, has_schemas: bool) -> Written<'r> {
    let schema = function.parameters.filter(|schema| !matches!(schema.get(), "{}" | "null"));
    // Strictly only by a schema that is taken for that; without, the arguments follow it nearly always.
    let fits = |schema: Raw<'_>| matches!(schema::fitting(schema), Some(Cow::Borrowed(_)));
    let is_strict = function.strict == Some(true) && has_schemas && schema.is_some_and(fits);
    Written::ToolSpec {
        name: &function.name,
        description: function.description.as_deref().filter(|text| !text.is_empty()),
        input_schema: Schema { json: schema.unwrap_or_else(|| constant(ANY_OBJECT)) },
        strict: is_strict.then_some(true),
    }
}

fn spec<'r>(name: &'r str, description: Option<&'r str>, json: Raw<'r>) -> Written<'r> {
    Written::ToolSpec { name, description, input_schema: Schema { json }, strict: None }
}

impl<'r> Tools<'r> {
    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.tools.is_empty()
    }

    /// Whether one must be called.
    pub fn are_forced(&self) -> bool {
        matches!(self.tool_choice, Some(ToolChoice::Any {} | ToolChoice::Tool { .. }))
    }

    fn mark(&mut self, marker: Option<Raw<'r>>, said: &mut Conversation<'r>) {
        match marker {
            Some(marker) if said.has_cache => self.tools.push(Written::CachePoint(CachePoint::of(marker))),
            Some(_) => said.uncached = true,
            None => {}
        }
    }

    /// Adds a tool whose arguments are the answer. Where the client has tools of its own the model may call one of
    /// those instead.
    pub fn force_json(&mut self, format: &'r ResponseFormat<'_>) {
        let (schema, description) = match format {
            ResponseFormat::JsonSchema(schema) => (schema.schema, schema.description.as_deref()),
            ResponseFormat::JsonObject | ResponseFormat::Text => (None, None),
        };
        let description = description.or(Some("Give the whole answer to the user as the arguments of this tool."));
        self.tools.push(spec(JSON_TOOL, description, schema.unwrap_or_else(|| constant(OPEN_OBJECT))));
        // A tool that the client itself forces stays forced. `any` is known to more models than naming the tool.
        if std::mem::take(&mut self.forbidden) {
            self.tool_choice = Some(ToolChoice::Tool { name: JSON_TOOL });
        } else if !matches!(self.tool_choice, Some(ToolChoice::Tool { .. })) {
            self.tool_choice = Some(ToolChoice::Any {});
        }
    }
}
