//! OpenAI completions ↔ the legacy Complete API.

use serde::{Deserialize, Serialize};

use super::model::Model;
use super::request::{Common, Host, Metadata};
use super::{VERSION, failure};
use crate::completions;
use crate::error::{Broken, Failure};
use crate::mask::Secrets;
use crate::pair::{Back, Cx, Outgoing, Reply};
use crate::peek::PeekError;
use crate::split::Event;
use crate::stream::{Flow, Machine};
use crate::wire::{Members, Text};
use crate::write::{Choice, Chunks, Completed, Finish};

/// How the API wants a prompt to begin, and to end.
const HUMAN: &str = "\n\nHuman:";
const ASSISTANT: &str = "\n\nAssistant:";

#[derive(Serialize)]
struct Body<'r> {
    #[serde(skip_serializing_if = "Option::is_none")]
    model: Option<&'r str>,
    prompt: &'r str,
    max_tokens_to_sample: u64,
    #[serde(flatten)]
    common: Common<'r>,
    #[serde(flatten)]
    rest: Members<'r>,
}

/// Translates a request.
pub(super) fn request(asked: &completions::Request<'_>, cx: &Cx<'_>) -> Result<Outgoing, PeekError> {
    let mut outgoing = completions(asked, cx, Host::Anthropic)?;
    outgoing.path = "/v1/complete".into();
    outgoing.headers.push((VERSION.0, VERSION.1.to_owned()));
    Ok(outgoing)
}

/// Translates a request's body for a host; other clouds name model and stream in the path, and know no users.
pub(crate) fn completions(asked: &completions::Request<'_>, cx: &Cx<'_>, host: Host) -> Result<Outgoing, PeekError> {
    let own = host == Host::Anthropic;
    let prompt = asked.single_prompt()?;
    let raw = asked.use_raw_prompt == Some(true) || prompt.contains(HUMAN);
    let prompt = if raw { prompt } else { Text(format!("{HUMAN} {}{ASSISTANT}", &*prompt).into()) };
    let limit = asked.max_tokens.or(cx.default_max_tokens);
    let body = Body {
        model: own.then_some(cx.model),
        prompt: &prompt,
        max_tokens_to_sample: limit.unwrap_or_else(|| Model::named(cx.model).default_max_tokens()),
        common: Common {
            stop_sequences: &asked.stop.0,
            stream: own && asked.stream == Some(true),
            temperature: asked.temperature,
            top_k: asked.top_k,
            top_p: asked.top_p,
            metadata: asked.user.as_deref().filter(|_| own).map(|user_id| Metadata { user_id }),
        },
        rest: Members::of(&asked.rest, |key| match key {
            "stop_sequences" => asked.stop.0.is_empty(),
            "metadata" => asked.user.is_none(),
            key => key != "max_tokens_to_sample",
        }),
    };
    Outgoing::new("", &body)
}

/// An answer, or one event of a stream.
#[derive(Deserialize)]
struct Completion<'c> {
    #[serde(borrow, rename = "type")]
    kind: Option<Text<'c>>,
    #[serde(borrow)]
    id: Option<Text<'c>>,
    #[serde(borrow)]
    model: Option<Text<'c>>,
    #[serde(borrow)]
    completion: Option<Text<'c>>,
    #[serde(borrow)]
    stop_reason: Option<Text<'c>>,
}

impl Completion<'_> {
    fn finish(&self) -> Finish {
        super::answer::finish(self.stop_reason.as_deref(), false)
    }
}

/// Translates an answer.
pub(crate) fn answer<'r>(reply: &Reply<'r>, back: &Back) -> Result<Completed<'r>, Failure> {
    let completion: Completion<'r> = reply.json()?;
    if completion.kind.as_deref() == Some("error") {
        return Err(failure(reply.body, &back.secrets));
    }
    let finish = completion.finish();
    let text = completion.completion.ok_or(Broken::Lacks("completion"))?;
    let choice = Choice { text, finish, ..Choice::default() };
    Ok(Completed { id: completion.id, model: completion.model, choices: vec![choice], usage: None })
}

struct Complete {
    secrets: Secrets,
}

pub(crate) fn machine(back: &Back) -> Box<dyn Machine> {
    Box::new(Complete { secrets: back.secrets.clone() })
}

impl Machine for Complete {
    fn event(&mut self, event: &Event<'_>, out: &mut Chunks) -> Result<Flow, Failure> {
        let completion: Completion<'_> = serde_json::from_slice(event.data).map_err(|_| Broken::NotJson)?;
        match completion.kind.as_deref() {
            Some("error") => return Err(failure(event.data, &self.secrets)),
            Some("ping") => return Ok(Flow::More),
            _ => {}
        }
        out.name(completion.id.as_deref(), completion.model.as_deref());
        out.text(0, completion.completion.as_deref().unwrap_or_default());
        if completion.stop_reason.is_none() {
            return Ok(Flow::More);
        }
        out.finish(0, completion.finish());
        Ok(Flow::Done)
    }
}

#[cfg(test)]
#[path = "complete_tests.rs"]
mod tests;
