//! What is measured: for each API of a provider a whole answer and a stream, put together from `cases.json`.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use serde::Deserialize;
use serde_json::value::RawValue;
use weirgate_translate::{Framing, Pair, Task};

/// Events of a stream that carry text.
pub const DELTAS: usize = 64;

/// One API.
pub struct Case {
    pub provider: String,
    pub model: String,
    pub task: Task,
    /// `None`: the provider speaks the client's schema.
    pub pair: Option<&'static Pair>,
    /// Request in OpenAI's schema, about 1 KB.
    pub request: String,
    /// The provider's answer, about 1 KB.
    pub answer: Bytes,
    /// The provider's stream, cut into events; empty if it has none.
    pub events: Vec<Bytes>,
}

#[derive(Deserialize)]
struct Written {
    provider: String,
    model: String,
    task: String,
    answer: Box<RawValue>,
    stream: Option<WrittenStream>,
}

#[derive(Deserialize)]
struct WrittenStream {
    first: Vec<WrittenEvent>,
    each: WrittenEvent,
    last: Vec<WrittenEvent>,
}

#[derive(Deserialize)]
struct WrittenEvent {
    #[serde(default)]
    name: String,
    data: Box<RawValue>,
}

/// All cases.
pub fn all() -> Result<Vec<Case>, String> {
    let written: Vec<Written> =
        serde_json::from_str(include_str!("../cases.json")).map_err(|error| format!("cases.json: {error}"))?;
    written.into_iter().map(Written::into_case).collect()
}

impl Written {
    fn into_case(self) -> Result<Case, String> {
        let Self { provider, model, task, answer, stream } = self;
        let task = Task::from_name(&task).ok_or_else(|| format!("{task} is no task"))?;
        let pair = weirgate_translate::pair_for(&provider, task, &model, None);
        if pair.is_none() && provider != "openai" {
            return Err(format!("{provider} has no pair for {model}"));
        }
        let framing = match pair {
            Some(pair) => pair.streaming().map(|stream| stream.framing),
            None => Some(Framing::Sse),
        };
        let events = match (stream, framing) {
            (Some(stream), Some(framing)) => stream.events(framing),
            (None, _) => Vec::new(),
            (Some(_), None) => return Err(format!("{provider} does not stream {model}")),
        };
        let request = request(task, &model);
        Ok(Case { provider, model, task, pair, request, answer: fill(&answer, &text(900)).into(), events })
    }
}

impl WrittenStream {
    fn events(&self, framing: Framing) -> Vec<Bytes> {
        let each = std::iter::repeat_n(&self.each, DELTAS);
        self.first.iter().chain(each).chain(&self.last).map(|event| event.framed(framing)).collect()
    }
}

impl WrittenEvent {
    fn framed(&self, framing: Framing) -> Bytes {
        let data = fill(&self.data, " several words, a comma");
        match framing {
            Framing::Sse => {
                let name = if self.name.is_empty() { String::new() } else { format!("event: {}\n", self.name) };
                format!("{name}data: {}\n\n", data.trim_matches('"')).into()
            }
            Framing::JsonLines => (data + "\n").into(),
            Framing::JsonArray => (data + ",").into(),
            Framing::EventStream if self.name == "chunk" => {
                frame("chunk", &format!(r#"{{"bytes":"{}","p":"abcdefghijkl"}}"#, STANDARD.encode(data)))
            }
            Framing::EventStream => frame(&self.name, &data),
        }
    }
}

/// An AWS event stream's frame (AWS SDK documentation, "Event stream encoding").
fn frame(name: &str, payload: &str) -> Bytes {
    let mut headers = Vec::new();
    for (key, value) in [(":event-type", name), (":content-type", "application/json"), (":message-type", "event")] {
        headers.push(key.len() as u8);
        headers.extend_from_slice(key.as_bytes());
        headers.push(7);
        headers.extend_from_slice(&(value.len() as u16).to_be_bytes());
        headers.extend_from_slice(value.as_bytes());
    }
    let length = 12 + headers.len() + payload.len() + 4;
    let mut frame = Vec::with_capacity(length);
    frame.extend_from_slice(&(length as u32).to_be_bytes());
    frame.extend_from_slice(&(headers.len() as u32).to_be_bytes());
    frame.extend_from_slice(&crc32fast::hash(&frame).to_be_bytes());
    frame.extend_from_slice(&headers);
    frame.extend_from_slice(payload.as_bytes());
    frame.extend_from_slice(&crc32fast::hash(&frame).to_be_bytes());
    frame.into()
}

fn fill(template: &RawValue, text: &str) -> String {
    let vector: Vec<String> = (0..80).map(|i| format!("{:.8}", f64::from(i * 37 % 101) / 701.0 - 0.07)).collect();
    template.get().replace("$TEXT", text).replace("\"$VECTOR\"", &format!("[{}]", vector.join(",")))
}

/// Prose of this many bytes, with a line end as JSON writes it.
fn text(bytes: usize) -> String {
    const PROSE: &str = "The quick brown fox jumps over the lazy dog, and the caf\u{e9} opens at nine.\\n";
    PROSE.repeat(bytes / PROSE.len())
}

fn request(task: Task, model: &str) -> String {
    match task {
        Task::Chat => format!(
            r#"{{"model":"{model}","messages":[{{"role":"system","content":"You are a helpful assistant."}},{{"role":"user","content":"{}"}},{{"role":"assistant","content":"{}"}},{{"role":"user","content":"{}"}}],"temperature":0.7,"max_tokens":512,"top_p":0.9}}"#,
            text(240),
            text(240),
            text(240)
        ),
        Task::Completions => {
            format!(r#"{{"model":"{model}","prompt":"{}","temperature":0.7,"max_tokens":512,"top_p":0.9}}"#, text(900))
        }
        Task::Embeddings => format!(r#"{{"model":"{model}","input":"{}"}}"#, text(900)),
    }
}
