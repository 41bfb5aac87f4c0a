//! Served entities (contract §§3.1, 4.2, 7.2).

use std::{collections::BTreeMap, sync::Arc};

use super::{Context, Findings, credential::look_up, provider::external_model};
use crate::{
    diagnostic::Pointer,
    document::{ConfigSpec, MAX_ENTITIES, MAX_VARIABLES, ServedEntitySpec},
    secret::Reference,
    snapshot::{Model, ModelId, Serving, Target, Throughput},
    structure::closest,
};

/// The list that a config gives, in the new form, with the place of each entry.
pub(super) fn listed(config: &ConfigSpec, at: &Pointer, out: &mut Findings) -> Vec<(Pointer, ServedEntitySpec)> {
    let place = |key: &str, index: usize| at.key(key).index(index);
    // Of a longer list, which the schema refuses, no more is looked at.
    match (&config.served_entities, &config.served_models) {
        (Some(_), Some(_)) => {
            let message = "`served_entities` and `served_models` are both given; keep `served_entities`";
            out.error_on_key(&at.key("served_models"), message);
            Vec::new()
        }
        (Some(entities), None) => entities
            .iter()
            .take(MAX_ENTITIES)
            .enumerate()
            .map(|(i, entity)| (place("served_entities", i), entity.clone()))
            .collect(),
        (None, Some(models)) => models
            .iter()
            .take(MAX_ENTITIES)
            .enumerate()
            .map(|(i, model)| (place("served_models", i), model.clone().into()))
            .collect(),
        (None, None) => {
            out.error(at, "`served_entities` is missing; list 1 to 15 models, or leave out `config` for an endpoint that cannot be queried yet");
            Vec::new()
        }
    }
}

/// An entity's own name, or the one that contract §3.1 derives; `None` when nothing names its model.
pub fn name(spec: &ServedEntitySpec) -> Option<String> {
    if let Some(name) = &spec.name {
        return Some(name.clone());
    }
    let derived = match &spec.external_model {
        Some(external) => external.name.clone(),
        None => {
            let model = spec.entity_name.as_ref()?;
            let last = model.rsplit('.').next().unwrap_or(model);
            format!("{last}-{}", spec.entity_version.as_ref()?.0)
        }
    };
    let allowed = |c: char| if c.is_ascii_alphanumeric() || c == '_' { c } else { '-' };
    Some(derived.chars().map(allowed).take(63).collect())
}

/// What one entity is, and the bounds on its token rate.
pub(super) struct Compiled {
    pub target: Target,
    pub throughput: Option<Throughput>,
}

pub(super) fn compile(spec: &ServedEntitySpec, at: &Pointer, cx: &Context<'_>, out: &mut Findings) -> Option<Compiled> {
    let Some(external) = &spec.external_model else {
        return local(spec, at, cx, out);
    };
    let excluded = [
        ("entity_name", spec.entity_name.is_some()),
        ("entity_version", spec.entity_version.is_some()),
        ("workload_size", spec.workload_size.is_some()),
        ("workload_type", spec.workload_type.is_some()),
        ("scale_to_zero_enabled", spec.scale_to_zero_enabled.is_some()),
    ];
    for (key, _) in excluded.iter().filter(|(_, given)| *given) {
        out.error_on_key(&at.key(key), format!("`{key}` and `external_model` exclude each other; keep one"));
    }
    let useless = [
        ("min_provisioned_concurrency", spec.min_provisioned_concurrency.is_some()),
        ("max_provisioned_concurrency", spec.max_provisioned_concurrency.is_some()),
        ("min_provisioned_throughput", spec.min_provisioned_throughput.is_some()),
        ("max_provisioned_throughput", spec.max_provisioned_throughput.is_some()),
        ("provisioned_model_units", spec.provisioned_model_units.is_some()),
        ("burst_scaling_enabled", spec.burst_scaling_enabled.is_some()),
        ("environment_vars", !spec.environment_vars.is_empty()),
        ("instance_profile_arn", spec.instance_profile_arn.is_some()),
    ];
    for (key, _) in useless.iter().filter(|(_, given)| *given) {
        out.warning_on_key(&at.key(key), format!("`{key}` has no effect on an external model; remove it"));
    }
    let target = external_model(external, &at.key("external_model"), cx, out)?;
    Some(Compiled { target: Target::External(Box::new(target)), throughput: None })
}

