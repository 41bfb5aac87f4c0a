//! `streamGenerateContent` events → OpenAI chunks. The API has no mark for the end: the stream is whole when every
//! candidate has a reason for its end, or the prompt was blocked. Some models give a reason with every event, so only
//! the end of the bytes tells which one was the last.

use serde_json::{Map, Value, json};

use super::PROVIDER;
use super::answer::CITATIONS;
use super::parts::{Numbers, Piece, Reading};
use super::wire::{Candidate, Reason, blocked, finish, read};
use crate::error::{Broken, Failure};
use crate::mask::Secrets;
use crate::pair::Back;
use crate::split::Event;
use crate::stream::{Flow, Machine};
use crate::write::{Chunks, Finish};

/// Most candidates; the API gives 8 at most.
const MOST_CANDIDATES: usize = 16;

/// For one stream.
pub(super) fn machine(back: &Back) -> Box<dyn Machine> {
    Box::new(Generate {
        secrets: back.secrets.clone(),
        json_tool: back.asked.json_tool,
        candidates: Vec::new(),
        blocked: None,
    })
}

struct Generate {
    secrets: Secrets,
    json_tool: bool,
    candidates: Vec<State>,
    /// Why the prompt was not answered.
    blocked: Option<Value>,
}

/// What is known of a candidate.
#[derive(Default)]
struct State {
    seen: bool,
    reason: Option<String>,
    numbers: Numbers,
    /// What goes under the provider's name; each event may bring it anew, so it is sent once, at the end.
    own: Map<String, Value>,
}

impl Machine for Generate {
    fn event(&mut self, event: &Event<'_>, out: &mut Chunks) -> Result<Flow, Failure> {
        let answer = read(event.data, &self.secrets)?;
        out.name(answer.id.as_deref(), answer.model.as_deref());
        if let Some(tokens) = answer.usage {
            out.usage(tokens.usage());
        }
        for candidate in answer.candidates.unwrap_or_default() {
            self.candidate(candidate, answer.id.as_deref(), out);
        }
        if let Some(feedback) = blocked(answer.feedback) {
            self.blocked = Some(feedback);
        }
        Ok(Flow::More)
    }

    fn end(&mut self, out: &mut Chunks) -> Result<(), Failure> {
        let mut seen = self.candidates.iter().filter(|state| state.seen).peekable();
        let is_whole = match seen.peek() {
            Some(_) => seen.all(|state| state.reason.is_some()),
            None => self.blocked.is_some(),
        };
        if !is_whole {
            return Err(Broken::Truncated.into());
        }
        if let Some(feedback) = self.blocked.take() {
            if self.candidates.is_empty() {
                self.candidates.push(State { seen: true, ..State::default() });
                out.own(0, PROVIDER, &json!({"promptFeedback": feedback}));
                out.finish(0, Finish::ContentFilter);
            } else if let Some(state) = self.candidates.first_mut() {
                state.own.insert("promptFeedback".into(), feedback);
            }
        }
        for (at, state) in self.candidates.drain(..).enumerate().filter(|(_, state)| state.seen) {
            if !state.own.is_empty() {
                out.own(at as u32, PROVIDER, &state.own.into());
            }
            out.finish(at as u32, finish(&state.reason.unwrap_or_default(), state.numbers.has_calls()));
        }
        Ok(())
    }
}

impl Generate {
    fn candidate(&mut self, candidate: Candidate<'_>, id: Option<&str>, out: &mut Chunks) {
        let at = (candidate.index.unwrap_or_default() as usize).min(MOST_CANDIDATES - 1);
        if self.candidates.len() <= at {
            self.candidates.resize_with(at + 1, State::default);
        }
        let Some(state) = self.candidates.get_mut(at) else { return };
        let choice = at as u32;
        let reading = Reading { choice: at, id, json_tool: self.json_tool };
        state.seen = true;
        candidate.own_into(&mut state.own);
        if let Some(reason) = candidate.reason.as_ref().and_then(Reason::name) {
            state.reason = Some(reason.to_owned());
        }
        for part in candidate.content.unwrap_or_default().parts {
            let (piece, detail) = state.numbers.part(part, reading);
            match piece {
                Some(Piece::Text(text)) => out.text(choice, &text),
                Some(Piece::Thought(text)) => out.reasoning(choice, &text),
                Some(Piece::Call { id, name, arguments }) => {
                    let mut call = out.call(choice, id.as_deref(), &name);
                    out.arguments(&mut call, &arguments);
                    out.call_end(call);
                }
                Some(Piece::Own(part)) => out.own(choice, PROVIDER, &part),
                None => {}
            }
            if let Some(detail) = detail {
                out.reasoning_detail(choice, &detail);
            }
        }
        let citations = state.numbers.citations(candidate.citations.map(|all| all.citations).unwrap_or_default());
        if !citations.is_empty() {
            out.own(choice, PROVIDER, &json!({ CITATIONS: citations }));
        }
        if let Some(logprobs) = candidate.logprobs.and_then(|logprobs| logprobs.written()) {
            out.logprobs(choice, &logprobs);
        }
    }
}

#[cfg(test)]
#[path = "stream_tests.rs"]
mod tests;
