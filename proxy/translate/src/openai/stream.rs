//! Streams of providers that speak the client's schema.

use std::ops::Range;

use bytes::Bytes;

use super::fields::{Fields, filled, positive, set};
use crate::error::{Broken, Failure, ProviderError};
use crate::mask::Secrets;
use crate::splice::{self, ObjectEdits};
use crate::split::sse::{Event, Output, Splitter};
use crate::{Fill, Task, Usage, json, text};

const DONE: &[u8] = b"[DONE]";

/// A stream on its way to the client: chunks of any size in, whole events out.
///
/// Events that need no repair keep their bytes, and a chunk in which none does is passed on without a copy. What is
/// repaired (contract §8.6): `id`, `object`, `created` and `model` where missing or empty; `id` and `created` are the
/// same throughout; usage comes once, last, and only if asked for. `[DONE]` comes once and last. A stream that fails
/// ends without it, and [`Stream::outcome`] says why: the caller owes the client the error event of contract §8.5.
pub struct Stream {
    splitter: Splitter,
    repair: Repair,
}

impl Stream {
    /// For one request. `include_usage`: whether the client asked for usage. `secrets` are masked in error texts.
    pub fn new(task: Task, include_usage: bool, fill: Fill, secrets: Secrets) -> Self {
        let repair = Repair {
            task,
            include_usage,
            fill,
            secrets,
            id: None,
            created: None,
            model: None,
            last: Last::Nothing,
            usage: None,
            chars: 0,
            outcome: None,
        };
        Self { splitter: Splitter::default(), repair }
    }

    /// Takes a chunk from upstream and returns what goes to the client: whole events, or nothing yet. After the end
    /// ([`Stream::outcome`]) it returns nothing more.
    pub fn push(&mut self, chunk: &Bytes) -> Bytes {
        let Self { splitter, repair } = self;
        if repair.outcome.is_some() {
            return Bytes::new();
        }
        let mut out = Output::new(chunk);
        if let Err(broken) = splitter.push(chunk, |event| repair.event(&event, &mut out)) {
            repair.fail(broken.into());
        }
        repair.last.outlive(chunk);
        out.finish()
    }

    /// Upstream's bytes have ended. Returns what was held back and is whole after all.
    pub fn finish(&mut self) -> Bytes {
        let nothing = Bytes::new();
        let mut out = Output::new(&nothing);
        let rest = self.splitter.rest();
        // Some servers leave out the empty line at the very end, and some answer with a plain JSON error.
        if let Some(event) = rest.and_then(Event::read).filter(|event| event.data.trim_ascii() == DONE) {
            self.repair.event(&event, &mut out);
        } else if let Some(body) = rest.and_then(|rest| std::str::from_utf8(rest).ok())
            && Fields::read(body).is_some_and(|fields| fields.is_error())
        {
            let error = ProviderError::read(body.as_bytes(), &self.repair.secrets);
            self.repair.fail(Failure::Provider(error));
        }
        self.repair.fail(Broken::Truncated.into());
        out.finish()
    }

    /// How the stream ended; `None` while it has not.
    pub fn outcome(&self) -> Option<Result<(), &Failure>> {
        self.repair.outcome.as_ref().map(|outcome| outcome.as_ref().copied())
    }

    /// Whether some text, reasoning or tool call has come: the commit point, and the time to first token.
    pub fn first_content_seen(&self) -> bool {
        self.repair.chars > 0
    }

    /// The last usage that the provider gave, asked for or not.
    pub fn usage(&self) -> Option<Usage> {
        self.repair.usage
    }

    /// Characters of answer so far, for [`Usage::estimated`] where the provider gives no usage.
    pub fn answer_chars(&self) -> u64 {
        self.repair.chars
    }
}

struct Repair {
    task: Task,
    include_usage: bool,
    fill: Fill,
    secrets: Secrets,
    /// The stream's id, as JSON text.
    id: Option<String>,
    created: Option<u64>,
    /// The model that the provider named first, as JSON text.
    model: Option<String>,
    last: Last,
    usage: Option<Usage>,
    chars: u64,
    outcome: Option<Result<(), Failure>>,
}

/// The usage to send before `[DONE]`.
enum Last {
    Nothing,
    /// A usage event, good as it is: its place in the chunk that is being worked on.
    Here(Range<usize>),
    /// The data of a usage event.
    Data(Vec<u8>),
    /// Only the usage object, taken out of an event with content.
    Object(String),
}

impl Last {
    /// Copies what lies in the chunk, which is about to go.
    fn outlive(&mut self, chunk: &Bytes) {
        if let Self::Here(place) = self {
            let event = chunk.get(place.clone()).and_then(Event::read);
            *self = Self::Data(event.map(|event| event.data.into_owned()).unwrap_or_default());
        }
    }
}

