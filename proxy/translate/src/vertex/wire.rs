//! What `generateContent` answers, whole or one event at a time.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::sign::{self, Place};
use super::{failure, value};
use crate::Secrets;
use crate::error::{Broken, Failure};
use crate::pair::JSON_TOOL;
use crate::wire::{Raw, Text, record};
use crate::write::{Finish, Reasoning};
use crate::{Count, Usage};

record! {
    /// An answer, or a piece of one.
    Answer {
        "candidates" => candidates: Option<Vec<Candidate<'a>>>,
        "usageMetadata" => usage: Option<Tokens>,
        "modelVersion" => model: Option<Text<'a>>,
        "responseId" => id: Option<Text<'a>>,
        "promptFeedback" => feedback: Option<Raw<'a>>,
        "error" => error: Option<Raw<'a>>,
    }
}

record! {
    /// One of the answers.
    Candidate {
        "index" => index: Option<u64>,
        "content" => content: Option<Content<'a>>,
        "finishReason" => reason: Option<Reason<'a>>,
        "citationMetadata" => citations: Option<Citations>,
        "logprobsResult" => logprobs: Option<Logprobs<'a>>,
    }
}

#[derive(Clone, Default, Deserialize)]
pub(super) struct Content<'a> {
    /// Absent where all tokens went into thinking, and where something was withheld.
    #[serde(borrow, default)]
    pub parts: Vec<Part<'a>>,
}

record! {
    /// A part; what it holds besides text and calls (code, images, the provider's own tools) is in `rest`.
    Part {
        "text" => text: Option<Text<'a>>,
        "thought" => thought: Option<bool>,
        "thoughtSignature" => signature: Option<Text<'a>>,
        "functionCall" => call: Option<Call<'a>>,
    }
}

#[derive(Clone, Deserialize)]
pub(super) struct Call<'a> {
    #[serde(borrow)]
    id: Option<Text<'a>>,
    #[serde(borrow, default)]
    name: Text<'a>,
    #[serde(borrow)]
    args: Option<Raw<'a>>,
}

/// Named so on one version of the API, and otherwise on another.
#[derive(Clone, Deserialize)]
pub(super) struct Citations {
    #[serde(default, alias = "citationSources")]
    pub citations: Vec<Value>,
}

/// Why a candidate ended: a name, or its number where enums are asked for as such.
#[derive(Clone, Deserialize)]
#[serde(untagged)]
pub(super) enum Reason<'a> {
    Number(u64),
    #[serde(borrow)]
    Name(Cow<'a, str>),
}

impl Reason<'_> {
    /// Its name; `None` if it has not ended.
    pub fn name(&self) -> Option<&str> {
        let name = match self {
            Self::Name(name) => name,
            Self::Number(number) => match number {
                0 => "",
                1 => "STOP",
                2 => "MAX_TOKENS",
                3 => "SAFETY",
                4 => "RECITATION",
                6 => "BLOCKLIST",
                7 => "PROHIBITED_CONTENT",
                8 => "SPII",
                9 => "MALFORMED_FUNCTION_CALL",
                10 => "MODEL_ARMOR",
                _ => "OTHER",
            },
        };
        Some(name).filter(|name| !matches!(*name, "" | "FINISH_REASON_UNSPECIFIED"))
    }
}

/// Why an answer ended, in OpenAI's words. The API says `STOP` where functions are to be called, too.
pub(super) fn finish(reason: &str, has_calls: bool) -> Finish {
    match reason {
        "MAX_TOKENS" => Finish::Length,
        "SAFETY"
        | "RECITATION"
        | "LANGUAGE"
        | "BLOCKLIST"
        | "PROHIBITED_CONTENT"
        | "SPII"
        | "MODEL_ARMOR"
        | "IMAGE_SAFETY"
        | "IMAGE_PROHIBITED_CONTENT"
        | "IMAGE_RECITATION" => Finish::ContentFilter,
        _ if has_calls => Finish::ToolCalls,
        _ => Finish::Stop,
    }
}

