//! Tools, and which of them to call.

use std::borrow::Cow;

use serde::Serialize;
use serde_json::value::RawValue;

use super::model::Model;
use super::schema;
use super::turns::Own;
use crate::chat::{self, Choice, ResponseFormat, Tool};
use crate::pair::JSON_TOOL;
use crate::params::wrong;
use crate::peek::PeekError;
use crate::wire::{Members, Raw};

/// `tools` and `toolConfig`, to be flattened into the request.
#[derive(Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Tools<'r> {
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tools: Vec<Written<'r>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tool_config: Option<Config<'r>>,
}

#[derive(Serialize)]
#[serde(untagged)]
enum Written<'r> {
    #[serde(rename_all = "camelCase")]
    Functions { function_declarations: Vec<Function<'r>> },
    #[serde(rename_all = "camelCase")]
    Search { google_search: Members<'r> },
    /// A tool in the API's own words.
    Own(Own<'r>),
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Function<'r> {
    name: &'r str,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<&'r str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    parameters: Option<Cow<'r, RawValue>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    parameters_json_schema: Option<Cow<'r, RawValue>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Config<'r> {
    function_calling_config: Calling<'r>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Calling<'r> {
    mode: &'static str,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    allowed_function_names: Vec<&'r str>,
}

/// Translates what the request says of tools.
pub(super) fn tools<'r>(asked: &'r chat::Request<'_>, model: Model<'_>) -> Result<Tools<'r>, PeekError> {
    // Only a call that must be can be limited to some functions; else the others are left out.
    let allowed = match &asked.tool_choice {
        Some(Choice::Allowed { names, required: false }) => Some(names),
        _ => None,
    };
    let mut functions = Vec::new();
    let mut others = Vec::new();
    for (at, tool) in asked.tools().iter().enumerate() {
        match tool {
            Tool::Function { function, .. } => {
                if allowed.is_none_or(|names| names.contains(&function.name)) {
                    let place = format!("tools[{at}].function.parameters");
                    let description = function.description.as_deref();
                    functions.push(declared(&function.name, description, function.parameters, model, &place)?);
                }
            }
            Tool::Custom(_) => {
                return Err(wrong(format!("tools[{at}]"), "must be a function; the provider has no custom tools"));
            }
            Tool::Other(kind, rest) => others.push(Written::Own(Own::of(kind, rest))),
        }
    }
    let (mode, allowed_function_names) = match &asked.tool_choice {
        None => ("", Vec::new()),
        Some(Choice::Auto | Choice::Allowed { required: false, .. }) => ("AUTO", Vec::new()),
        Some(Choice::None) => ("NONE", Vec::new()),
        Some(Choice::Required) => ("ANY", Vec::new()),
        Some(Choice::Named(name)) => ("ANY", vec![&**name]),
        Some(Choice::Allowed { names, required: true }) => ("ANY", names.iter().map(|name| &**name).collect()),
    };
    let calling = Calling { mode, allowed_function_names };
    let says_something = !mode.is_empty() && !functions.is_empty();
    let mut tools = Vec::new();
    if !functions.is_empty() {
        tools.push(Written::Functions { function_declarations: functions });
    }
    if asked.web_search_options.is_some() {
        tools.push(Written::Search { google_search: Members::default() });
    }
    tools.append(&mut others);
    Ok(Tools { tools, tool_config: says_something.then_some(Config { function_calling_config: calling }) })
}

fn declared<'r>(
    name: &'r str,
    description: Option<&'r str>,
    parameters: Option<Raw<'r>>,
    model: Model<'_>,
    place: &str,
) -> Result<Function<'r>, PeekError> {
    let mut function = Function { name, description, parameters: None, parameters_json_schema: None };
    let Some(schema) = parameters.filter(|schema| !matches!(schema.get(), "{}" | "null")) else { return Ok(function) };
    if model.takes_json_schemas() {
        function.parameters_json_schema = Some(schema::json_schema(schema, place)?);
    } else {
        // An object without members is refused there; a function without parameters is not.
        function.parameters = schema::own_parameters(schema, place)?;
    }
    Ok(function)
}

impl<'r> Tools<'r> {
    /// Whether functions may be called.
    pub fn has_functions(&self) -> bool {
        let none = self.tool_config.as_ref().is_some_and(|config| config.function_calling_config.mode == "NONE");
        !none && self.tools.iter().any(|tool| matches!(tool, Written::Functions { .. }))
    }

    /// Whether it says which tools are to be called.
    pub fn has_config(&self) -> bool {
        self.tool_config.is_some()
    }

    /// Adds a function whose arguments are the answer. The model may call one of the client's instead.
    pub fn force_json(&mut self, format: &'r ResponseFormat<'_>, model: Model<'_>) -> Result<(), PeekError> {
        let (schema, description) = match format {
            ResponseFormat::JsonSchema(schema) => (schema.schema, schema.description.as_deref()),
            ResponseFormat::JsonObject | ResponseFormat::Text => (None, None),
        };
        let description = description.or(Some("Give the whole answer to the user as the arguments of this function."));
        let place = "response_format.json_schema.schema";
        let function = declared(JSON_TOOL, description, schema, model, place)?;
        for tool in &mut self.tools {
            if let Written::Functions { function_declarations } = tool {
                function_declarations.push(function);
                break;
            }
        }
        // A function that the client itself forces stays forced.
        let named = |config: &Config<'_>| !config.function_calling_config.allowed_function_names.is_empty();
        if !self.tool_config.as_ref().is_some_and(named) {
            let calling = Calling { mode: "ANY", allowed_function_names: Vec::new() };
            self.tool_config = Some(Config { function_calling_config: calling });
        }
        Ok(())
    }
}
