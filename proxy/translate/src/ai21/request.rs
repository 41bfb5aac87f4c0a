//! OpenAI chat request → AI21's, which has OpenAI's form, of text and tools only.

use serde::Serialize;

use crate::chat::{self, Choice, Content, Message, PartBody, ResponseFormat, Role, Tool};
use crate::pair::{Cx, JSON_TOOL, Outgoing};
use crate::params::wrong;
use crate::peek::PeekError;
use crate::wire::{Members, Raw, Text};

#[derive(Serialize)]
struct Body<'r> {
    model: &'r str,
    messages: Vec<Turn<'r>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_tokens: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    n: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    seed: Option<Raw<'r>>,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    stop: &'r [Text<'r>],
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    stream: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    temperature: Option<Raw<'r>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    top_p: Option<Raw<'r>>,
    #[serde(flatten)]
    tools: Tools<'r>,
    #[serde(flatten)]
    rest: Members<'r>,
}

#[derive(Serialize)]
struct Turn<'r> {
    role: &'static str,
    content: Option<Text<'r>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tool_calls: Vec<Written<SentCall<'r>>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tool_call_id: Option<&'r str>,
}

/// `{"type":"function","function":…}`, perhaps with an id.
#[derive(Serialize)]
struct Written<F> {
    #[serde(rename = "type")]
    kind: &'static str,
    #[serde(flatten)]
    what: F,
}

#[derive(Serialize)]
struct SentCall<'r> {
    id: &'r str,
    function: Called<'r>,
}

#[derive(Serialize)]
struct Called<'r> {
    name: &'r str,
    arguments: &'r str,
}

#[derive(Serialize)]
struct Defined<'r> {
    function: Function<'r>,
}

#[derive(Serialize)]
struct Function<'r> {
    name: &'r str,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<&'r str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    parameters: Option<Raw<'r>>,
}

/// What the request says of tools and of the answer's form.
#[derive(Default, Serialize)]
struct Tools<'r> {
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tools: Vec<Written<Defined<'r>>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tool_choice: Option<SentChoice<'r>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    response_format: Option<Format>,
    #[serde(skip)]
    json_tool: bool,
}

#[derive(Serialize)]
#[serde(untagged)]
enum SentChoice<'r> {
    Word(&'static str),
    Function(Written<Named<'r>>),
}

#[derive(Serialize)]
struct Named<'r> {
    function: Name<'r>,
}

#[derive(Serialize)]
struct Name<'r> {
    name: &'r str,
}

#[derive(Serialize)]
struct Format {
    #[serde(rename = "type")]
    kind: &'static str,
}

/// Translates a request.
pub(super) fn request(asked: &chat::Request<'_>, cx: &Cx<'_>) -> Result<Outgoing, PeekError> {
    let turns = asked.messages.iter().enumerate().map(|(at, message)| {
        turn(message).map_err(|(member, problem)| wrong(format!("messages[{at}]{member}"), problem))
    });
    let tools = tools(asked)?;
    let json_tool = tools.json_tool;
    let body = Body {
        model: cx.model,
        messages: turns.collect::<Result<_, _>>()?,
        max_tokens: asked.max_tokens(),
        n: asked.n,
        seed: asked.seed,
        stop: &asked.stop.0,
        stream: asked.stream == Some(true),
        temperature: asked.temperature,
        top_p: asked.top_p,
        tools,
        rest: Members::of(&asked.rest, |_| true),
    };
    let mut outgoing = Outgoing::new("/chat/completions", &body)?;
    outgoing.asked.json_tool = json_tool;
    Ok(outgoing)
}

