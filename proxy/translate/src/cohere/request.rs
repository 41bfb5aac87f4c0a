//! OpenAI chat request → v2 chat request.

use serde::Serialize;

use super::sampling::Sampling;
use super::tools::{self, Tools};
use super::turns::{self, Turn};
use crate::chat;
use crate::pair::{Cx, Outgoing};
use crate::params::wrong;
use crate::peek::PeekError;
use crate::wire::Members;

/// Part of the names of models that think.
const THINKS: &str = "reasoning";

#[derive(Serialize)]
struct Body<'r> {
    model: &'r str,
    messages: Vec<Turn<'r>>,
    #[serde(flatten)]
    sampling: Sampling<'r>,
    #[serde(flatten)]
    tools: Tools<'r>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    logprobs: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    thinking: Option<Thinking>,
    #[serde(flatten)]
    rest: Members<'r>,
}

#[derive(Clone, Copy, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Thinking {
    Enabled {
        #[serde(skip_serializing_if = "Option::is_none")]
        token_budget: Option<u64>,
    },
    Disabled,
}

/// Translates a request.
pub(super) fn request(asked: &chat::Request<'_>, cx: &Cx<'_>) -> Result<Outgoing, PeekError> {
    let mut dropped = Vec::new();
    let own_thinking = chat::unknown(&asked.rest, "thinking").is_some();
    let mut thinking = None;
    if let Some(effort) = asked.reasoning_effort.as_deref().filter(|_| !own_thinking) {
        let wanted = effort_of(effort)?;
        match wanted {
            wanted if cx.model.contains(THINKS) => thinking = Some(wanted),
            Thinking::Disabled => {}
            Thinking::Enabled { .. } => dropped.push("reasoning_effort"),
        }
    }
    let tools = tools::tools(asked)?;
    let json_tool = tools.json_tool;
    let sampling = Sampling::of_chat(asked);
    let ours: &[&str] = if tools.strict_tools { &["strict_tools"] } else { &[] };
    let body = Body {
        model: cx.model,
        messages: turns::turns(&asked.messages)?,
        logprobs: asked.logprobs == Some(true),
        thinking,
        rest: sampling.others(&asked.rest, ours),
        sampling,
        tools,
    };
    let mut outgoing = Outgoing::new("/v2/chat", &body)?;
    outgoing.dropped = dropped;
    outgoing.asked.json_tool = json_tool;
    Ok(outgoing)
}

/// OpenAI's `reasoning_effort`. The models think without bound unless told otherwise.
fn effort_of(effort: &str) -> Result<Thinking, PeekError> {
    let token_budget = match effort {
        "none" => return Ok(Thinking::Disabled),
        "minimal" => Some(512),
        "low" => Some(1024),
        "medium" => Some(4096),
        "high" => Some(16384),
        "xhigh" | "max" => None,
        _ => {
            return Err(wrong("reasoning_effort", "must be none, minimal, low, medium, high, xhigh or max"));
        }
    };
    Ok(Thinking::Enabled { token_budget })
}

#[cfg(test)]
#[path = "request_tests.rs"]
mod tests;