/// Token counts. Each event of a stream has totals so far; the last one's hold.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Tokens {
    prompt_token_count: Option<Count>,
    cached_content_token_count: Option<Count>,
    tool_use_prompt_token_count: Option<Count>,
    candidates_token_count: Option<Count>,
    thoughts_token_count: Option<Count>,
}

impl Tokens {
    /// `promptTokenCount` includes what was cached, but not what the provider's own tools added; `candidatesTokenCount`
    /// does not include thoughts.
    pub fn usage(&self) -> Usage {
        let count = |count: Option<Count>| count.unwrap_or_default().0;
        let prompt = count(self.prompt_token_count);
        let cache_read = count(self.cached_content_token_count).min(prompt);
        Usage {
            fresh_input: (prompt - cache_read).saturating_add(count(self.tool_use_prompt_token_count)),
            cache_read,
            cache_write: 0,
            reasoning: count(self.thoughts_token_count),
            output: count(self.candidates_token_count),
        }
    }
}

/// Probabilities of the tokens of one answer or event.
#[derive(Clone, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[derive(Default)]
pub(super) struct Logprobs<'a> {
    #[serde(borrow)]
    chosen_candidates: Vec<Token<'a>>,
    #[serde(borrow)]
    top_candidates: Vec<Top<'a>>,
}

#[derive(Clone, Deserialize)]
struct Top<'a> {
    #[serde(borrow, default)]
    candidates: Vec<Token<'a>>,
}

#[derive(Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Token<'a> {
    #[serde(borrow, default)]
    token: Text<'a>,
    #[serde(default)]
    log_probability: f64,
}

impl Logprobs<'_> {
    /// In OpenAI's form; `None` if there are none.
    pub fn written(&self) -> Option<Value> {
        let one = |token: &Token<'_>| json!({"token": &*token.token, "logprob": token.log_probability, "bytes": token.token.as_bytes()});
        let tokens = self.chosen_candidates.iter().enumerate().map(|(at, token)| {
            let mut written = one(token);
            let top = self.top_candidates.get(at).map(|top| &*top.candidates).unwrap_or_default();
            written["top_logprobs"] = top.iter().map(one).collect();
            written
        });
        (!self.chosen_candidates.is_empty()).then(|| json!({"content": tokens.collect::<Vec<_>>(), "refusal": null}))
    }
}

/// What the parts of a candidate are read with.
#[derive(Clone, Copy)]
pub(super) struct Reading<'a> {
    /// The number of the candidate.
    pub choice: usize,
    /// The answer's id.
    pub id: Option<&'a str>,
    /// Whether the call of the function [`JSON_TOOL`] is the answer itself.
    pub json_tool: bool,
}

impl Reading<'_> {
    /// An id for a call that has none: no other answer has the same, and a stream has it as the whole answer does.
    fn call_id(self, call: usize) -> Option<Text<'static>> {
        let id = self.id.filter(|id| !id.is_empty())?;
        Some(Text(
            if self.choice == 0 { format!("call_{id}_{call}") } else { format!("call_{id}_{}_{call}", self.choice) }
                .into(),
        ))
    }
}

