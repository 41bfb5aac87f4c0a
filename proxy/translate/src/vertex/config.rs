//! `generationConfig` of `generateContent`, which is `parameters` of `predict`.

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde::Serialize;
use serde::ser::Serializer;
use serde_json::value::RawValue;

use crate::pair::Cx;
use crate::params::wrong;
use crate::peek::PeekError;
use crate::wire::{Raw, Rest, Text};
use crate::{chat, completions};

/// Members of `generationConfig` that OpenAI has no word for: a client may put them beside OpenAI's parameters.
pub(super) const MEMBERS: [&str; 10] = [
    "audioTimestamp",
    "enableAffectiveDialog",
    "imageConfig",
    "mediaResolution",
    "modelSelectionConfig",
    "responseModalities",
    "routingConfig",
    "speechConfig",
    "thinkingConfig",
    "topK",
];

/// `generationConfig`: of each member the first that is set holds.
#[derive(Default)]
pub(super) struct Config<'r>(Vec<(Cow<'r, str>, Setting<'r>)>);

#[derive(Serialize)]
#[serde(untagged)]
pub(super) enum Setting<'r> {
    Raw(Cow<'r, RawValue>),
    Number(u64),
    Bool(bool),
    Word(&'static str),
    Texts(&'r [Text<'r>]),
    Words(Vec<String>),
    Thinking(Thinking),
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Thinking {
    pub include_thoughts: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub thinking_level: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub thinking_budget: Option<u64>,
}

/// What both kinds of request have, by the same names.
macro_rules! sampling {
    ($asked:ident, $max_tokens:expr) => {{
        let mut config = Self::default();
        config.set("maxOutputTokens", $max_tokens.map(Setting::Number));
        config.set_raw("temperature", $asked.temperature);
        config.set_raw("topP", $asked.top_p);
        config.set_raw("topK", $asked.top_k);
        config.set_raw("seed", $asked.seed);
        config.set_raw("presencePenalty", $asked.presence_penalty);
        config.set_raw("frequencyPenalty", $asked.frequency_penalty);
        let stop = &*$asked.stop.0;
        config.set("stopSequences", (!stop.is_empty()).then_some(Setting::Texts(stop)));
        config.set("candidateCount", $asked.n.filter(|n| *n > 1).map(Setting::Number));
        config
    }};
}

impl<'r> Config<'r> {
    /// What a chat request says in OpenAI's words.
    pub fn of_chat(asked: &'r chat::Request<'_>, cx: &Cx<'_>) -> Self {
        sampling!(asked, asked.max_tokens().or(cx.default_max_tokens))
    }

    /// What a completion request says in OpenAI's words.
    pub fn of_completion(asked: &'r completions::Request<'_>, cx: &Cx<'_>) -> Self {
        sampling!(asked, asked.max_tokens.or(cx.default_max_tokens))
    }

    /// Sets a member, unless it is set.
    pub fn set(&mut self, name: impl Into<Cow<'r, str>>, setting: Option<Setting<'r>>) {
        let name = name.into();
        if let Some(setting) = setting.filter(|_| !self.0.iter().any(|(known, _)| *known == name)) {
            self.0.push((name, setting));
        }
    }

    /// The same with JSON as it came.
    pub fn set_raw(&mut self, name: impl Into<Cow<'r, str>>, raw: Option<Raw<'r>>) {
        self.set(name, raw.map(|raw| Setting::Raw(Cow::Borrowed(raw))));
    }

    /// Whether nothing is set.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// What the client says in the API's own words, apart from what was said in OpenAI's already.
    pub fn set_own(&mut self, rest: &'r Rest<'_>) -> Result<(), PeekError> {
        for (key, raw) in rest.iter().filter(|(key, _)| MEMBERS.contains(&&**key)) {
            self.set_raw(&**key, Some(raw));
        }
        if let Some(own) = chat::unknown(rest, "generationConfig") {
            let own: BTreeMap<String, Raw<'r>> =
                serde_json::from_str(own.get()).map_err(|_| wrong("generationConfig", "must be an object"))?;
            own.into_iter().for_each(|(key, raw)| self.set_raw(key, Some(raw)));
        }
        Ok(())
    }
}

impl Serialize for Config<'_> {
    fn serialize<S: Serializer>(&self, json: S) -> Result<S::Ok, S::Error> {
        json.collect_map(self.0.iter().map(|(name, setting)| (name, setting)))
    }
}
