//! An endpoint document as a whole (contract §§3.1, 4.2, 4.5).

use std::{
    collections::{BTreeMap, HashSet},
    sync::Arc,
};

use super::{Context, Findings, ai_gateway, entity, not_yet, traffic};
use crate::{
    diagnostic::{Pointer, Problem},
    document::{EndpointSpec, PermissionSpec, ServedEntitySpec, TagSpec},
    snapshot::{Endpoint, EndpointKind, Permission, PermissionPrincipal, ServedEntity, Serving, Target, Task},
};

/// Checks and compiles an endpoint. The endpoint is usable only if no problem is an error.
pub fn endpoint(spec: EndpointSpec, cx: &Context<'_>) -> (Option<Endpoint>, Vec<Problem>) {
    let mut out = Findings::default();
    let endpoint = compile(spec, cx, &mut out);
    (endpoint, out.problems)
}

/// The same, with what it depends on.
pub(crate) fn compile(spec: EndpointSpec, cx: &Context<'_>, out: &mut Findings) -> Option<Endpoint> {
    let root = Pointer::root();
    tags(&spec.tags, &root.key("tags"), out);
    let permissions = spec.permissions.as_ref().map(|list| permissions(list, &root.key("permissions"), out));
    let served = served(&spec, &root.key("config"), cx, out);
    let (kind, task) = match &served {
        Some(served) => (served.kind, served.task),
        None if spec.config.is_none() => (EndpointKind::Empty, None),
        None => (asked_kind(&spec), None),
    };
    ai_gateway::legacy_rate_limits(&spec.rate_limits, kind, &root.key("rate_limits"), out);
    if let Some(block) = &spec.ai_gateway {
        ai_gateway::ai_gateway(block, kind, task, &root.key("ai_gateway"), out);
    }
    if kind == EndpointKind::External && spec.telemetry_config.is_some() {
        out.warning_on_key(
            &root.key("telemetry_config"),
            "`telemetry_config` has no effect on external models; remove it",
        );
    }
    not_yet::warn(&spec, out);
    let entities = match served {
        Some(served) => served.entities,
        None if spec.config.is_some() => return None,
        None => Vec::new(),
    };
    Some(Endpoint { name: spec.name.as_str().into(), kind, task, entities, permissions, document: Arc::new(spec) })
}

struct Served {
    kind: EndpointKind,
    task: Option<Task>,
    entities: Vec<Arc<ServedEntity>>,
}

/// The kind as far as a config that does not compile shows it.
fn asked_kind(spec: &EndpointSpec) -> EndpointKind {
    let Some(config) = &spec.config else { return EndpointKind::Empty };
    let sides: Vec<bool> = config.served_entities.iter().flatten().filter_map(is_external).collect();
    match sides.contains(&true) {
        true => EndpointKind::External,
        false if sides.is_empty() && config.served_models.is_none() => EndpointKind::Empty,
        false => EndpointKind::Foundation,
    }
}

/// `None` when an entity names no model at all.
fn is_external(spec: &ServedEntitySpec) -> Option<bool> {
    let external = spec.external_model.is_some();
    (external || spec.entity_name.is_some() || spec.entity_version.is_some()).then_some(external)
}

fn served(spec: &EndpointSpec, at: &Pointer, cx: &Context<'_>, out: &mut Findings) -> Option<Served> {
    let config = spec.config.as_ref()?;
    let list = entity::listed(config, at, out);
    if list.is_empty() {
        return None;
    }
    let names = names(&list, out);
    one_side(&list, out);
    let known: Vec<&str> = names.iter().flatten().map(String::as_str).collect();
    let weights = if known.len() == list.len() { traffic::weights(config, &known, at, out) } else { BTreeMap::new() };

    let mut entities: Vec<(Pointer, Arc<ServedEntity>)> = Vec::new();
    for ((at, spec), name) in list.iter().zip(&names) {
        let compiled = entity::compile(spec, at, cx, out);
        if let Some((compiled, name)) = compiled.zip(name.as_ref()) {
            let weight = weights.get(name).copied().unwrap_or(0);
            let entity = ServedEntity {
                name: name.as_str().into(),
                weight,
                target: compiled.target,
                throughput: compiled.throughput,
            };
            entities.push((at.clone(), Arc::new(entity)));
        }
    }
    one_kind_and_task(&entities, out);
    let first = &entities.first()?.1.target;
    let (kind, task) = (kind_of(first), task_of(first));
    let complete = entities.len() == list.len();
    complete.then(|| Served { kind, task, entities: entities.into_iter().map(|(_, entity)| entity).collect() })
}

