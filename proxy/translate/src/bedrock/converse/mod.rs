//! OpenAI chat ↔ Converse and ConverseStream.
//!
//! Source: Amazon Bedrock API reference, "Converse", "ConverseStream" and their data types.

mod answer;
mod fields;
mod media;
mod request;
mod stream;
mod tools;
mod turns;

pub(super) use answer::answer;
pub(super) use request::request;
use serde::Deserialize;
use serde_json::{Map, Value};
pub(super) use stream::machine;

use crate::wire::Text;
use crate::write::Finish;
use crate::{Count, Usage};

/// `format` of reasoning that came from this API, and may go back to it.
const FORMAT: &str = "amazon-bedrock-converse-v1";

/// Token counts. Cached tokens are in none of the others, and have two names.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Tokens {
    input_tokens: Option<Count>,
    output_tokens: Option<Count>,
    cache_read_input_tokens: Option<Count>,
    cache_read_input_token_count: Option<Count>,
    cache_write_input_tokens: Option<Count>,
    cache_write_input_token_count: Option<Count>,
}

impl Tokens {
    fn usage(&self) -> Option<Usage> {
        self.input_tokens.or(self.output_tokens)?;
        let count = |count: Option<Count>| count.unwrap_or_default().0;
        Some(Usage {
            fresh_input: count(self.input_tokens),
            cache_read: count(self.cache_read_input_tokens.or(self.cache_read_input_token_count)),
            cache_write: count(self.cache_write_input_tokens.or(self.cache_write_input_token_count)),
            reasoning: 0,
            output: count(self.output_tokens),
        })
    }
}

/// What an answer says besides its message, whole or in a stream's last events.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct About<'a> {
    #[serde(borrow)]
    stop_reason: Option<Text<'a>>,
    usage: Option<Tokens>,
    additional_model_response_fields: Option<Value>,
    metrics: Option<Value>,
    performance_config: Option<Value>,
    service_tier: Option<Value>,
    trace: Option<Value>,
}

impl About<'_> {
    /// What OpenAI has no member for.
    fn into_own(self, own: &mut Map<String, Value>) {
        let reason = self.stop_reason.as_deref().unwrap_or_default();
        if !matches!(reason, "" | "end_turn" | "max_tokens" | "stop_sequence" | "tool_use") {
            own.insert("stop_reason".into(), reason.into());
        }
        let members = [
            ("additionalModelResponseFields", self.additional_model_response_fields),
            ("metrics", self.metrics),
            ("performanceConfig", self.performance_config),
            ("serviceTier", self.service_tier),
            ("trace", self.trace),
        ];
        own.extend(members.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))));
    }
}

/// `stopReason` in OpenAI's words.
fn finish(reason: Option<&str>, has_calls: bool) -> Finish {
    match reason {
        Some("max_tokens" | "model_context_window_exceeded") => Finish::Length,
        Some("guardrail_intervened" | "content_filtered") => Finish::ContentFilter,
        // Without a call there is none to make: the call was the answer itself, or the provider's own tool.
        _ if has_calls => Finish::ToolCalls,
        _ => Finish::Stop,
    }
}
