//! Tools, and whether to call one.

use serde::{Deserialize, Serialize};

use super::sampling::constant;
use crate::chat::{self, Choice, Definition, JsonSchema, ResponseFormat, Tool};
use crate::pair::JSON_TOOL;
use crate::params::wrong;
use crate::peek::PeekError;
use crate::wire::{Members, Raw};

/// The schema of arguments of which nothing is said, and of an answer of which only is said that it is an object.
const ANY_OBJECT: &str = r#"{"type":"object","properties":{}}"#;

const REQUIRED: &str = "REQUIRED";
const NONE: &str = "NONE";

/// What a request says of tools and of the answer's form, to be flattened into it.
#[derive(Default, Serialize)]
pub(super) struct Tools<'r> {
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tools: Vec<Written<'r>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tool_choice: Option<&'static str>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub strict_tools: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    response_format: Option<Format<'r>>,
    /// Whether one of the tools is the answer.
    #[serde(skip)]
    pub json_tool: bool,
}

#[derive(Serialize)]
#[serde(untagged)]
enum Written<'r> {
    Function {
        #[serde(rename = "type")]
        kind: &'static str,
        function: Function<'r>,
    },
    /// A tool in Cohere's own words.
    Own {
        #[serde(rename = "type")]
        kind: &'r str,
        #[serde(flatten)]
        rest: Members<'r>,
    },
}

#[derive(Serialize)]
struct Function<'r> {
    name: &'r str,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<&'r str>,
    parameters: Raw<'r>,
}

/// The form of the answer, in the API's words.
#[derive(Serialize)]
pub(super) struct Format<'r> {
    #[serde(rename = "type")]
    kind: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    schema: Option<Raw<'r>>,
}

impl<'r> Format<'r> {
    /// `None` for text of any kind.
    pub fn of(asked: &'r chat::Request<'_>) -> Option<Self> {
        let schema = match asked.response_format.as_ref()? {
            ResponseFormat::Text => return None,
            ResponseFormat::JsonObject => None,
            ResponseFormat::JsonSchema(JsonSchema { schema, .. }) => *schema,
        };
        Some(Self { kind: "json_object", schema })
    }
}

/// Translates what the request says of tools and of the answer's form. The API cannot be told which tool to call, so
/// it is given only those that may be.
pub(super) fn tools<'r>(asked: &'r chat::Request<'_>) -> Result<Tools<'r>, PeekError> {
    let may = |name: &str| match &asked.tool_choice {
        Some(Choice::Named(only)) => **only == *name,
        Some(Choice::Allowed { names, .. }) => names.iter().any(|allowed| **allowed == *name),
        Some(Choice::Auto | Choice::None | Choice::Required) | None => true,
    };
    let mut all = Tools::default();
    let mut functions = Vec::new();
    for (at, tool) in asked.tools().iter().enumerate() {
        match tool {
            Tool::Function { function, .. } if may(&function.name) => {
                functions.push(function);
                all.tools.push(Written::of(function));
            }
            Tool::Function { .. } => {}
            Tool::Other(kind, rest) => all.tools.push(Written::Own { kind, rest: Members::of(rest, |_| true) }),
            Tool::Custom(_) => {
                let rule = "is a custom tool, which cohere does not have; describe it as a function";
                return Err(wrong(format!("tools[{at}]"), rule));
            }
        }
    }
    let names_some = matches!(asked.tool_choice, Some(Choice::Named(_) | Choice::Allowed { .. }));
    if names_some && functions.is_empty() {
        return Err(wrong("tool_choice", "names no tool that is among the tools"));
    }
    if all.tools.is_empty() && asked.tool_choice == Some(Choice::Required) {
        return Err(wrong("tool_choice", "must not be required without tools"));
    }
    all.tool_choice = match &asked.tool_choice {
        None | Some(Choice::Auto) | Some(Choice::Allowed { required: false, .. }) => None,
        Some(Choice::None) => (!all.tools.is_empty()).then_some(NONE),
        Some(Choice::Required | Choice::Named(_) | Choice::Allowed { required: true, .. }) => Some(REQUIRED),
    };
    // One switch for all tools, and one that the API refuses with a tool that requires no argument.
    let strict = |function: &&Definition<'_>| function.strict == Some(true) && requires_some(function);
    all.strict_tools = !functions.is_empty() && functions.iter().all(strict);
    if let Some(format) = Format::of(asked) {
        all.answer_in(format, asked);
    }
    Ok(all)
}

impl<'r> Tools<'r> {
    /// The API takes no form of the answer beside tools: there the answer is a tool of its own. A tool that the client
    /// itself forces stays forced.
    fn answer_in(&mut self, format: Format<'r>, asked: &'r chat::Request<'_>) {
        if self.tools.is_empty() || self.tool_choice == Some(NONE) {
            self.tools.clear();
            self.tool_choice = None;
            self.strict_tools = false;
            self.response_format = Some(format);
        } else if !matches!(asked.tool_choice, Some(Choice::Named(_))) {
            let described = match &asked.response_format {
                Some(ResponseFormat::JsonSchema(schema)) => schema.description.as_deref(),
                _ => None,
            };
            self.tools.push(Written::Function {
                kind: "function",
                function: Function {
                    name: JSON_TOOL,
                    description: described.or(Some("Give the whole answer to the user as the arguments of this tool.")),
                    parameters: format.schema.unwrap_or_else(|| constant(ANY_OBJECT)),
                },
            });
            self.tool_choice = Some(REQUIRED);
            self.strict_tools = false;
            self.json_tool = true;
        }
    }
}

impl<'r> Written<'r> {
    fn of(function: &'r Definition<'_>) -> Self {
        let schema = function.parameters.filter(|schema| !matches!(schema.get(), "{}" | "null"));
        Self::Function {
            kind: "function",
            function: Function {
                name: &function.name,
                description: function.description.as_deref(),
                parameters: schema.unwrap_or_else(|| constant(ANY_OBJECT)),
            },
        }
    }
}

fn requires_some(function: &Definition<'_>) -> bool {
    #[derive(Deserialize)]
    struct Schema<'s> {
        #[serde(borrow)]
        required: Vec<&'s serde_json::value::RawValue>,
    }
    let schema = function.parameters.and_then(|schema| serde_json::from_str::<Schema<'_>>(schema.get()).ok());
    schema.is_some_and(|schema| !schema.required.is_empty())
}
