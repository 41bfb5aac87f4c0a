//! v1 streams, of chat and of generate: JSON lines → OpenAI chunks.

use serde::Deserialize;
use serde_json::{Value, json};

use super::PROVIDER;
use super::reply::{CITATIONS, End, Metered, citation, failure};
use crate::error::{Broken, Failure};
use crate::mask::Secrets;
use crate::pair::Back;
use crate::split::Event;
use crate::stream::{Flow, Machine};
use crate::wire::{Raw, Text};
use crate::write::Chunks;

/// For one stream.
pub(super) fn machine(back: &Back) -> Box<dyn Machine> {
    Box::new(Lines { secrets: back.secrets.clone(), citations: 0 })
}

struct Lines {
    secrets: Secrets,
    citations: usize,
}

#[derive(Deserialize)]
struct Line<'e> {
    #[serde(borrow)]
    event_type: Option<Text<'e>>,
    is_finished: Option<bool>,
    #[serde(borrow)]
    generation_id: Option<Text<'e>>,
    /// Which of several generations.
    index: Option<u32>,
    #[serde(borrow)]
    text: Option<Text<'e>>,
    citations: Option<Vec<Value>>,
    #[serde(borrow)]
    finish_reason: Option<Text<'e>>,
    #[serde(borrow)]
    err: Option<Text<'e>>,
    /// The whole answer again.
    #[serde(borrow)]
    response: Option<Raw<'e>>,
}

/// What the end tells besides: text has come before.
#[derive(Default, Deserialize)]
struct Whole<'e> {
    #[serde(borrow)]
    generations: Option<Vec<Generation<'e>>>,
    meta: Option<Metered>,
}

#[derive(Deserialize)]
struct Generation<'e> {
    #[serde(borrow)]
    finish_reason: Option<Text<'e>>,
}

impl Machine for Lines {
    fn event(&mut self, event: &Event<'_>, out: &mut Chunks) -> Result<Flow, Failure> {
        let line: Line<'_> = serde_json::from_slice(event.data).map_err(|_| Broken::NotJson)?;
        let choice = line.index.unwrap_or_default();
        match (line.event_type.as_deref(), line.is_finished) {
            (Some("stream-end" | "stream-error"), _) | (_, Some(true)) => {
                self.finish(&line, choice, out)?;
                return Ok(Flow::Done);
            }
            (Some("stream-start"), _) => out.name(line.generation_id.as_deref(), None),
            (Some("citation-generation"), _) => {
                for one in line.citations.unwrap_or_default() {
                    let entry = citation(self.citations, one);
                    self.citations += 1;
                    out.own(choice, PROVIDER, &json!({ CITATIONS: [entry] }));
                }
            }
            // The oldest streams name no events.
            (Some("text-generation") | None, _) if line.text.is_some() => {
                out.text(choice, line.text.as_deref().unwrap_or_default());
            }
            (None, _) => return Err(failure(event.data, "event_type", &self.secrets)),
            // Searches, and what the API may add.
            (Some(_), _) => {}
        }
        Ok(Flow::More)
    }
}

impl Lines {
    fn finish(&self, line: &Line<'_>, choice: u32, out: &mut Chunks) -> Result<(), Failure> {
        if line.event_type.is_none() {
            out.text(choice, line.text.as_deref().unwrap_or_default());
        }
        let whole: Whole<'_> = match line.response {
            Some(response) => serde_json::from_str(response.get()).map_err(|_| Broken::NotJson)?,
            None => Whole::default(),
        };
        if let Some(usage) = whole.meta.and_then(|meta| meta.usage()) {
            out.usage(usage);
        }
        let failed = line.event_type.as_deref() == Some("stream-error");
        let reason = if failed { Some("ERROR") } else { line.finish_reason.as_deref() };
        let finish = End { reason, error: line.err.as_deref(), error_type: None }.finish(false, &self.secrets)?;
        let generations = whole.generations.unwrap_or_default();
        if generations.is_empty() {
            out.finish(choice, finish);
        }
        for (choice, generation) in (0..).zip(&generations) {
            let reason = generation.finish_reason.as_deref();
            out.finish(choice, End { reason, ..End::default() }.finish(false, &self.secrets)?);
        }
        Ok(())
    }
}

#[cfg(test)]
#[path = "lines_tests.rs"]
mod tests;
