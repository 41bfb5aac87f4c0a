//! What becomes of each OpenAI parameter at a provider: mapped, dropped and told so, or refused.

use std::fmt::Write as _;

use crate::pair::How;
use crate::params::wrong;
use crate::peek::PeekError;
use crate::{Pair, Task, chat, completions, embeddings};

/// A provider's column of the table. Every parameter of the task stands in exactly one of the lists; a test sees to
/// that, and [`Pair::request`] acts on it before the pair's own code runs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Params {
    /// Translated by the pair.
    pub mapped: &'static [&'static str],
    /// Harmless: left out, and named in the answer's header `x-weirgate-dropped`.
    pub dropped: &'static [&'static str],
    /// Would change the answer's meaning: refused with 400, unless the value says nothing (`n: 1`).
    pub refused: &'static [&'static str],
}

/// What becomes of one parameter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// Translated.
    Mapped,
    /// Left out, and named in a header.
    Dropped,
    /// A 400.
    Refused,
}

impl Params {
    /// What becomes of a parameter; `None` if it is in no list.
    pub fn fate(&self, param: &str) -> Option<Fate> {
        let lists = [(self.mapped, Fate::Mapped), (self.dropped, Fate::Dropped), (self.refused, Fate::Refused)];
        lists.into_iter().find(|(list, _)| list.contains(&param)).map(|(_, fate)| fate)
    }

    /// The parameters to drop of those given.
    ///
    /// # Errors
    /// [`PeekError::Field`] for the first one that is refused.
    pub(crate) fn check(
        &self,
        given: impl Iterator<Item = &'static str>,
        provider: &str,
    ) -> Result<Vec<&'static str>, PeekError> {
        let mut dropped = Vec::new();
        for param in given {
            match self.fate(param) {
                Some(Fate::Mapped) => {}
                Some(Fate::Dropped) => dropped.push(param),
                Some(Fate::Refused) | None => {
                    return Err(wrong(param, format!("is not supported by the provider ({provider}); leave it out")));
                }
            }
        }
        Ok(dropped)
    }
}

/// The OpenAI parameters of a task, as the types that read them name them.
pub fn params_of(task: Task) -> &'static [&'static str] {
    match task {
        Task::Chat => chat::Request::FIELDS,
        Task::Completions => completions::Request::FIELDS,
        Task::Embeddings => embeddings::Request::FIELDS,
    }
}

/// The table of one task in Markdown, a column for each pair. Parameters that fare alike in all are named before it.
pub fn markdown(task: Task) -> String {
    let pairs: Vec<&Pair> = crate::pairs().filter(|pair| pair.task() == task).collect();
    let in_all = |fate: Fate| {
        let alike = |param: &&&str| pairs.iter().all(|pair| pair.params.fate(param) == Some(fate));
        let named: Vec<String> = params_of(task).iter().filter(alike).map(|param| format!("`{param}`")).collect();
        if named.is_empty() { "none".to_owned() } else { named.join(", ") }
    };
    let mut text = format!(
        "Mapped in all: {}.  \nDropped in all: {}.  \nRefused in all: {}.\n\n| parameter |",
        in_all(Fate::Mapped),
        in_all(Fate::Dropped),
        in_all(Fate::Refused)
    );
    for pair in &pairs {
        let _ = write!(text, " {}<br>{} |", pair.provider, pair.api);
    }
    text.push_str("\n|---|");
    text.push_str(&":-:|".repeat(pairs.len()));
    let mut row = |head: &str, cell: &dyn Fn(&Pair) -> String| {
        let _ = write!(text, "\n| {head} |");
        pairs.iter().for_each(|pair| {
            let _ = write!(text, " {} |", cell(pair));
        });
    };
    for param in params_of(task) {
        let fate = |pair: &Pair| pair.params.fate(param);
        if pairs.windows(2).any(|two| matches!(two, [a, b] if fate(a) != fate(b))) {
            row(&format!("`{param}`"), &|pair| fate(pair).map_or("", Fate::sign).to_owned());
        }
    }
    match task {
        Task::Chat | Task::Completions => {
            let streams = |pair: &Pair| if pair.streaming().is_some() { "✓" } else { "✗" }.to_owned();
            row("*streams*", &streams);
        }
        Task::Embeddings => row("*texts in one request*", &|pair| match pair.how {
            How::Embeddings { batch, .. } => batch.to_string(),
            How::Chat { .. } | How::Completions { .. } => String::new(),
        }),
    }
    text.push('\n');
    text
}

impl Fate {
    /// In the table.
    fn sign(self) -> &'static str {
        match self {
            Self::Mapped => "✓",
            Self::Dropped => "–",
            Self::Refused => "✗",
        }
    }
}

#[cfg(test)]
#[path = "table_tests.rs"]
mod tests;
