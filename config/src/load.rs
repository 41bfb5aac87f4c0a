//! A config folder → a [`Snapshot`], or everything that is wrong with it.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::Arc,
};

use serde::de::DeserializeOwned;

use crate::{
    compile::{self, Context, Door, Findings, Gateway},
    dependencies::{Dependencies, merged},
    diagnostic::{Diagnostic, Diagnostics, Pointer, Problem, Severity},
    document::{CatalogSpec, EndpointSpec, GatewaySpec},
    inputs::{CATALOG_FILE, Contents, ENDPOINTS_FOLDER, GATEWAY_FILE, Inputs, digest},
    schema,
    secret::{Resolver, SecretSource},
    snapshot::{Endpoint, Snapshot},
    structure::{LeftOut, Shape, UnknownKeys, salvage},
    yaml::{self, Position},
};

/// Reads, checks and compiles a config folder. Only `weirgate.yaml`, `catalog.yaml` and `endpoints/*.yaml|yml` are read, all optional.
///
/// # Errors
/// Every finding at once, if at least one is an error. The snapshot's own `warnings` hold the others.
pub fn load(folder: &Path, secrets: &dyn SecretSource) -> Result<Snapshot, Diagnostics> {
    let inputs = Inputs::read(folder);
    load_inputs(&inputs, folder, secrets).result
}

/// As [`load`], for documents that were kept elsewhere: a snapshot's own [`Snapshot::documents`]. Paths in them are relative to `folder`.
///
/// # Errors
/// As [`load`].
pub fn load_documents(
    documents: BTreeMap<PathBuf, Arc<str>>,
    folder: &Path,
    secrets: &dyn SecretSource,
) -> Result<Snapshot, Diagnostics> {
    load_inputs(&Inputs::from_texts(documents), folder, secrets).result
}

/// A load with what each document depended on, failed or not, for the keeper.
pub(crate) struct Outcome {
    pub result: Result<Snapshot, Diagnostics>,
    pub parts: BTreeMap<PathBuf, Dependencies>,
    pub contents: Contents,
    pub digest: [u8; 32],
}

pub(crate) fn load_inputs(inputs: &Inputs, folder: &Path, secrets: &dyn SecretSource) -> Outcome {
    let mut report = Report::default();
    for (path, content) in &inputs.documents {
        if let Err(why) = content {
            let file = if path.as_os_str().is_empty() { folder } else { path };
            report.diagnostics.push(Diagnostic::of_file(file, why.as_str()));
        }
    }

    let gateway = report.document::<GatewaySpec>(inputs, Path::new(GATEWAY_FILE), &schema::GATEWAY);
    let compiled = gateway.as_ref().map(|(spec, place)| report.part(place, |out| compile::gateway(spec, folder, out)));
    // Without knowing the setting, refusing private addresses would only hide the real error in a crowd.
    let setting = Pointer::root().key("upstreams").key("allow_private");
    let allow_private =
        gateway.is_none_or(|(spec, place)| spec.upstreams.allow_private || place.left_out.lacks(&setting));

    let catalog = report.document::<CatalogSpec>(inputs, Path::new(CATALOG_FILE), &schema::CATALOG);
    let errors_before = report.errors();
    let models =
        catalog.map(|(spec, place)| report.part(&place, |out| compile::models(&spec, folder, allow_private, out)));
    // Look-ups in a broken catalogue would blame the endpoints.
    let models_sound =
        models.as_ref().filter(|_| report.errors() == errors_before && !report.is_broken(Path::new(CATALOG_FILE)));

    let context =
        Context { models: models_sound, allow_private, door: Door::File, secrets: Resolver { folder, store: secrets } };
    let mut endpoints: BTreeMap<Arc<str>, Arc<Endpoint>> = BTreeMap::new();
    let mut files: BTreeMap<String, PathBuf> = BTreeMap::new();
    for path in inputs.documents.keys().filter(|path| path.parent() == Some(Path::new(ENDPOINTS_FOLDER))) {
        let Some((spec, place)) = report.document::<EndpointSpec>(inputs, path, &schema::ENDPOINT) else { continue };
        let endpoint = report.part(&place, |out| {
            file_name(&spec, path, &mut files, out);
            compile::compile_endpoint(spec, &context, out)
        });
        if let Some(endpoint) = endpoint {
            endpoints.insert(Arc::clone(&endpoint.name), Arc::new(endpoint));
        }
    }

    let contents = inputs.contents();
    let digest = digest(&contents, &merged(&report.parts));
    let result = match (report.errors(), compiled, models) {
        (0, Some(Gateway { settings, tokens, principals, issuers }), Some(models)) => {
            let warnings = Diagnostics::new(report.diagnostics).into_vec();
            Ok(Snapshot {
                generation: 0,
                settings,
                endpoints,
                models,
                tokens,
                principals,
                issuers,
                warnings,
                digest,
                documents: inputs.texts(),
            })
        }
        _ => Err(Diagnostics::new(report.diagnostics)),
    };
    Outcome { result, parts: report.parts, contents, digest }
}

