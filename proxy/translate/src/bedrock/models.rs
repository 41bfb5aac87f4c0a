//! Which API of Bedrock a model takes, and what it can be asked there.
//!
//! Source: Amazon Bedrock user guide, "Supported models and model features" of the Converse API, "Inference request
//! parameters and response fields for foundation models", "Get validated JSON results from models".

use super::pairs::*;
use crate::anthropic::model::Model;
use crate::{Pair, Task};

/// One rule: models of a maker whose names start so are asked for a task by this pair.
struct Rule {
    task: Task,
    maker: &'static str,
    names: &'static str,
    pair: &'static Pair,
}

const fn rule(task: Task, maker: &'static str, names: &'static str, pair: &'static Pair) -> Rule {
    Rule { task, maker, names, pair }
}

/// The first that fits a name holds; of a model whose name says nothing, the last of its maker's.
static RULES: &[Rule] = &[
    rule(Task::Chat, "ai21", "", &CONVERSE_AI21),
    rule(Task::Chat, "amazon", "titan", &CONVERSE),
    rule(Task::Chat, "amazon", "", &CONVERSE_NOVA),
    rule(Task::Chat, "anthropic", "claude-v", &INVOKE_MESSAGES),
    rule(Task::Chat, "anthropic", "claude-instant", &INVOKE_MESSAGES),
    rule(Task::Chat, "anthropic", "", &CONVERSE_CLAUDE),
    rule(Task::Chat, "cohere", "", &CONVERSE_COHERE),
    rule(Task::Chat, "mistral", "", &CONVERSE_MISTRAL),
    rule(Task::Chat, "openai", "", &CONVERSE_OPENAI),
    rule(Task::Completions, "ai21", "j2", &INVOKE_J2),
    rule(Task::Completions, "amazon", "titan-t", &INVOKE_TITAN),
    rule(Task::Completions, "anthropic", "claude-v", &INVOKE_CLAUDE),
    rule(Task::Completions, "anthropic", "claude-instant", &INVOKE_CLAUDE),
    rule(Task::Completions, "cohere", "command-text", &INVOKE_COMMAND),
    rule(Task::Completions, "cohere", "command-light-text", &INVOKE_COMMAND),
    rule(Task::Embeddings, "amazon", "titan-embed", &EMBED_TITAN),
    rule(Task::Embeddings, "cohere", "embed", &EMBED_COHERE),
];

/// The pair for a model. Converse takes every model for chat that no rule knows.
pub(crate) fn pair(task: Task, model: &str, maker: Option<&str>) -> Option<&'static Pair> {
    let of = |maker: &str| {
        let maker = maker.to_owned();
        RULES.iter().filter(move |rule| rule.task == task && rule.maker == maker)
    };
    let rule = match (named(model), maker) {
        (Some((maker, name)), _) => of(maker).find(|rule| name.starts_with(rule.names)),
        (None, Some(maker)) => of(maker.to_ascii_lowercase().trim_end_matches("labs")).next_back(),
        (None, None) => None,
    };
    let other = (task == Task::Chat).then_some(&CONVERSE);
    rule.map(|rule| rule.pair).or(other)
}

/// Maker and name of ids such as `anthropic.claude-v2:1`, `us.amazon.nova-lite-v1:0`, and of ARNs that end in such.
fn named(model: &str) -> Option<(&str, &str)> {
    let id = model.rsplit('/').next().unwrap_or(model);
    let without_place = id.split_once('.').map(|(_, rest)| rest);
    let known = |(maker, _): &(&str, &str)| RULES.iter().any(|rule| rule.maker == *maker);
    [Some(id), without_place].into_iter().flatten().find_map(|id| id.split_once('.').filter(known))
}

/// Models that take a JSON schema for their answer, and for a tool's arguments strictly, besides Claude.
const WITH_SCHEMAS: [&str; 13] = [
    "deepseek.v3",
    "google.gemma-3",
    "minimax.minimax",
    "mistral.magistral",
    "mistral.ministral",
    "mistral.mistral-large-3",
    "mistral.voxtral",
    "moonshot.kimi",
    "moonshotai.kimi",
    "nvidia.nemotron",
    "openai.gpt-oss",
    "qwen.qwen3",
    "zai.glm",
];

/// Whose models Converse serves, where that changes how they are asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Family {
    Ai21,
    Claude,
    Cohere,
    Mistral,
    Nova,
    OpenAi,
    Other,
}

impl Family {
    /// Whether a model takes schemas.
    pub fn has_schemas(self, model: &str) -> bool {
        match self {
            // Of Anthropic's models with schemas Opus 4.1 has none here.
            Self::Claude => Model::named(model).has_schemas() && !model.contains("opus-4-1"),
            _ => WITH_SCHEMAS.iter().any(|name| model.contains(name)),
        }
    }

    /// Whether it keeps prompts up to a marker in a cache.
    pub fn has_cache(self) -> bool {
        matches!(self, Self::Claude | Self::Nova)
    }
}

#[cfg(test)]
#[path = "models_tests.rs"]
mod tests;
