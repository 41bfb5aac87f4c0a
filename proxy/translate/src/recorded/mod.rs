//! The recorded provider traffic that tests run on (`shared/recorded`, beside the repository), and the laws that
//! every pair must keep on it.

pub mod fold;
pub mod golden;
pub mod laws;

use std::path::PathBuf;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

/// One recorded exchange.
pub struct Recorded {
    pub name: String,
    pub operation: String,
    /// The provider's API, as `index.json` calls it.
    pub api: String,
    /// Whether an OpenAI client can ask what was asked.
    pub can_ask: bool,
    pub status: u64,
    /// Whether the answer is a stream.
    pub is_stream: bool,
    pub request: Value,
    pub response: Value,
}

impl Recorded {
    /// Whether the client asked for usage in the stream.
    pub fn asked_for_usage(&self) -> bool {
        self.request["body"]["stream_options"]["include_usage"] == true
    }

    /// The events of a streamed answer as they were on the wire.
    pub fn sse(&self) -> Option<Vec<u8>> {
        let end = self.response["sse_eol"].as_str().unwrap_or("\n").repeat(2);
        let events = self.response["sse"].as_array()?;
        Some(events.iter().flat_map(|event| [event.as_str().unwrap(), &end]).collect::<String>().into_bytes())
    }

    /// The bytes of a streamed answer of any framing.
    pub fn streamed(&self) -> Option<Vec<u8>> {
        let binary = self.response["body_base64"].as_str().map(|text| STANDARD.decode(text).unwrap());
        self.sse().or(binary).or_else(|| self.is_stream.then(|| self.body().unwrap()))
    }

    /// A response header.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.response["headers"][name].as_str()
    }

    /// The bytes of an answer that is no stream.
    pub fn body(&self) -> Option<Vec<u8>> {
        match &self.response["body"] {
            Value::Null => None,
            Value::String(text) => Some(text.clone().into_bytes()),
            json => Some(json.to_string().into_bytes()),
        }
    }

    pub fn task(&self) -> crate::Task {
        crate::Task::from_name(&format!("llm/v1/{}", self.operation)).unwrap()
    }
}

/// All recordings of a provider.
pub fn all(provider: &str) -> Vec<Recorded> {
    let shared = std::env::var_os("WEIRGATE_SHARED")
        .map_or_else(|| PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared")), PathBuf::from);
    let folder = shared.join("recorded").join(provider);
    let index = std::fs::read(shared.join("recorded/index.json"))
        .map_or(Value::Null, |json| serde_json::from_slice(&json).unwrap());
    let entries = std::fs::read_dir(&folder).unwrap_or_else(|error| {
        panic!("{}: {error}; set WEIRGATE_SHARED to the folder that holds `recorded`", folder.display())
    });
    let mut all: Vec<Recorded> = entries
        .map(|entry| {
            let path = entry.unwrap().path();
            let json: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
            let name = format!("{provider}/{}", path.file_stem().unwrap().to_string_lossy());
            let entry = index.as_array().into_iter().flatten().find(|entry| entry["recording"] == *name);
            let entry = entry.cloned().unwrap_or_default();
            Recorded {
                name,
                api: entry["api"].as_str().unwrap_or_default().to_owned(),
                can_ask: entry["openai_can_ask"] == true,
                is_stream: json["stream"] == true && json["response"]["status"] == 200,
                operation: json["operation"].as_str().unwrap().to_owned(),
                status: json["response"]["status"].as_u64().unwrap(),
                request: json["request"].clone(),
                response: json["response"].clone(),
            }
        })
        .collect();
    all.sort_by(|a, b| a.name.cmp(&b.name));
    assert!(!all.is_empty(), "no recordings in {}", folder.display());
    all
}

/// `bytes` cut into pieces of these lengths, over and over.
pub fn pieces<'b>(mut bytes: &'b [u8], lengths: &[usize]) -> Vec<&'b [u8]> {
    let mut pieces = Vec::new();
    for length in lengths.iter().cycle() {
        if bytes.is_empty() {
            break;
        }
        let (piece, rest) = bytes.split_at((*length).min(bytes.len()));
        pieces.push(piece);
        bytes = rest;
    }
    pieces
}

/// `bytes` damaged: for each cut, the part between two positions goes and another byte comes in its place.
pub fn mutated(mut bytes: Vec<u8>, cuts: &[(proptest::sample::Index, proptest::sample::Index, u8)]) -> Vec<u8> {
    for (at, length, byte) in cuts {
        if !bytes.is_empty() {
            let at = at.index(bytes.len());
            // Mostly small cuts: a stream in which half is gone tests little else.
            let end = at + length.index((bytes.len() - at).min(12) + 1);
            bytes.splice(at..end, [*byte]);
        }
    }
    bytes
}