/// A file is called like its endpoint, and no endpoint has two files.
fn file_name(spec: &EndpointSpec, path: &Path, files: &mut BTreeMap<String, PathBuf>, out: &mut Findings) {
    let at = Pointer::root().key("name");
    let stem = path.file_stem().unwrap_or_default().to_string_lossy();
    if stem != spec.name {
        let message =
            format!("the name `{}` and the file name `{stem}` differ; rename one so that they are equal", spec.name);
        out.problems.push(Problem::error(at, message));
    } else if let Some(first) = files.insert(spec.name.clone(), path.to_owned()) {
        let message =
            format!("the endpoint `{}` is in {} already; delete one of the files", spec.name, first.display());
        out.problems.push(Problem::error(at, message));
    }
}

/// A parsed document to find positions in, with its file.
struct Place<'i> {
    file: &'i Path,
    document: yaml::Document,
    /// What is written and was not read: unknown keys, and what the type refuses.
    left_out: LeftOut,
}

#[derive(Default)]
struct Report {
    diagnostics: Vec<Diagnostic>,
    parts: BTreeMap<PathBuf, Dependencies>,
}

impl Report {
    fn errors(&self) -> usize {
        self.diagnostics.iter().filter(|d| d.severity == Severity::Error).count()
    }

    fn is_broken(&self, file: &Path) -> bool {
        self.diagnostics.iter().any(|d| d.file == file && d.severity == Severity::Error)
    }

    /// Reads a document into its type; an absent file reads as empty. `None` when nothing typed can be had from it.
    fn document<'i, T: DeserializeOwned>(
        &mut self,
        inputs: &'i Inputs,
        file: &'i Path,
        shape: &Shape,
    ) -> Option<(T, Place<'i>)> {
        let text = match inputs.documents.get(file) {
            Some(Ok(text)) => text,
            Some(Err(_)) => return None,
            None => "",
        };
        let document = match yaml::Document::parse(text) {
            Ok(document) => document,
            Err(error) => {
                let (line, column) = error.at.map_or((1, 1), |at| (at.line, at.column));
                let severity = Severity::Error;
                self.diagnostics.push(Diagnostic {
                    file: file.to_owned(),
                    line,
                    column,
                    severity,
                    message: error.message,
                });
                return None;
            }
        };
        let mut place = Place { file, document, left_out: LeftOut::default() };
        for (position, problem) in place.document.duplicates.clone() {
            self.add_at(place.file, position, problem);
        }
        let (typed, problems) = shape.read(place.document.value.clone(), UnknownKeys::Refuse);
        place.left_out.add(problems.iter().filter(|problem| problem.on_key).map(|problem| problem.at.clone()));
        self.add(&place, problems);
        let typed = match typed {
            Some(typed) => typed,
            None => {
                let (typed, left_out) = salvage(place.document.value.clone())?;
                place.left_out.add(left_out);
                typed
            }
        };
        Some((typed, place))
    }

    /// Runs a part of the compilation and places its findings.
    fn part<R>(&mut self, place: &Place<'_>, run: impl FnOnce(&mut Findings) -> R) -> R {
        let mut findings = Findings::default();
        let result = run(&mut findings);
        self.parts.insert(place.file.to_owned(), findings.dependencies);
        findings.problems.retain(|problem| !place.left_out.doubts(&place.document.value, &problem.at));
        self.add(place, findings.problems);
        result
    }

    fn add(&mut self, place: &Place<'_>, problems: Vec<Problem>) {
        for problem in problems {
            self.add_at(place.file, place.document.position(&problem), problem);
        }
    }

    fn add_at(&mut self, file: &Path, position: Position, problem: Problem) {
        self.diagnostics.push(Diagnostic::of_problem(file, position, &problem));
    }
}
