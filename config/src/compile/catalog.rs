//! The catalogue of local models and custom servers.

use std::{collections::BTreeMap, path::Path, sync::Arc};

use super::{
    Findings,
    base_url::{Form, upstream_url},
};
use crate::{
    diagnostic::Pointer,
    document::{CatalogSpec, ModelSpec, ServerSpec},
    snapshot::{Model, ModelId, Serving},
};

/// Compiles the catalogue; whether it is whole shows in the findings.
pub(crate) fn models(
    spec: &CatalogSpec,
    folder: &Path,
    allow_private: bool,
    out: &mut Findings,
) -> BTreeMap<ModelId, Arc<Model>> {
    let mut models = BTreeMap::new();
    for (index, spec) in spec.models.iter().enumerate() {
        let at = Pointer::root().key("models").index(index);
        let Some(model) = model(spec, &at, folder, allow_private, out) else { continue };
        if models.contains_key(&model.id) {
            out.error(&at, format!("{} is there twice; name and version together are unique", model.id));
        }
        models.insert(model.id.clone(), Arc::new(model));
    }
    models
}

enum Way<'a> {
    Source(&'a str),
    Server(&'a ServerSpec),
}

fn model(spec: &ModelSpec, at: &Pointer, folder: &Path, allow_private: bool, out: &mut Findings) -> Option<Model> {
    let ways = vec![
        ("source", spec.source.as_deref().map(Way::Source)),
        ("engine", spec.engine.as_ref().map(Way::Server)),
        ("server", spec.server.as_ref().map(Way::Server)),
    ];
    let (way, value) = out.exactly_one(at, ways)?;
    if way != "server" && spec.task.is_none() {
        out.error(at, "`task` is missing; allowed: llm/v1/chat, llm/v1/completions, llm/v1/embeddings");
    }
    if way != "engine" && spec.served_name.is_some() {
        out.error_on_key(&at.key("served_name"), "`served_name` works with `engine` only; remove it");
    }
    for (key, said) in [("server", way == "server"), ("default_system_prompt", spec.default_system_prompt.is_some())] {
        if said {
            out.warning_on_key(&at.key(key), format!("`{key}` is accepted and does not work yet"));
        }
    }
    let serving = match value {
        Way::Source(source) => self::source(source, &at.key("source"), folder, out)?,
        Way::Server(server) => {
            let url = upstream_url(&server.url, Form::Base, &at.key(way).key("url"), allow_private, out)?;
            if way == "engine" { Serving::Engine { url } } else { Serving::Server { url } }
        }
    };
    let text = |value: &Option<String>| value.as_deref().map(Arc::from);
    Some(Model {
        id: ModelId { name: spec.name.as_str().into(), version: spec.version.0.as_str().into() },
        task: spec.task,
        serving,
        served_name: text(&spec.served_name),
        model_type: text(&spec.model_type),
        throughput_chunk_size: spec.throughput_chunk_size,
        default_system_prompt: text(&spec.default_system_prompt),
    })
}

fn source(source: &str, at: &Pointer, folder: &Path, out: &mut Findings) -> Option<Serving> {
    if let Some(name) = source.strip_prefix("hf://") {
        let well_formed = name.split('/').count() == 2 && name.split('/').all(|part| !part.is_empty());
        let message = if well_formed {
            "models are not downloaded from a hub yet; download it and give the path of the file or folder"
        } else {
            "expected hf://owner/name, or the path of a file or folder"
        };
        out.error(at, message);
        return None;
    }
    let path = folder.join(source);
    if !out.dependencies.exists(&path) {
        // No error: the model may still be on its way.
        out.warning(at, format!("there is no file or folder `{source}` (relative to the config folder) yet"));
    }
    Some(Serving::Source(path))
}
