//! One API write: a document compiled against the served state, and the state that it makes.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use super::{Basis, EditError};
use crate::{
    compile::{self, Context, Door, Findings},
    dependencies::Dependencies,
    diagnostic::{Diagnostic, Diagnostics, Pointer, Problem, Severity},
    document::{EndpointSpec, NAME_EXPECTED, is_name},
    inputs::{ENDPOINTS_FOLDER, FILE_COUNT_LIMIT, FILE_LIMIT, content_of, endpoint_paths},
    schema,
    secret::Resolver,
    snapshot::{Endpoint, Snapshot},
    structure::UnknownKeys,
    write::{self, Written},
    yaml,
};

/// What becomes of one endpoint's file.
pub(super) struct Change {
    /// Relative to the config folder.
    file: PathBuf,
    name: Arc<str>,
    /// `None` = removed.
    compiled: Option<Compiled>,
}

struct Compiled {
    text: Arc<str>,
    endpoint: Arc<Endpoint>,
    warnings: Vec<Diagnostic>,
    dependencies: Dependencies,
}

/// The name becomes part of a path.
pub(super) fn check_name(name: &str) -> Result<(), EditError> {
    if is_name(name) { Ok(()) } else { Err(invalid(Pointer::root().key("name"), format!("expected {NAME_EXPECTED}"))) }
}

fn invalid(at: Pointer, message: impl Into<String>) -> EditError {
    EditError::Invalid(vec![Problem::error(at, message)])
}

impl Change {
    /// `None` when this is what is served already.
    pub fn put(
        name: &str,
        spec: EndpointSpec,
        current: &Snapshot,
        resolver: &Resolver<'_>,
    ) -> Result<Option<Self>, EditError> {
        let at_name = Pointer::root().key("name");
        if spec.name != name {
            return Err(invalid(at_name, format!("the name of an endpoint cannot change; it is `{name}`")));
        }
        let present = current.endpoints.get(name);
        if present.is_some_and(|present| *present.document == spec) {
            return Ok(None);
        }
        if present.is_none() && current.endpoints.len() >= FILE_COUNT_LIMIT {
            return Err(invalid(at_name, format!("there are {FILE_COUNT_LIMIT} endpoints already; delete one first")));
        }
        let file = file_of(name, current);
        let compiled = compiled(spec, &file, current, resolver)?;
        Ok(Some(Self { file, name: name.into(), compiled: Some(compiled) }))
    }

    /// `None` when there is no such endpoint.
    pub fn delete(name: &str, current: &Snapshot) -> Option<Self> {
        current.endpoints.contains_key(name).then(|| Self {
            file: file_of(name, current),
            name: name.into(),
            compiled: None,
        })
    }

    /// Puts it on disk, unless the file is not the one that `current` was made of any more.
    pub fn write(&self, folder: &Path, current: &Snapshot) -> Result<(), EditError> {
        let path = folder.join(&self.file);
        let before = current.documents.get(&self.file).map(|text| &**text);
        let written = match (&self.compiled, before) {
            (Some(compiled), _) => write::make_folder(&folder.join(ENDPOINTS_FOLDER))
                .and_then(|()| write::replace(&path, before, &compiled.text)),
            (None, Some(before)) => write::remove(&path, before),
            (None, None) => Ok(Written::Overtaken),
        };
        match written {
            Ok(Written::Done) => Ok(()),
            Ok(Written::Overtaken) => Err(EditError::Stale { file: self.file.clone() }),
            Err(source) => Err(EditError::Io { file: self.file.clone(), source }),
        }
    }

    /// The state after it, without its number and digest.
    pub fn apply(self, current: &Snapshot, basis: &mut Basis) -> Snapshot {
        let mut snapshot = current.clone();
        snapshot.warnings.retain(|warning| warning.file != self.file);
        match self.compiled {
            Some(Compiled { text, endpoint, warnings, dependencies }) => {
                snapshot.warnings.extend(warnings);
                snapshot.warnings.sort();
                snapshot.endpoints.insert(self.name, endpoint);
                basis.contents.insert(self.file.clone(), content_of(&text));
                snapshot.documents.insert(self.file.clone(), text);
                basis.parts.insert(self.file, dependencies);
            }
            None => {
                snapshot.endpoints.remove(&self.name);
                snapshot.documents.remove(&self.file);
                basis.contents.remove(&self.file);
                basis.parts.remove(&self.file);
            }
        }
        snapshot
    }
}

/// An existing file keeps its ending.
fn file_of(name: &str, current: &Snapshot) -> PathBuf {
    let [yaml, yml] = endpoint_paths(name);
    if current.documents.contains_key(&yml) { yml } else { yaml }
}

/// By the rules of a file, for a file it becomes.
fn compiled(
    spec: EndpointSpec,
    file: &Path,
    current: &Snapshot,
    resolver: &Resolver<'_>,
) -> Result<Compiled, EditError> {
    let text = yaml::to_text(&spec).map_err(|error| invalid(Pointer::root(), error.to_string()))?;
    if text.len() as u64 > FILE_LIMIT {
        let message = format!("the document has {} bytes; at most {FILE_LIMIT} are allowed", text.len());
        return Err(invalid(Pointer::root(), message));
    }
    let document = yaml::Document::parse(&text).map_err(|error| invalid(Pointer::root(), error.message))?;
    let (read, mut problems) = schema::ENDPOINT.read::<EndpointSpec>(document.value.clone(), UnknownKeys::Refuse);
    if problems.is_empty() && read.as_ref() != Some(&spec) {
        problems.push(Problem::error(Pointer::root(), "the document does not survive being written to a file"));
    }
    let context = Context {
        models: Some(&current.models),
        allow_private: current.settings.upstreams.allow_private,
        door: Door::File,
        secrets: *resolver,
    };
    let mut findings = Findings::default();
    let endpoint = compile::compile_endpoint(spec, &context, &mut findings);
    problems.extend(findings.problems);
    let is_error = |problem: &Problem| problem.severity == Severity::Error;
    match endpoint {
        Some(endpoint) if !problems.iter().any(is_error) => {
            let place = |problem: &Problem| Diagnostic::of_problem(file, document.position(problem), problem);
            let warnings = Diagnostics::new(problems.iter().map(place).collect()).into_vec();
            Ok(Compiled {
                text: text.into(),
                endpoint: Arc::new(endpoint),
                warnings,
                dependencies: findings.dependencies,
            })
        }
        _ => {
            problems.retain(is_error);
            Err(EditError::Invalid(problems))
        }
    }
}
