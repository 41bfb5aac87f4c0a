//! Tools, and which of them to call.

use std::borrow::Cow;

use serde::Serialize;
use serde_json::value::RawValue;

use super::model::Model;
use super::schema;
use crate::chat::{self, Choice, Definition, ResponseFormat, Tool};
use crate::pair::JSON_TOOL;
use crate::params::wrong;
use crate::peek::PeekError;
use crate::wire::{Members, Raw};

/// The schema of arguments of which nothing is said.
pub(crate) const ANY_OBJECT: &str = r#"{"type":"object","properties":{}}"#;
/// The schema of an answer of which only is said that it is a JSON object.
pub(crate) const OPEN_OBJECT: &str = r#"{"type":"object","additionalProperties":true}"#;

/// `tools` and `tool_choice`, to be flattened into the request.
#[derive(Default, Serialize)]
pub(super) struct Tools<'r> {
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tools: Vec<Written<'r>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tool_choice: Option<WrittenChoice<'r>>,
}

#[derive(Serialize)]
#[serde(untagged)]
enum Written<'r> {
    Function {
        name: &'r str,
        #[serde(skip_serializing_if = "Option::is_none")]
        description: Option<&'r str>,
        input_schema: Raw<'r>,
        #[serde(skip_serializing_if = "Option::is_none")]
        strict: Option<bool>,
        #[serde(skip_serializing_if = "Option::is_none")]
        cache_control: Option<Raw<'r>>,
    },
    Search {
        #[serde(rename = "type")]
        kind: &'static str,
        name: &'static str,
        #[serde(skip_serializing_if = "Option::is_none")]
        user_location: Option<serde_json::Value>,
    },
    /// A tool in Anthropic's own words.
    Own {
        #[serde(rename = "type")]
        kind: &'r str,
        #[serde(flatten)]
        rest: Members<'r>,
    },
}

#[derive(Serialize)]
struct WrittenChoice<'r> {
    #[serde(rename = "type")]
    kind: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<&'r str>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    disable_parallel_tool_use: bool,
}

/// Translates what the request says of tools.
pub(super) fn tools<'r>(asked: &'r chat::Request<'_>, model: Model) -> Result<Tools<'r>, PeekError> {
    let allowed = match &asked.tool_choice {
        Some(Choice::Allowed { names, .. }) => Some(names),
        _ => None,
    };
    let mut tools = Vec::new();
    for (at, tool) in asked.tools().iter().enumerate() {
        match tool {
            Tool::Function { function, cache_control } => {
                if allowed.is_none_or(|names| names.contains(&function.name)) {
                    tools.push(written(function, *cache_control, model));
                }
            }
            Tool::Other(kind, rest) => tools.push(Written::Own { kind, rest: Members::of(rest, |_| true) }),
            Tool::Custom(_) => {
                let rule = "is a custom tool, which anthropic does not have; describe it as a function";
                return Err(wrong(format!("tools[{at}]"), rule));
            }
        }
    }
    if let Some(options) = asked.web_search_options {
        tools.push(search(options));
    }
    let (kind, name) = match &asked.tool_choice {
        None | Some(Choice::Auto) => ("auto", None),
        Some(Choice::None) => ("none", None),
        Some(Choice::Required) => ("any", None),
        Some(Choice::Named(name)) => ("tool", Some(&**name)),
        Some(Choice::Allowed { required: false, .. }) => ("auto", None),
        Some(Choice::Allowed { required: true, .. }) => ("any", None),
    };
    let disable_parallel_tool_use = asked.parallel_tool_calls == Some(false) && kind != "none";
    let says_something = asked.tool_choice.is_some() || disable_parallel_tool_use;
    let tool_choice =
        (says_something && !tools.is_empty()).then_some(WrittenChoice { kind, name, disable_parallel_tool_use });
    Ok(Tools { tools, tool_choice })
}

fn written<'r>(function: &'r Definition<'_>, cache_control: Option<Raw<'r>>, model: Model) -> Written<'r> {
    let schema = function.parameters.filter(|schema| !matches!(schema.get(), "{}" | "null"));
    // Strictly only by a schema that the API takes for that; without, the arguments follow it nearly always.
    let fits = |schema: Raw<'_>| matches!(schema::fitting(schema), Some(Cow::Borrowed(_)));
    let strict = function.strict == Some(true) && model.has_schemas() && schema.is_some_and(fits);
    Written::Function {
        name: &function.name,
        description: function.description.as_deref(),
        input_schema: schema.unwrap_or_else(|| constant(ANY_OBJECT)),
        strict: strict.then_some(true),
        cache_control,
    }
}

/// Anthropic's own web search, near where OpenAI's is told to be.
fn search(options: Raw<'_>) -> Written<'static> {
    let options: serde_json::Value = serde_json::from_str(options.get()).unwrap_or_default();
    let place = options.pointer("/user_location/approximate").cloned();
    let user_location = place.map(|mut place| {
        place["type"] = "approximate".into();
        place
    });
    Written::Search { kind: "web_search_20250305", name: "web_search", user_location }
}

impl<'r> Tools<'r> {
    /// Whether a tool must be called.
    pub(super) fn are_forced(&self) -> bool {
        self.tool_choice.as_ref().is_some_and(|choice| matches!(choice.kind, "any" | "tool"))
    }

    /// Adds a tool whose arguments are the answer. Where the client has tools of its own the model may call one of
    /// those instead.
    pub(super) fn force_json(&mut self, format: &'r ResponseFormat<'_>, asked: &chat::Request<'_>) {
        let (schema, description) = match format {
            ResponseFormat::JsonSchema(schema) => (schema.schema, schema.description.as_deref()),
            ResponseFormat::JsonObject | ResponseFormat::Text => (None, None),
        };
        let others = !self.tools.is_empty() && !matches!(asked.tool_choice, Some(Choice::None));
        if !others {
            self.tools.clear();
        }
        self.tools.push(Written::Function {
            name: JSON_TOOL,
            description: description.or(Some("Give the whole answer to the user as the arguments of this tool.")),
            input_schema: schema.unwrap_or_else(|| constant(OPEN_OBJECT)),
            strict: None,
            cache_control: None,
        });
        // A tool that the client itself forces stays forced.
        if !others || !matches!(asked.tool_choice, Some(Choice::Named(_))) {
            let (kind, name) = if others { ("any", None) } else { ("tool", Some(JSON_TOOL)) };
            let disable_parallel_tool_use = asked.parallel_tool_calls == Some(false);
            self.tool_choice = Some(WrittenChoice { kind, name, disable_parallel_tool_use });
        }
    }
}

/// JSON text of ours as raw JSON.
pub(crate) fn constant(json: &'static str) -> Raw<'static> {
    serde_json::from_str(json).unwrap_or(RawValue::NULL)
}
