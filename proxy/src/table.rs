//! What requests are served with: a snapshot compiled for the data plane. Immutable; one is loaded per request and
//! used to its end.

use std::collections::HashMap;
use std::sync::Arc;

use rand::Rng;
use weirgate_config::snapshot::{
    Endpoint as EndpointPlan, ServedEntity, Settings, Snapshot, Target, Task, UpstreamDefaults,
};
use weirgate_control::access;
use weirgate_policy::door::Refusal;
use weirgate_policy::identity::Principal;
use weirgate_policy::permission::Grants;
use weirgate_policy::pick::weighted;
use weirgate_policy::reason::Reason;

use crate::engines::Engine;
use crate::metrics::EntityMetrics;
use crate::registry::Registries;
use crate::route::shorten;
use crate::upstream::Upstream;
use crate::upstream::address::Address;

/// Everything that a request looks up.
pub struct Table {
    /// Number of the snapshot.
    pub generation: u64,
    /// Limits and deadlines.
    pub settings: Settings,
    endpoints: HashMap<Arc<str>, Arc<Endpoint>>,
}

/// A serving endpoint.
pub struct Endpoint {
    /// Its name.
    pub name: Arc<str>,
    /// What it speaks.
    pub task: Option<Task>,
    /// Who may use it.
    pub grants: Grants,
    entities: Vec<Arc<Entity>>,
    /// What it was compiled from.
    plan: Arc<EndpointPlan>,
}

/// One model behind an endpoint.
pub struct Entity {
    /// Its name, told in the header `served-model-name`.
    pub name: Arc<str>,
    weight: u32,
    upstream: Result<Upstream, Refusal>,
    /// The process or server behind a catalogue model.
    engine: Option<Arc<Engine>>,
    /// Its series.
    pub metrics: Arc<EntityMetrics>,
}

impl Table {
    /// Compiles a snapshot; what does not change finds its old state in `shared`, and an endpoint whose plan is the same
    /// as before is taken over whole.
    pub fn compile(snapshot: &Snapshot, before: Option<&Table>, shared: &Registries) -> Self {
        let settings = &snapshot.settings;
        let before = before.filter(|table| table.settings.upstreams == settings.upstreams);
        let compile = |plan: &Arc<EndpointPlan>| {
            let same = before.and_then(|table| table.endpoints.get(&plan.name));
            match same.filter(|endpoint| Arc::ptr_eq(&endpoint.plan, plan)) {
                Some(endpoint) => endpoint.clone(),
                None => Arc::new(Endpoint::compile(plan, settings, shared)),
            }
        };
        let endpoints = snapshot.endpoints.values().map(|plan| (plan.name.clone(), compile(plan))).collect();
        Table { generation: snapshot.generation, settings: settings.clone(), endpoints }
    }

    /// The endpoint of a name that a client gave.
    pub fn endpoint(&self, name: &str) -> Result<&Endpoint, Refusal> {
        self.endpoints.get(name).map(|endpoint| &**endpoint).ok_or_else(|| {
            Refusal::new(Reason::EndpointNotFound, format!("there is no endpoint called {}", shorten(name))).at("model")
        })
    }

    /// The endpoints that a principal may query, by name.
    pub fn visible_to(&self, principal: &Principal) -> Vec<&Endpoint> {
        let endpoints = self.endpoints.values().map(|endpoint| &**endpoint);
        let mut visible: Vec<_> = endpoints.filter(|e| e.grants.may_query(principal)).collect();
        visible.sort_by(|a, b| a.name.cmp(&b.name));
        visible
    }

    /// Names of all endpoints with whether each could answer now.
    pub fn readiness(&self) -> Vec<(Arc<str>, bool)> {
        let mut all: Vec<_> = self.endpoints.values().map(|e| (e.name.clone(), e.is_ready())).collect();
        all.sort();
        all
    }

    /// The engines that the endpoints use.
    pub fn engines(&self) -> impl Iterator<Item = &Arc<Engine>> {
        self.entities().filter_map(|entity| entity.engine.as_ref())
    }

