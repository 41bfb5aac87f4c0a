//! Documents → compiled types. Checking and compiling are one pass: a rule stands where its value is made, and whatever breaks a rule
//! yields a [`Problem`] at its place and no value.

mod ai_gateway;
mod authentication;
mod base_url;
mod catalog;
mod credential;
mod endpoint;
mod entity;
mod gateway;
mod not_yet;
mod openai;
mod provider;
mod traffic;

use std::{collections::BTreeMap, sync::Arc};

pub(crate) use catalog::models;
pub(crate) use endpoint::compile as compile_endpoint;
pub use endpoint::endpoint;
pub use entity::name as entity_name;
pub(crate) use gateway::{Gateway, gateway};

use crate::{
    dependencies::Dependencies,
    diagnostic::{Pointer, Problem},
    secret::Resolver,
    snapshot::{Model, ModelId},
};

/// Where a document came from; the rules on secrets differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Door {
    /// A file: all reference forms; a missing secret and a plaintext one are warnings.
    File,
    /// The REST API: `{{secrets/scope/key}}` only, and it must exist.
    Rest,
}

/// What an endpoint is judged against.
pub struct Context<'a> {
    /// The catalogue; `None` when it is broken itself, so that look-ups are skipped.
    pub models: Option<&'a BTreeMap<ModelId, Arc<Model>>>,
    /// `upstreams.allow_private`
    pub allow_private: bool,
    /// Where the document came from.
    pub door: Door,
    /// Where secrets are looked up.
    pub secrets: Resolver<'a>,
}

/// Gathers problems and dependencies on the way.
#[derive(Default)]
pub(crate) struct Findings {
    pub problems: Vec<Problem>,
    pub dependencies: Dependencies,
}

impl Findings {
    fn error(&mut self, at: &Pointer, message: impl Into<String>) {
        self.problems.push(Problem::error(at.clone(), message));
    }

    fn error_on_key(&mut self, at: &Pointer, message: impl Into<String>) {
        self.problems.push(Problem::error(at.clone(), message).on_key());
    }

    fn warning(&mut self, at: &Pointer, message: impl Into<String>) {
        self.problems.push(Problem::warning(at.clone(), message));
    }

    fn warning_on_key(&mut self, at: &Pointer, message: impl Into<String>) {
        self.problems.push(Problem::warning(at.clone(), message).on_key());
    }

    /// A text that must be there and not be empty.
    fn required<'t>(&mut self, at: &Pointer, key: &str, text: Option<&'t String>, why: &str) -> Option<&'t str> {
        match text {
            Some(text) if !text.trim().is_empty() => Some(text),
            Some(_) => {
                self.error(&at.key(key), format!("`{key}` is empty; {why}"));
                None
            }
            None => {
                self.error(at, format!("`{key}` is missing; {why}"));
                None
            }
        }
    }

    /// Exactly one of several alternatives; reports and gives `None` otherwise.
    fn exactly_one<'k, T>(&mut self, at: &Pointer, alternatives: Vec<(&'k str, Option<T>)>) -> Option<(&'k str, T)> {
        let names: Vec<&str> = alternatives.iter().map(|(name, _)| *name).collect();
        let mut given: Vec<(&str, T)> =
            alternatives.into_iter().filter_map(|(name, value)| Some((name, value?))).collect();
        match given.len() {
            1 => given.pop(),
            0 => {
                self.error(at, format!("exactly one of {} is needed", names.join(", ")));
                None
            }
            _ => {
                for (name, _) in &given[1..] {
                    self.error_on_key(&at.key(name), format!("`{name}` and `{}` are both given; keep one", given[0].0));
                }
                None
            }
        }
    }
}