fn local(spec: &ServedEntitySpec, at: &Pointer, cx: &Context<'_>, out: &mut Findings) -> Option<Compiled> {
    environment(spec, at, cx, out);
    concurrency(spec, at, out);
    // Required in the old form by its schema, so the new form's names are right here.
    let why = "an entity needs `external_model`, or `entity_name` and `entity_version` of a model in catalog.yaml";
    let name = out.required(at, "entity_name", spec.entity_name.as_ref(), why);
    let version = out.required(at, "entity_version", spec.entity_version.as_ref().map(|v| &v.0), why);
    let id = ModelId { name: name?.into(), version: version?.into() };
    let models = cx.models?;
    let Some(model) = models.get(&id) else {
        out.error(at, not_in_catalog(&id, models));
        return None;
    };
    let throughput = throughput(spec, model, at, out);
    Some(Compiled { target: Target::Local(Arc::clone(model)), throughput })
}

fn not_in_catalog(id: &ModelId, models: &BTreeMap<ModelId, Arc<Model>>) -> String {
    let versions: Vec<&str> =
        models.keys().filter(|known| known.name == id.name).map(|known| &*known.version).collect();
    if !versions.is_empty() {
        return format!("catalog.yaml has `{}` in version {} only, not {}", id.name, versions.join(", "), id.version);
    }
    let names: Vec<&str> = models.keys().map(|known| &*known.name).collect();
    match closest(&id.name, &names) {
        Some(name) => format!("catalog.yaml has no model `{}`; did you mean `{name}`?", id.name),
        None => format!("catalog.yaml has no model `{}`; add it there", id.name),
    }
}

fn environment(spec: &ServedEntitySpec, at: &Pointer, cx: &Context<'_>, out: &mut Findings) {
    // More are refused by the schema, and each may be a query of the store.
    for (name, value) in spec.environment_vars.iter().take(MAX_VARIABLES) {
        let at = at.key("environment_vars").key(name);
        if Reference::parse(&value.0).is_some() {
            look_up(&value.0, &at, cx, out);
        } else if value.0.trim_start().starts_with("{{") {
            out.error(&at, "not a secret reference; expected {{secrets/scope/key}}, or a value without braces");
        }
    }
}

fn concurrency(spec: &ServedEntitySpec, at: &Pointer, out: &mut Findings) {
    let (min, max) = (spec.min_provisioned_concurrency, spec.max_provisioned_concurrency);
    if spec.workload_size.is_some() && (min.is_some() || max.is_some()) {
        out.error_on_key(
            &at.key("workload_size"),
            "`workload_size` and provisioned concurrency exclude each other; keep one",
        );
    }
    if min.zip(max).is_some_and(|(min, max)| min > max) {
        out.error(
            &at.key("min_provisioned_concurrency"),
            "`min_provisioned_concurrency` is above `max_provisioned_concurrency`",
        );
    }
}

/// Contract §7.2. Without bounds the entity is pay-per-token (product.md §5).
fn throughput(spec: &ServedEntitySpec, model: &Model, at: &Pointer, out: &mut Findings) -> Option<Throughput> {
    let (low, high) = ("min_provisioned_throughput", "max_provisioned_throughput");
    let place = at.key(if spec.max_provisioned_throughput.is_some() { high } else { low });
    let units = spec.provisioned_model_units.is_some();
    if spec.min_provisioned_throughput.is_none() && spec.max_provisioned_throughput.is_none() {
        if units && matches!(model.serving, Serving::Server { .. }) {
            out.error(
                &at.key("provisioned_model_units"),
                "a custom model has no provisioned model units; remove the key",
            );
        }
        return None;
    }
    if matches!(model.serving, Serving::Server { .. }) {
        out.error_on_key(
            &place,
            format!("{} is a custom model and has no provisioned throughput; remove `{low}` and `{high}`", model.id),
        );
        return None;
    }
    if units {
        out.error_on_key(
            &at.key("provisioned_model_units"),
            "provisioned model units and provisioned throughput exclude each other; keep one",
        );
    }
    let (Some(min), Some(max)) = (spec.min_provisioned_throughput, spec.max_provisioned_throughput) else {
        out.error(at, format!("`{low}` and `{high}` belong together; give both, or none for pay-per-token"));
        return None;
    };
    let Some(chunk) = model.throughput_chunk_size else {
        out.error_on_key(
            &place,
            format!(
                "{} has no `throughput_chunk_size` in catalog.yaml, so it cannot be provisioned; set it there",
                model.id
            ),
        );
        return None;
    };
    for (key, value) in [(low, min), (high, max)] {
        if value % chunk != 0 {
            out.error(&at.key(key), format!("{value} is no multiple of the model's throughput_chunk_size {chunk}"));
        }
    }
    if max == 0 {
        out.error(&at.key(high), format!("`{high}` must be above 0"));
    }
    if min > max {
        out.error(&at.key(low), format!("`{low}` {min} is above `{high}` {max}"));
    }
    Some(Throughput { min, max })
}
