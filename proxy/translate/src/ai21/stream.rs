//! Events of AI21's chat completions → OpenAI chat chunks.

use super::answer::{Answer, SaidCall, finish};
use super::failure;
use crate::error::{Broken, Failure};
use crate::mask::Secrets;
use crate::pair::{Back, JSON_TOOL};
use crate::split::Event;
use crate::stream::{Flow, Machine};
use crate::write::{Chunks, OpenCall};

/// Most tool calls of one stream.
const MOST_CALLS: usize = 64;

/// For one stream.
pub(super) fn machine(back: &Back) -> Box<dyn Machine> {
    Box::new(Chat { secrets: back.secrets.clone(), json_tool: back.asked.json_tool, open: Vec::new() })
}

struct Chat {
    secrets: Secrets,
    json_tool: bool,
    /// Tool calls that have begun: of which choice, which of its calls.
    open: Vec<(u32, u64, Open)>,
}

enum Open {
    Call(OpenCall),
    /// The answer as a tool's arguments.
    Json,
}

impl Machine for Chat {
    fn event(&mut self, event: &Event<'_>, out: &mut Chunks) -> Result<Flow, Failure> {
        if event.data.trim_ascii() == b"[DONE]" {
            for (_, _, open) in self.open.drain(..) {
                open.end(out);
            }
            return Ok(Flow::Done);
        }
        let answer: Answer<'_> = serde_json::from_slice(event.data).map_err(|_| Broken::NotJson)?;
        if let Some(usage) = answer.usage() {
            out.usage(usage);
        }
        let Some(choices) = answer.choices else { return Err(failure(event.data, "choices", &self.secrets)) };
        out.name(answer.id.as_deref(), answer.model.as_deref());
        for answered in choices {
            let choice = answered.index.unwrap_or_default().0.try_into().unwrap_or(u32::MAX);
            let said = answered.message.unwrap_or_default();
            out.text(choice, said.content.as_deref().unwrap_or_default());
            for call in said.tool_calls.unwrap_or_default() {
                self.call(choice, &call, out)?;
            }
            if let Some(reason) = answered.finish_reason {
                for (_, _, open) in self.open.extract_if(.., |(of, ..)| *of == choice) {
                    open.end(out);
                }
                out.finish(choice, finish(Some(&reason), out.has_calls(choice)));
            }
        }
        Ok(Flow::More)
    }
}

impl Chat {
    /// The first piece of a call has its name, all may have arguments.
    fn call(&mut self, choice: u32, call: &SaidCall<'_>, out: &mut Chunks) -> Result<(), Failure> {
        let Some(function) = &call.function else { return Ok(()) };
        let index = call.index.unwrap_or_default().0;
        let known = self.open.iter().position(|(of, open, _)| (*of, *open) == (choice, index));
        let at = match (known, function.name.as_deref().filter(|name| !name.is_empty())) {
            (Some(at), _) => at,
            (None, None) => return Ok(()),
            (None, Some(_)) if self.open.len() == MOST_CALLS => return Err(Broken::TooLong.into()),
            (None, Some(name)) => {
                let is_answer = self.json_tool && name == JSON_TOOL;
                let open = if is_answer { Open::Json } else { Open::Call(out.call(choice, call.id.as_deref(), name)) };
                self.open.push((choice, index, open));
                self.open.len() - 1
            }
        };
        let text = function.arguments.as_deref().unwrap_or_default();
        match self.open.get_mut(at) {
            Some((.., Open::Call(call))) => out.arguments(call, text),
            Some((.., Open::Json)) => out.text(choice, text),
            None => {}
        }
        Ok(())
    }
}

impl Open {
    fn end(self, out: &mut Chunks) {
        if let Self::Call(call) = self {
            out.call_end(call);
        }
    }
}