    /// The addresses that requests are sent to.
    pub fn addresses(&self) -> impl Iterator<Item = &Arc<Address>> {
        self.entities().filter_map(|entity| entity.upstream.as_ref().ok()).flat_map(Upstream::addresses)
    }

    /// The series that are counted in.
    pub fn series(&self) -> impl Iterator<Item = &Arc<EntityMetrics>> {
        self.entities().map(|entity| &entity.metrics)
    }

    fn entities(&self) -> impl Iterator<Item = &Arc<Entity>> {
        self.endpoints.values().flat_map(|endpoint| &endpoint.entities)
    }
}

impl Endpoint {
    fn compile(plan: &Arc<EndpointPlan>, settings: &Settings, shared: &Registries) -> Self {
        let entity = |served: &Arc<ServedEntity>| {
            Arc::new(Entity {
                name: served.name.clone(),
                weight: served.weight,
                upstream: Upstream::build(&served.target, &settings.upstreams, shared),
                engine: engine(&served.target, &settings.upstreams, shared),
                metrics: shared.metrics.entity(&plan.name, &served.name),
            })
        };
        Endpoint {
            name: plan.name.clone(),
            task: plan.task,
            grants: access::grants(plan),
            entities: plan.entities.iter().map(entity).collect(),
            plan: plan.clone(),
        }
    }

    /// Whether a principal may send requests to it.
    pub fn authorise(&self, principal: &Principal) -> Result<(), Refusal> {
        if self.grants.may_query(principal) {
            return Ok(());
        }
        Err(Refusal::new(
            Reason::PermissionDenied,
            format!("{} may not query endpoint {}; ask its owner for CAN_QUERY", principal.name, self.name),
        ))
    }

    /// The entity that is to answer: the one asked for, else one by weight among those that are ready.
    pub fn choose(&self, asked: Option<&str>) -> Result<&Arc<Entity>, Refusal> {
        if let Some(name) = asked {
            return self.entities.iter().find(|entity| &*entity.name == name).ok_or_else(|| {
                Refusal::new(
                    Reason::ServedEntityNotFound,
                    format!("endpoint {} has no served entity called {}", self.name, shorten(name)),
                )
            });
        }
        if self.entities.is_empty() {
            return Err(Refusal::new(
                Reason::EndpointNotReady,
                format!("endpoint {} has no served entity yet; give it a config", self.name),
            ));
        }
        let candidates = self.entities.iter().map(|entity| (entity.weight, entity.is_ready()));
        weighted(candidates, rand::rng().random())
            .and_then(|index| self.entities.get(index))
            .ok_or_else(|| not_ready(&self.name))
    }

    fn is_ready(&self) -> bool {
        self.entities.iter().any(|entity| entity.weight > 0 && entity.is_ready())
    }
}

impl Entity {
    /// An entity that cannot be called is ready with its refusal: waiting would not heal it.
    fn is_ready(&self) -> bool {
        self.upstream.as_ref().map_or(true, Upstream::is_ready)
    }

    /// What to call, or why it cannot be called.
    pub fn upstream(&self) -> Result<&Upstream, Refusal> {
        let upstream = self.upstream.as_ref().map_err(Refusal::clone)?;
        if upstream.is_ready() { Ok(upstream) } else { Err(not_ready(&self.name)) }
    }
}

/// Watched also where requests cannot be sent yet, as with custom models: operators and the API want to know.
fn engine(target: &Target, settings: &UpstreamDefaults, shared: &Registries) -> Option<Arc<Engine>> {
    match target {
        // The upstream has said why, if there can be none.
        Target::Local(model) => shared.engines.get_or_start(model, settings, shared).ok(),
        Target::External(_) => None,
    }
}

fn not_ready(name: &str) -> Refusal {
    Refusal::new(Reason::EngineNotReady, format!("no engine behind {name} is ready; it is starting or being restarted"))
}
