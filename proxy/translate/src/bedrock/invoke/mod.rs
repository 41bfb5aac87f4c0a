//! InvokeModel and InvokeModelWithResponseStream: each maker's own schema, in what all of them share.
//!
//! Source: Amazon Bedrock API reference, "InvokeModel", "InvokeModelWithResponseStream".

pub(super) mod claude;
pub(super) mod command;
pub(super) mod embed;
pub(super) mod j2;
pub(super) mod titan;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;

use crate::error::{Broken, Failure};
use crate::pair::Reply;
use crate::split::Event;
use crate::stream::{Flow, Machine};
use crate::wire::Text;
use crate::write::Chunks;
use crate::{Count, Usage};

/// What Bedrock adds to the last event of a maker's stream.
const METRICS: &str = "amazon-bedrock-invocationMetrics";

/// The path of a model's API.
fn path(model: &str, stream: Option<bool>) -> String {
    super::path(model, if stream == Some(true) { "invoke-with-response-stream" } else { "invoke" })
}

/// The tokens of a whole answer, which Bedrock tells in headers.
fn usage(reply: &Reply<'_>) -> Option<Usage> {
    let count = |name: &str| (reply.header)(name).and_then(|text| text.parse::<u64>().ok());
    let input = count("x-amzn-bedrock-input-token-count");
    let output = count("x-amzn-bedrock-output-token-count");
    input.or(output)?;
    Some(Usage {
        fresh_input: input.unwrap_or_default(),
        cache_read: count("x-amzn-bedrock-cache-read-input-token-count").unwrap_or_default(),
        cache_write: count("x-amzn-bedrock-cache-write-input-token-count").unwrap_or_default(),
        reasoning: 0,
        output: output.unwrap_or_default(),
    })
}

/// The events of a maker's stream, each in base64 in an event of Bedrock's.
struct Wrapped {
    inner: Box<dyn Machine>,
    event: Vec<u8>,
}

/// Reads what Bedrock puts around a maker's events.
fn wrapped(inner: Box<dyn Machine>) -> Box<dyn Machine> {
    Box::new(Wrapped { inner, event: Vec::new() })
}

#[derive(Deserialize)]
struct Chunk<'e> {
    #[serde(borrow)]
    bytes: Option<Text<'e>>,
}

#[derive(Deserialize)]
struct Last {
    #[serde(rename = "amazon-bedrock-invocationMetrics")]
    metrics: Option<Metrics>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Metrics {
    input_token_count: Option<Count>,
    output_token_count: Option<Count>,
    cache_read_input_token_count: Option<Count>,
    cache_write_input_token_count: Option<Count>,
}

impl Metrics {
    fn usage(&self) -> Option<Usage> {
        self.input_token_count.or(self.output_token_count)?;
        let count = |count: Option<Count>| count.unwrap_or_default().0;
        Some(Usage {
            fresh_input: count(self.input_token_count),
            cache_read: count(self.cache_read_input_token_count),
            cache_write: count(self.cache_write_input_token_count),
            reasoning: 0,
            output: count(self.output_token_count),
        })
    }
}

impl Machine for Wrapped {
    fn event(&mut self, event: &Event<'_>, out: &mut Chunks) -> Result<Flow, Failure> {
        if event.name != "chunk" {
            return Ok(Flow::More);
        }
        let chunk: Chunk<'_> = serde_json::from_slice(event.data).map_err(|_| Broken::NotJson)?;
        self.event.clear();
        let bytes = chunk.bytes.ok_or(Broken::Lacks("bytes"))?;
        STANDARD.decode_vec(&*bytes, &mut self.event).map_err(|_| Broken::Damaged)?;
        let flow = self.inner.event(&Event { name: "", is_error: false, data: &self.event }, out)?;
        if memchr::memmem::find(&self.event, METRICS.as_bytes()).is_none() {
            return Ok(flow);
        }
        let Ok(Last { metrics: Some(metrics) }) = serde_json::from_slice(&self.event) else { return Ok(flow) };
        // A maker's own counts know more classes.
        if let (None, Some(usage)) = (out.last_usage(), metrics.usage()) {
            out.usage(usage);
        }
        Ok(Flow::Done)
    }
}

#[cfg(test)]
#[path = "invoke_tests.rs"]
mod tests;