impl Repair {
    fn event(&mut self, event: &Event<'_>, out: &mut Output<'_>) {
        if self.outcome.is_some() {
            return;
        }
        if event.data.trim_ascii() == DONE {
            self.send_usage(out);
            match event.as_is {
                Some(bytes) if *event.data == *DONE => out.add(bytes),
                _ => out.add_event(DONE),
            }
            self.outcome = Some(Ok(()));
            return;
        }
        let Some((data, fields)) =
            std::str::from_utf8(&event.data).ok().and_then(|data| Some((data, Fields::read(data)?)))
        else {
            return self.fail(Broken::NotJson.into());
        };
        if fields.is_error() {
            let error = ProviderError::read(data.as_bytes(), &self.secrets);
            return self.fail(Failure::Provider(error));
        }
        self.chunk(event, data, &fields, out);
    }

    fn chunk(&mut self, event: &Event<'_>, data: &str, fields: &Fields<'_>, out: &mut Output<'_>) {
        let choices = fields.choices.as_ref().map(|choices| choices.value);
        let tally = choices.map(text::tally).unwrap_or_default();
        self.chars = self.chars.saturating_add(tally.chars);

        let mut edits = self.repairs(data, fields);
        let mut usage_only = false;
        if let Some(usage) = fields.usage.as_ref().filter(|usage| usage.value != "null") {
            let read = Usage::from_openai(usage.value);
            self.usage = read.or(self.usage);
            usage_only = read.is_some() && tally.objects == 0;
            if !usage_only {
                edits.remove(usage.member.clone());
                if self.include_usage && read.is_some() {
                    self.last = Last::Object(usage.value.to_owned());
                }
            }
        }
        if usage_only && !self.include_usage {
            return;
        }
        let edited = if edits.is_empty() { None } else { Some(splice::apply(data, edits.into_edits(data))) };
        match (usage_only, event.as_is.filter(|_| edited.is_none())) {
            (false, Some(bytes)) => out.add(bytes),
            (false, None) => out.add_event(edited.as_deref().unwrap_or(data.as_bytes())),
            (true, as_is) => {
                self.last = match as_is.and_then(|bytes| out.place(bytes)) {
                    Some(place) => Last::Here(place),
                    None => Last::Data(edited.unwrap_or_else(|| data.as_bytes().to_vec())),
                }
            }
        }
    }

    /// What contract §8.6 has filled in or made constant in this chunk.
    fn repairs(&mut self, data: &str, fields: &Fields<'_>) -> ObjectEdits<'static> {
        let mut edits = ObjectEdits::new(data.find('{').unwrap_or_default(), fields.count);
        let fill = &self.fill;

        let id = filled(&fields.id);
        let fixed = self.id.get_or_insert_with(|| id.map_or_else(|| json::quote(&fill.id), str::to_owned));
        if id != Some(fixed) {
            set(&mut edits, "id", &fields.id, fixed);
        }
        if filled(&fields.object).is_none() {
            set(&mut edits, "object", &fields.object, &json::quote(self.task.chunk_object()));
        }
        let created = positive(&fields.created);
        let fixed = *self.created.get_or_insert(created.unwrap_or(fill.created));
        if created != Some(fixed) {
            set(&mut edits, "created", &fields.created, &fixed.to_string());
        }
        match (filled(&fields.model), &self.model) {
            (Some(model), None) => self.model = Some(model.to_owned()),
            (Some(_), Some(_)) => {}
            (None, _) => set(&mut edits, "model", &fields.model, &json::quote(&fill.model)),
        }
        edits
    }

    fn send_usage(&mut self, out: &mut Output<'_>) {
        match std::mem::replace(&mut self.last, Last::Nothing) {
            Last::Nothing => {}
            Last::Here(place) => out.add_place(place),
            Last::Data(data) => out.add_event(&data),
            Last::Object(usage) => {
                let id = self.id.as_deref().unwrap_or("\"\"");
                let object = self.task.chunk_object();
                let created = self.created.unwrap_or(self.fill.created);
                let model = self.model.clone().unwrap_or_else(|| json::quote(&self.fill.model));
                out.add_event(
                    format!(
                        r#"{{"id":{id},"object":"{object}","created":{created},"model":{model},"choices":[],"usage":{usage}}}"#
                    )
                    .as_bytes(),
                );
            }
        }
    }

    /// Ends the stream, unless it has ended already.
    fn fail(&mut self, failure: Failure) {
        self.outcome.get_or_insert(Err(failure));
    }
}

#[cfg(test)]
#[path = "stream_tests.rs"]
mod tests;