fn turn<'r>(message: &'r Message<'_>) -> Result<Turn<'r>, (String, &'static str)> {
    let role = match message.role {
        Role::System | Role::Developer => "system",
        Role::User => "user",
        Role::Assistant => "assistant",
        Role::Tool => "tool",
        Role::Function => return Err((".role".into(), "must not be function; use tools")),
    };
    if message.function_call.is_some() {
        return Err((".function_call".into(), "is not supported; use tool_calls"));
    }
    if message.role == Role::Tool && message.tool_call_id.is_none() {
        return Err((".tool_call_id".into(), "is required"));
    }
    if let Some(Content::Parts(parts)) = &message.content {
        let is_text = |body: &PartBody<'_>| matches!(body, PartBody::Text(_) | PartBody::Refusal(_));
        if let Some(at) = parts.iter().position(|part| !is_text(&part.body)) {
            return Err((format!(".content[{at}]"), "must be text; ai21labs takes nothing else"));
        }
    }
    let calls = message.tool_calls().iter().enumerate().map(|(at, call)| {
        let function = call.function.as_ref();
        let function = function.ok_or_else(|| (format!(".tool_calls[{at}]"), "must be a function call"))?;
        let arguments = if function.arguments.trim().is_empty() { "{}" } else { &*function.arguments };
        let what = SentCall { id: &call.id, function: Called { name: &function.name, arguments } };
        Ok(Written { kind: "function", what })
    });
    Ok(Turn {
        role,
        tool_calls: calls.collect::<Result<_, _>>()?,
        content: message.content.as_ref().map(Content::text).or_else(|| message.refusal.clone()),
        tool_call_id: message.tool_call_id.as_deref(),
    })
}

fn tools<'r>(asked: &'r chat::Request<'_>) -> Result<Tools<'r>, PeekError> {
    let allowed = match &asked.tool_choice {
        Some(Choice::Allowed { names, .. }) => Some(names),
        _ => None,
    };
    let mut all = Tools::default();
    for (at, tool) in asked.tools().iter().enumerate() {
        let Tool::Function { function, .. } = tool else {
            return Err(wrong(format!("tools[{at}]"), "must be a function; ai21labs has no other tools"));
        };
        if allowed.is_none_or(|names| names.contains(&function.name)) {
            all.tools.push(defined(&function.name, function.description.as_deref(), function.parameters));
        }
    }
    all.tool_choice = match &asked.tool_choice {
        _ if all.tools.is_empty() => None,
        None => None,
        Some(Choice::Auto | Choice::Allowed { required: false, .. }) => Some(SentChoice::Word("auto")),
        Some(Choice::None) => Some(SentChoice::Word("none")),
        Some(Choice::Required | Choice::Allowed { required: true, .. }) => Some(SentChoice::Word("required")),
        Some(Choice::Named(name)) => Some(named(name)),
    };
    match &asked.response_format {
        None | Some(ResponseFormat::Text) => {}
        Some(ResponseFormat::JsonObject) => all.response_format = Some(Format { kind: "json_object" }),
        // A tool that the client itself forces stays forced.
        Some(ResponseFormat::JsonSchema(_)) if matches!(asked.tool_choice, Some(Choice::Named(_))) => {}
        // The API takes no schema for an answer, but for a tool's arguments.
        Some(ResponseFormat::JsonSchema(schema)) => {
            if asked.tool_choice == Some(Choice::None) {
                all.tools.clear();
            }
            let others = !all.tools.is_empty();
            let described = schema.description.as_deref();
            let described = described.or(Some("Give the whole answer to the user as the arguments of this tool."));
            all.tools.push(defined(JSON_TOOL, described, schema.schema));
            all.tool_choice = Some(if others { SentChoice::Word("required") } else { named(JSON_TOOL) });
            all.json_tool = true;
        }
    }
    Ok(all)
}

fn defined<'r>(name: &'r str, description: Option<&'r str>, parameters: Option<Raw<'r>>) -> Written<Defined<'r>> {
    Written { kind: "function", what: Defined { function: Function { name, description, parameters } } }
}

fn named(name: &str) -> SentChoice<'_> {
    SentChoice::Function(Written { kind: "function", what: Named { function: Name { name } } })
}