/// What a part says.
pub(super) enum Piece<'a> {
    Thought(Text<'a>),
    Text(Text<'a>),
    Call {
        id: Option<Text<'a>>,
        name: Text<'a>,
        arguments: Text<'a>,
    },
    /// Under the provider's name.
    Own(Value),
}

/// Numbers what a choice has of each kind: clients put the lists of a stream together by `index`.
#[derive(Default)]
pub(super) struct Numbers {
    details: usize,
    parts: usize,
    calls: usize,
    citations: usize,
}

impl Numbers {
    /// Reads a part: what it says, and its signature.
    pub fn part<'a>(
        &mut self,
        part: Part<'a>,
        reading: Reading<'_>,
    ) -> (Option<Piece<'a>>, Option<Reasoning<'static>>) {
        let is_json = |call: &Call<'_>| reading.json_tool && &*call.name == JSON_TOOL;
        let (piece, place) = match (part.call, part.text) {
            (Some(call), _) => {
                let arguments = call.args.map_or("{}", |args| args.get()).into();
                if is_json(&call) {
                    (Some(Piece::Text(arguments)), Place::Text)
                } else {
                    let number = self.calls;
                    self.calls += 1;
                    let id = call.id.filter(|id| !id.is_empty()).or_else(|| reading.call_id(number));
                    (Some(Piece::Call { id, name: call.name, arguments }), Place::Call(number))
                }
            }
            (None, Some(text)) if part.thought == Some(true) => (Some(Piece::Thought(text)), Place::Thought),
            (None, Some(text)) if !text.is_empty() => (Some(Piece::Text(text)), Place::Text),
            (None, None) if !part.rest.is_empty() => {
                let mut own: Map<String, Value> =
                    part.rest.iter().map(|(key, raw)| ((**key).to_owned(), value(raw))).collect();
                if let Some(signature) = part.signature.as_deref() {
                    own.insert("thoughtSignature".into(), signature.into());
                }
                self.parts += 1;
                return (Some(Piece::Own(json!({"parts": [{"index": self.parts - 1, "part": own}]}))), None);
            }
            (None, _) => (None, Place::End),
        };
        let detail = part.signature.filter(|signature| !signature.is_empty()).map(|signature| {
            self.details += 1;
            sign::detail(self.details - 1, place, &signature)
        });
        (piece, detail)
    }

    /// Citations as they are kept.
    pub fn citations(&mut self, citations: Vec<Value>) -> Vec<Value> {
        let first = self.citations;
        self.citations += citations.len();
        let numbered = citations.into_iter().enumerate();
        numbered.map(|(at, citation)| json!({"index": first + at, "citation": citation})).collect()
    }

    /// Whether functions are to be called.
    pub fn has_calls(&self) -> bool {
        self.calls > 0
    }
}

impl Candidate<'_> {
    /// Adds what OpenAI has no member for: safety ratings, grounding, and what the API may add. What says nothing does
    /// not replace what came before.
    pub fn own_into(&self, own: &mut Map<String, Value>) {
        for (key, raw) in &self.rest {
            // A mean of the probabilities is not worth its bytes in every answer.
            if !matches!(raw.get(), "{}" | "[]" | "null") && **key != *"avgLogprobs" {
                own.insert((**key).to_owned(), value(raw));
            }
        }
        let reason = self.reason.as_ref().and_then(Reason::name);
        if let Some(reason) = reason.filter(|reason| !matches!(*reason, "STOP" | "MAX_TOKENS")) {
            own.insert("finishReason".into(), reason.into());
        }
    }
}

/// Reads an answer, or a piece of one.
///
/// # Errors
/// [`Failure::Provider`] for an error in its place, be it alone or in an array.
pub(super) fn read<'a>(body: &'a [u8], secrets: &Secrets) -> Result<Answer<'a>, Failure> {
    match serde_json::from_slice::<Answer<'a>>(body) {
        Ok(answer) if answer.error.is_none() => Ok(answer),
        Ok(_) => Err(failure(body, secrets)),
        Err(_) => match serde_json::from_slice::<[Answer<'_>; 1]>(body) {
            Ok([Answer { error: Some(_), .. }]) => Err(failure(body, secrets)),
            _ => Err(Broken::NotJson.into()),
        },
    }
}

/// What is said of a prompt that was not answered; `None` if nothing is.
pub(super) fn blocked(feedback: Option<Raw<'_>>) -> Option<Value> {
    feedback.map(value).filter(|feedback| feedback.get("blockReason").is_some_and(|reason| !reason.is_null()))
}
