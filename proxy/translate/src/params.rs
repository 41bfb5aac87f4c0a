//! The rules for single request fields, contract §8.2 to §8.4.

use std::borrow::Cow;
use std::ops::RangeInclusive;

use serde::Deserialize;

use crate::Task;
use crate::json;
use crate::peek::PeekError;
use crate::text;

pub(crate) const CLIENT_REQUEST_ID: &str = "client_request_id";
pub(crate) const USAGE_CONTEXT: &str = "usage_context";
pub(crate) const EXTRA_PARAMS: &str = "extra_params";

/// Fields that the gateway reads or removes. Given twice, gateway and provider could take different ones, so that is
/// an error. Fields it does not know are passed on as they are.
const READ: [&str; 17] = [
    "model",
    "messages",
    "prompt",
    "input",
    "stream",
    "stream_options",
    "max_tokens",
    "max_completion_tokens",
    "n",
    "temperature",
    "top_p",
    "presence_penalty",
    "frequency_penalty",
    "stop",
    CLIENT_REQUEST_ID,
    USAGE_CONTEXT,
    EXTRA_PARAMS,
];

/// Input fields of custom models, which an LLM endpoint does not take.
const CUSTOM_MODEL_INPUT: [&str; 4] = ["dataframe_split", "dataframe_records", "instances", "inputs"];

/// What the gateway itself needs of the fields read so far.
#[derive(Debug)]
pub(crate) struct Params {
    task: Task,
    /// One bit for each of `READ`.
    seen: u32,
    has_input: bool,
    pub stream: bool,
    pub include_usage: bool,
    pub max_tokens: Option<u64>,
    pub max_completion_tokens: Option<u64>,
    pub n: Option<u64>,
    pub messages: usize,
    pub prompt_chars: u64,
}

impl Params {
    pub fn new(task: Task) -> Self {
        Self {
            task,
            seen: 0,
            has_input: false,
            stream: false,
            include_usage: false,
            max_tokens: None,
            max_completion_tokens: None,
            n: None,
            messages: 0,
            prompt_chars: 0,
        }
    }

    /// Refuses the second occurrence of a field that the gateway reads.
    pub fn once(&mut self, key: &str) -> Result<(), PeekError> {
        let Some(index) = READ.iter().position(|known| *known == key) else { return Ok(()) };
        let bit = 1 << index;
        if self.seen & bit != 0 {
            return Err(wrong(key.to_owned(), "is given twice; give it once"));
        }
        self.seen |= bit;
        Ok(())
    }

    /// Reads one field; those that the gateway has no use for are passed over.
    pub fn read(&mut self, key: &str, value: &str) -> Result<(), PeekError> {
        if value == "null" {
            return Ok(());
        }
        if CUSTOM_MODEL_INPUT.contains(&key) {
            let problem = "is an input of custom models; this endpoint serves a language model";
            return Err(wrong(key.to_owned(), problem));
        }
        match (key, self.task) {
            ("messages", Task::Chat) => {
                let tally = text::tally(value);
                if !(value.starts_with('[') && tally.only_objects()) {
                    return Err(wrong("messages", "must be a non-empty array of message objects"));
                }
                self.messages = tally.objects;
                self.input(tally.chars);
            }
            ("prompt", Task::Completions) | ("input", Task::Embeddings) => {
                if !value.starts_with('"') && !filled_array(value) {
                    return Err(wrong(key.to_owned(), "must be a string or a non-empty array of strings or token ids"));
                }
                self.input(text::tally(value).chars);
            }
            ("stream", _) => self.stream = typed("stream", value, "must be true or false")?,
            ("stream_options", _) => {
                const RULE: &str = "must be an object such as {\"include_usage\": true}";
                let options: StreamOptions = typed("stream_options", value, RULE)?;
                if !value.starts_with('{') {
                    return Err(wrong("stream_options", RULE));
                }
                self.include_usage = options.include_usage.unwrap_or_default();
            }
            ("max_tokens", _) => self.max_tokens = Some(integer("max_tokens", value)?),
            ("max_completion_tokens", _) => {
                self.max_completion_tokens = Some(integer("max_completion_tokens", value)?);
            }
            ("n", Task::Chat | Task::Completions) => {
                const RULE: &str = "must be an integer from 1 to 5";
                let n = typed("n", value, RULE)?;
                if !(1..=5).contains(&n) {
                    return Err(wrong("n", RULE));
                }
                self.n = Some(n);
            }
            ("temperature", _) => number("temperature", value, 0.0..=2.0, "must be a number from 0 to 2")?,
            ("top_p", _) => number("top_p", value, 0.0..=1.0, "must be a number from 0 to 1")?,
            ("presence_penalty", _) => number("presence_penalty", value, -2.0..=2.0, "must be a number from -2 to 2")?,
            ("frequency_penalty", _) => {
                number("frequency_penalty", value, -2.0..=2.0, "must be a number from -2 to 2")?
            }
            ("stop", _) => {
                let all_strings = |element: &str| if element.starts_with('"') { Ok(()) } else { Err(()) };
                if !value.starts_with('"') && json::elements(value, all_strings).is_err() {
                    return Err(wrong("stop", "must be a string or an array of strings"));
                }
            }
            _ => {}
        }
        Ok(())
    }

    /// What only the whole request can tell.
    pub fn check(&self) -> Result<(), PeekError> {
        if !self.has_input {
            let param = match self.task {
                Task::Chat => "messages",
                Task::Completions => "prompt",
                Task::Embeddings => "input",
            };
            return Err(wrong(param, "is required"));
        }
        if self.stream && self.task == Task::Embeddings {
            return Err(wrong("stream", "must not be true: embeddings are not streamed"));
        }
        Ok(())
    }

    fn input(&mut self, chars: u64) {
        self.has_input = true;
        self.prompt_chars = chars;
    }
}

#[derive(Deserialize)]
struct StreamOptions {
    include_usage: Option<bool>,
}

fn filled_array(value: &str) -> bool {
    value.strip_prefix('[').is_some_and(|inside| !inside.trim_start().starts_with(']'))
}

/// An error about one field.
pub(crate) fn wrong(param: impl Into<Cow<'static, str>>, problem: impl Into<Cow<'static, str>>) -> PeekError {
    PeekError::Field { param: param.into(), problem: problem.into() }
}

fn typed<'a, T: Deserialize<'a>>(param: &'static str, value: &'a str, rule: &'static str) -> Result<T, PeekError> {
    serde_json::from_str(value).map_err(|_| wrong(param, rule))
}

fn integer(param: &'static str, value: &str) -> Result<u64, PeekError> {
    const RULE: &str = "must be an integer of at least 1";
    let number = typed(param, value, RULE)?;
    if number == 0 { Err(wrong(param, RULE)) } else { Ok(number) }
}

fn number(param: &'static str, value: &str, range: RangeInclusive<f64>, rule: &'static str) -> Result<(), PeekError> {
    if range.contains(&typed::<f64>(param, value, rule)?) { Ok(()) } else { Err(wrong(param, rule)) }
}

/// Whether a member of the body is for the provider, not only for the gateway.
pub(crate) fn for_providers<V>(member: &(crate::wire::Text<'_>, V)) -> bool {
    ![CLIENT_REQUEST_ID, USAGE_CONTEXT, EXTRA_PARAMS].contains(&&*member.0)
}
