//! `reasoning_effort` as Anthropic's models take it, whoever hosts them.

use serde::Serialize;

use super::model::{Model, Thinking};
use crate::chat::{self, Role};
use crate::params::wrong;
use crate::peek::PeekError;

/// Least tokens that may be spent on thinking.
const LEAST_BUDGET: u64 = 1024;

/// How a model is told to think.
#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(crate) enum Think {
    Enabled {
        budget_tokens: u64,
    },
    Adaptive {
        #[serde(skip_serializing_if = "Option::is_none")]
        display: Option<&'static str>,
    },
    Disabled,
}

/// What `reasoning_effort` comes to.
#[derive(Default)]
pub(crate) struct Thought {
    /// `thinking`
    pub thinking: Option<Think>,
    /// `output_config.effort`
    pub effort: Option<&'static str>,
    /// Tokens that a default limit must have on top.
    pub more_tokens: u64,
    /// Whether it could not be said.
    pub dropped: bool,
}

/// Translates `reasoning_effort`. `forced`: a tool must be called; `format`: of the reasoning that may go back.
pub(crate) fn thought(
    effort: &str,
    model: Model,
    asked: &chat::Request<'_>,
    forced: bool,
    format: &'static str,
) -> Result<Thought, PeekError> {
    let effort = Effort::named(effort)?;
    let mut thought = Thought::default();
    // The API does not think when it is forced to call a tool, nor (with a budget) in the middle of a tool loop
    // whose beginning it did not think about.
    match (model.thinking(), effort) {
        (Thinking::Never | Thinking::Budget, Effort::None) => {}
        (Thinking::Adaptive, Effort::None) => thought.thinking = Some(Think::Disabled),
        (Thinking::Adaptive, effort) => {
            let display = model.hides_thinking().then_some("summarized");
            thought.thinking = (!forced).then_some(Think::Adaptive { display });
            thought.effort = Some(effort.level(model));
        }
        (Thinking::Budget, effort) if !forced && !breaks_into_a_tool_loop(asked, format) => {
            let budget = match asked.max_tokens() {
                Some(limit) => effort.budget().min(limit.saturating_sub(1)),
                None => {
                    thought.more_tokens = effort.budget();
                    effort.budget()
                }
            };
            if budget >= LEAST_BUDGET {
                thought.thinking = Some(Think::Enabled { budget_tokens: budget });
            } else {
                thought.dropped = true;
            }
        }
        (Thinking::Never | Thinking::Budget, _) => thought.dropped = true,
    }
    Ok(thought)
}

/// Whether the last assistant turn called tools without the thinking that led to it, and their results follow.
fn breaks_into_a_tool_loop(asked: &chat::Request<'_>, format: &'static str) -> bool {
    let mut turns = asked.messages.iter().rev();
    let in_loop = turns.clone().next().is_some_and(|turn| turn.role == Role::Tool);
    let last = turns.find(|turn| turn.role == Role::Assistant);
    in_loop && last.is_some_and(|turn| !turn.tool_calls().is_empty() && turn.details(format).next().is_none())
}

/// OpenAI's `reasoning_effort`.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Effort {
    None,
    Minimal,
    Low,
    Medium,
    High,
    Xhigh,
    Max,
}

impl Effort {
    fn named(name: &str) -> Result<Self, PeekError> {
        Ok(match name {
            "none" => Self::None,
            "minimal" => Self::Minimal,
            "low" => Self::Low,
            "medium" => Self::Medium,
            "high" => Self::High,
            "xhigh" => Self::Xhigh,
            "max" => Self::Max,
            _ => {
                let rule = "must be none, minimal, low, medium, high, xhigh or max";
                return Err(wrong("reasoning_effort", rule));
            }
        })
    }

    /// Tokens to think with.
    fn budget(self) -> u64 {
        match self {
            Self::None => 0,
            Self::Minimal | Self::Low => LEAST_BUDGET,
            Self::Medium => 4096,
            Self::High => 16384,
            Self::Xhigh | Self::Max => 32768,
        }
    }

    /// `output_config.effort`.
    fn level(self, model: Model) -> &'static str {
        match self {
            Self::None | Self::Minimal | Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
            Self::Xhigh if model.hides_thinking() => "xhigh",
            Self::Xhigh => "high",
            Self::Max => "max",
        }
    }
}
