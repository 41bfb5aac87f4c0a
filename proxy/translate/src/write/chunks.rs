//! Streams of chat and completions, chunk by chunk.

use std::mem;

use bytes::Bytes;
use serde::Serialize;
use serde_json::Value;

use super::{Finish, Reasoning, call_id, json};
use crate::{Fill, Task, Usage};

/// Most answers of one stream (`n` is at most 5); a provider that numbers higher gets its last ones put together.
const MOST_CHOICES: u32 = 16;

/// Writes the chunks of one stream: one id throughout, the role first and once, tool calls numbered here, the end
/// once per choice, usage once and last if it was asked for.
pub struct Chunks {
    task: Task,
    fill: Fill,
    include_usage: bool,
    /// What every chunk begins with; empty until the first one.
    head: Vec<u8>,
    out: Vec<u8>,
    choices: Vec<State>,
    usage: Option<Usage>,
    chars: u64,
}

#[derive(Clone, Default)]
struct State {
    begun: bool,
    has_text: bool,
    calls: usize,
    finished: bool,
}

/// A tool call that is being streamed. Whoever starts one ends it with [`Chunks::call_end`].
#[derive(Debug)]
pub struct OpenCall {
    choice: u32,
    index: usize,
    has_arguments: bool,
}

impl Chunks {
    pub(crate) fn new(task: Task, include_usage: bool, fill: Fill) -> Self {
        Self {
            task,
            fill,
            include_usage,
            head: Vec::new(),
            out: Vec::new(),
            choices: Vec::new(),
            usage: None,
            chars: 0,
        }
    }

    /// Takes the provider's id and model, if they come before the first chunk.
    pub fn name(&mut self, id: Option<&str>, model: Option<&str>) {
        if !self.head.is_empty() {
            return;
        }
        if let Some(id) = id.filter(|id| !id.is_empty()) {
            self.fill.id = id.to_owned();
        }
        if let Some(model) = model.filter(|model| !model.is_empty()) {
            self.fill.model = model.to_owned();
        }
    }

    /// Text of the answer.
    pub fn text(&mut self, choice: u32, text: &str) {
        if text.is_empty() {
            return;
        }
        self.count(text);
        self.state(choice).has_text = true;
        if self.task == Task::Chat {
            self.delta(choice, "content", text);
        } else {
            self.completion(choice, text, None);
        }
    }

    /// Text of the reasoning before the answer.
    pub fn reasoning(&mut self, choice: u32, text: &str) {
        if !text.is_empty() {
            self.count(text);
            self.delta(choice, "reasoning_content", text);
        }
    }

    /// A piece of reasoning, or a part of one, as the provider wants it back.
    pub fn reasoning_detail(&mut self, choice: u32, detail: &Reasoning<'_>) {
        self.delta(choice, "reasoning_details", &[detail]);
    }

    /// A tool call begins. `id`: `None` if the provider has no ids.
    pub fn call(&mut self, choice: u32, id: Option<&str>, name: &str) -> OpenCall {
        let state = self.state(choice);
        let index = state.calls;
        state.calls += 1;
        self.count(name);
        let made;
        let id = match id.filter(|id| !id.is_empty()) {
            Some(id) => id,
            None => {
                made = call_id(&self.fill, choice, index);
                &made
            }
        };
        let function = Function { name: Some(name), arguments: "" };
        self.delta(choice, "tool_calls", &[Call { index, id: Some(id), kind: Some("function"), function }]);
        OpenCall { choice, index, has_arguments: false }
    }

    /// More of a call's arguments.
    pub fn arguments(&mut self, call: &mut OpenCall, text: &str) {
        if text.is_empty() {
            return;
        }
        call.has_arguments = true;
        self.count(text);
        let function = Function { name: None, arguments: text };
        self.delta(call.choice, "tool_calls", &[Call { index: call.index, id: None, kind: None, function }]);
    }

    /// A tool call ends; without arguments it gets `{}`.
    pub fn call_end(&mut self, mut call: OpenCall) {
        if !call.has_arguments {
            self.arguments(&mut call, "{}");
        }
    }

