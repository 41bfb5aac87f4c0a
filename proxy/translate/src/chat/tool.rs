//! Tools, which of them to call, and the form of the answer.

use std::fmt;

use serde::Deserialize;
use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserializer, Error as _, MapAccess, Visitor};

use crate::wire::{Raw, Rest, Text, record};

/// A tool that the model may call.
#[derive(Clone)]
pub enum Tool<'a> {
    /// A function with JSON arguments.
    Function {
        /// What it is.
        function: Definition<'a>,
        /// That the prompt up to here is to be cached; the value is the provider's.
        cache_control: Option<Raw<'a>>,
    },
    /// A tool whose input is free text.
    Custom(Raw<'a>),
    /// A type that OpenAI does not have, with all its other members: perhaps the provider does.
    Other(Text<'a>, Rest<'a>),
}

record! {
    /// A function that may be called.
    Definition {
        /// Its name.
        "name" => name: Text<'a>,
        /// What it does.
        "description" => description: Option<Text<'a>>,
        /// JSON schema of its arguments.
        "parameters" => parameters: Option<Raw<'a>>,
        /// Whether the arguments must follow the schema exactly.
        "strict" => strict: Option<bool>,
    }
}

record! {
    /// A tool as it is written.
    WrittenTool {
        "type" => kind: Option<Text<'a>>,
        "function" => function: Option<Definition<'a>>,
        "custom" => custom: Option<Raw<'a>>,
        "cache_control" => cache_control: Option<Raw<'a>>,
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Tool<'a> {
    fn deserialize<D: Deserializer<'de>>(json: D) -> Result<Self, D::Error> {
        let mut tool = WrittenTool::deserialize(json)?;
        match (tool.kind.as_deref(), tool.function, tool.custom) {
            (Some("function") | None, Some(function), _) => {
                Ok(Self::Function { function, cache_control: tool.cache_control })
            }
            (Some("custom"), _, Some(custom)) => Ok(Self::Custom(custom)),
            (Some("function" | "custom") | None, ..) => {
                Err(D::Error::custom("a tool needs a member `function`, or `custom`, as its type says"))
            }
            (Some(_), ..) => {
                if let Some(marker) = tool.cache_control {
                    tool.rest.push(("cache_control".into(), marker));
                }
                Ok(Self::Other(tool.kind.unwrap_or_default(), tool.rest))
            }
        }
    }
}

/// Whether and which tools are to be called.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Choice<'a> {
    /// The model decides.
    Auto,
    /// None is.
    None,
    /// At least one is.
    Required,
    /// This one is: a function or a custom tool.
    Named(Text<'a>),
    /// Only these may be; `required`: at least one is.
    Allowed {
        /// Names of functions and custom tools.
        names: Vec<Text<'a>>,
        /// At least one is to be called.
        required: bool,
    },
}

record! {
    /// The object form of `tool_choice`.
    WrittenChoice {
        "type" => kind: Text<'a>,
        "function" => function: Option<Named<'a>>,
        "custom" => custom: Option<Named<'a>>,
        "allowed_tools" => allowed_tools: Option<Allowed<'a>>,
    }
}

record! {
    /// The tools that are allowed.
    Allowed {
        "mode" => mode: Text<'a>,
        "tools" => tools: Vec<WrittenChoice<'a>>,
    }
}

record! {
    /// Something with a name.
    Named {
        "name" => name: Text<'a>,
    }
}

impl<'a> WrittenChoice<'a> {
    fn name(self) -> Option<Text<'a>> {
        self.function.or(self.custom).map(|named| named.name)
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Choice<'a> {
    fn deserialize<D: Deserializer<'de>>(json: D) -> Result<Self, D::Error> {
        struct Any;
        impl<'de> Visitor<'de> for Any {
            type Value = Choice<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("none, auto, required, or an object that names tools")
            }
            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Choice<'de>, E> {
                match text {
                    "auto" => Ok(Choice::Auto),
                    "none" => Ok(Choice::None),
                    "required" => Ok(Choice::Required),
                    _ => Err(E::unknown_variant(text, &["none", "auto", "required"])),
                }
            }
            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Choice<'de>, A::Error> {
                let written = WrittenChoice::deserialize(MapAccessDeserializer::new(map))?;
                let lacks = || A::Error::custom("it names no tool");
                match &*written.kind {
                    "allowed_tools" => {
                        let allowed = written.allowed_tools.ok_or_else(lacks)?;
                        let names: Option<Vec<_>> = allowed.tools.into_iter().map(WrittenChoice::name).collect();
                        Ok(Choice::Allowed { names: names.ok_or_else(lacks)?, required: &*allowed.mode == "required" })
                    }
                    _ => written.name().map(Choice::Named).ok_or_else(lacks),
                }
            }
        }
        json.deserialize_any(Any)
    }
}

/// The form that the answer is to have.
#[derive(Clone)]
pub enum ResponseFormat<'a> {
    /// Text of any kind.
    Text,
    /// Any JSON object.
    JsonObject,
    /// JSON by a schema.
    JsonSchema(JsonSchema<'a>),
}

record! {
    /// A schema for the answer.
    JsonSchema {
        /// Its name.
        "name" => name: Option<Text<'a>>,
        /// What the answer is for.
        "description" => description: Option<Text<'a>>,
        /// The JSON schema.
        "schema" => schema: Option<Raw<'a>>,
        /// Whether the answer must follow the schema exactly.
        "strict" => strict: Option<bool>,
    }
}

record! {
    /// `response_format` as it is written.
    WrittenFormat {
        "type" => kind: Text<'a>,
        "json_schema" => json_schema: Option<JsonSchema<'a>>,
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for ResponseFormat<'a> {
    fn deserialize<D: Deserializer<'de>>(json: D) -> Result<Self, D::Error> {
        let written = WrittenFormat::deserialize(json)?;
        match (&*written.kind, written.json_schema) {
            ("text", _) => Ok(Self::Text),
            ("json_object", _) => Ok(Self::JsonObject),
            ("json_schema", Some(schema)) => Ok(Self::JsonSchema(schema)),
            ("json_schema", None) => Err(D::Error::missing_field("json_schema")),
            (other, _) => Err(D::Error::unknown_variant(other, &["text", "json_object", "json_schema"])),
        }
    }
}