/// Rule 4: unique names, also after defaulting.
fn names(list: &[(Pointer, ServedEntitySpec)], out: &mut Findings) -> Vec<Option<String>> {
    let mut names: Vec<Option<String>> = Vec::new();
    for (at, spec) in list {
        let name = entity::name(spec);
        if let Some(name) = name.as_ref().filter(|name| names.iter().flatten().any(|earlier| earlier == *name)) {
            if spec.name.is_some() {
                out.error(
                    &at.key("name"),
                    format!("the name `{name}` is taken by an entity above; names are unique in an endpoint"),
                );
            } else {
                out.error(at, format!("the default name `{name}` is taken by an entity above; give this one a `name`"));
            }
        }
        names.push(name);
    }
    names
}

/// Rule 2, on the documents: it holds whether or not the models compile.
fn one_side(list: &[(Pointer, ServedEntitySpec)], out: &mut Findings) {
    let mut sides = list.iter().filter_map(|(at, spec)| Some((at, is_external(spec)?)));
    let Some((_, first)) = sides.next() else { return };
    for (at, external) in sides.filter(|(_, external)| *external != first) {
        let what = if external { "an external model" } else { "a model of the catalogue" };
        out.error(at, format!("{what} cannot stand beside the other kind; an endpoint holds one kind of model only"));
    }
}

/// Rules 1, 3 and 10: one kind, one task.
fn one_kind_and_task(entities: &[(Pointer, Arc<ServedEntity>)], out: &mut Findings) {
    let Some((_, first)) = entities.first() else { return };
    let (kind, task) = (kind_of(&first.target), task_of(&first.target));
    for (at, entity) in &entities[1..] {
        let (other_kind, other_task) = (kind_of(&entity.target), task_of(&entity.target));
        if (other_kind == EndpointKind::External) != (kind == EndpointKind::External) {
            continue;
        }
        if other_kind != kind {
            out.error(
                at,
                "custom and foundation models cannot share an endpoint; an endpoint holds one kind of model only",
            );
        } else if let (Some(task), Some(other)) = (task, other_task)
            && task != other
        {
            let at = match &entity.target {
                Target::External(_) => at.key("external_model").key("task"),
                Target::Local(_) => at.clone(),
            };
            let message = format!(
                "this model's task is {}, the first one's {}; all models of an endpoint have the same task",
                other.as_str(),
                task.as_str()
            );
            out.error(&at, message);
        }
    }
}

fn kind_of(target: &Target) -> EndpointKind {
    match target {
        Target::External(_) => EndpointKind::External,
        Target::Local(model) => match model.serving {
            Serving::Source(_) | Serving::Engine { .. } => EndpointKind::Foundation,
            Serving::Server { .. } => EndpointKind::Custom,
        },
    }
}

fn task_of(target: &Target) -> Option<Task> {
    match target {
        Target::External(external) => Some(external.task),
        Target::Local(model) => model.task,
    }
}

fn tags(list: &[TagSpec], at: &Pointer, out: &mut Findings) {
    let mut keys = HashSet::new();
    for (index, tag) in list.iter().enumerate() {
        if !keys.insert(&tag.key) {
            out.error(&at.index(index).key("key"), format!("the tag `{}` is there twice; keys are unique", tag.key));
        }
    }
}

fn permissions(list: &[PermissionSpec], at: &Pointer, out: &mut Findings) -> Vec<Permission> {
    let mut grants: Vec<Permission> = Vec::new();
    for (index, spec) in list.iter().enumerate() {
        let at = at.index(index);
        let principals = vec![
            ("user_name", spec.user_name.as_deref()),
            ("group_name", spec.group_name.as_deref()),
            ("service_principal_name", spec.service_principal_name.as_deref()),
        ];
        let Some((key, name)) = out.exactly_one(&at, principals) else { continue };
        let principal = match key {
            "user_name" => PermissionPrincipal::User(name.into()),
            "group_name" => PermissionPrincipal::Group(name.into()),
            _ => PermissionPrincipal::ServicePrincipal(name.into()),
        };
        if grants.iter().any(|earlier| earlier.principal == principal) {
            out.error(&at.key(key), format!("`{name}` has a grant above already; keep the higher level"));
        }
        grants.push(Permission { principal, level: spec.permission_level });
    }
    grants
}