    /// Probabilities of the tokens just sent, in OpenAI's form.
    pub fn logprobs(&mut self, choice: u32, logprobs: &impl Serialize) {
        self.chunk(choice, |out, _| {
            out.extend_from_slice(br#""delta":{},"logprobs":"#);
            json(out, logprobs);
            out.extend_from_slice(br#","finish_reason":null"#);
        });
    }

    /// What OpenAI has no member for, under the provider's name. Lists in it are of objects that have an `index`, by
    /// which clients put them together.
    pub fn own(&mut self, choice: u32, provider: &str, value: &Value) {
        self.delta(choice, provider, value);
    }

    /// A choice has ended; only the first end counts.
    pub fn finish(&mut self, choice: u32, finish: Finish) {
        let state = self.state(choice);
        if mem::replace(&mut state.finished, true) {
            return;
        }
        // A message has text, be it empty, or calls.
        let is_empty = !state.has_text && state.calls == 0;
        if self.task != Task::Chat {
            return self.completion(choice, "", Some(finish));
        }
        self.chunk(choice, |out, first| {
            let delta: &[u8] = match (first, is_empty) {
                (true, _) => br#""delta":{"role":"assistant","content":""}"#,
                (false, true) => br#""delta":{"content":""}"#,
                (false, false) => br#""delta":{}"#,
            };
            out.extend_from_slice(delta);
            out.extend_from_slice(br#","finish_reason":"#);
            json(out, &finish);
        });
    }

    /// The tokens so far: all of them, not only those since the last time.
    pub fn usage(&mut self, usage: Usage) {
        self.usage = Some(usage);
    }

    /// Whether the choice has called tools.
    pub fn has_calls(&self, choice: u32) -> bool {
        self.choices.get(choice as usize).is_some_and(|state| state.calls > 0)
    }

    /// Characters of the answer so far.
    pub(crate) fn chars(&self) -> u64 {
        self.chars
    }

    /// The last usage.
    pub(crate) fn last_usage(&self) -> Option<Usage> {
        self.usage
    }

    /// The stream has ended well.
    pub(crate) fn end(&mut self) {
        for choice in 0..self.choices.len().max(1) as u32 {
            let finish = if self.has_calls(choice) { Finish::ToolCalls } else { Finish::Stop };
            self.finish(choice, finish);
        }
        if let Some(usage) = self.usage.filter(|_| self.include_usage) {
            self.begin();
            self.out.extend_from_slice(br#"],"usage":"#);
            json(&mut self.out, &usage);
            self.out.extend_from_slice(b"}\n\n");
        }
        self.out.extend_from_slice(b"data: [DONE]\n\n");
    }

    /// What is to be sent, which is then gone from here.
    pub(crate) fn take(&mut self) -> Bytes {
        mem::take(&mut self.out).into()
    }

    fn count(&mut self, text: &str) {
        self.chars = self.chars.saturating_add(text.chars().count() as u64);
    }

    fn state(&mut self, choice: u32) -> &mut State {
        let at = choice.min(MOST_CHOICES - 1) as usize;
        if self.choices.len() <= at {
            self.choices.resize(at + 1, State::default());
        }
        &mut self.choices[at]
    }

    /// A chunk with one new member of the message.
    fn delta(&mut self, choice: u32, key: &str, value: &(impl Serialize + ?Sized)) {
        if self.task != Task::Chat {
            return;
        }
        self.chunk(choice, |out, first| {
            out.extend_from_slice(br#""delta":{"#);
            if first {
                out.extend_from_slice(br#""role":"assistant","#);
                if key != "content" {
                    out.extend_from_slice(br#""content":null,"#);
                }
            }
            json(out, key);
            out.push(b':');
            json(out, value);
            out.extend_from_slice(br#"},"finish_reason":null"#);
        });
    }

    /// A chunk of a chat; `write` is told whether it is the choice's first.
    fn chunk(&mut self, choice: u32, write: impl FnOnce(&mut Vec<u8>, bool)) {
        let choice = choice.min(MOST_CHOICES - 1);
        let first = !mem::replace(&mut self.state(choice).begun, true);
        self.begin();
        self.out.extend_from_slice(br#"{"index":"#);
        json(&mut self.out, &choice);
        self.out.push(b',');
        write(&mut self.out, first);
        self.out.extend_from_slice(b"}]}\n\n");
    }

    /// A chunk of a completion.
    fn completion(&mut self, choice: u32, text: &str, finish: Option<Finish>) {
        #[derive(Serialize)]
        struct Piece<'p> {
            index: u32,
            text: &'p str,
            logprobs: (),
            finish_reason: Option<Finish>,
        }
        self.begin();
        let piece = Piece { index: choice.min(MOST_CHOICES - 1), text, logprobs: (), finish_reason: finish };
        json(&mut self.out, &piece);
        self.out.extend_from_slice(b"]}\n\n");
    }

    /// What every chunk begins with.
    fn begin(&mut self) {
        #[derive(Serialize)]
        struct Head<'h> {
            id: &'h str,
            object: &'static str,
            created: u64,
            model: &'h str,
        }
        if self.head.is_empty() {
            let Fill { id, created, model } = &self.fill;
            self.head.extend_from_slice(b"data: ");
            json(&mut self.head, &Head { id, object: self.task.chunk_object(), created: *created, model });
            self.head.pop();
            self.head.extend_from_slice(br#","choices":["#);
        }
        self.out.extend_from_slice(&self.head);
    }
}

#[derive(Serialize)]
struct Call<'c> {
    index: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<&'c str>,
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    kind: Option<&'static str>,
    function: Function<'c>,
}

#[derive(Serialize)]
struct Function<'c> {
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<&'c str>,
    arguments: &'c str,
}
