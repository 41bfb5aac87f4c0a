//! What requests are served with: a snapshot compiled for the data plane. Immutable; one is loaded per request and
//! used to its end.

use std::collections::HashMap;
use std::sync::Arc;

use rand::Rng;
use weirgate_config::snapshot::{
    Endpoint as EndpointPlan, PermissionLevel, PermissionPrincipal, ServedEntity, Settings, Snapshot, Task,
};
use weirgate_policy::door::Refusal;
use weirgate_policy::identity::{Directory, Principal};
use weirgate_policy::permission::{Grantee, Grants, Level};
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
    /// Accepted tokens.
    pub directory: Directory,
    endpoints: HashMap<Arc<str>, Endpoint>,
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
}

/// One model behind an endpoint.
pub struct Entity {
    /// Its name, told in the header `served-model-name`.
    pub name: Arc<str>,
    weight: u32,
    upstream: Result<Upstream, Refusal>,
    /// Its series.
    pub metrics: Arc<EntityMetrics>,
}

impl Table {
    /// Compiles a snapshot; what does not change finds its old state in `shared`.
    pub fn compile(snapshot: &Snapshot, directory: Directory, shared: &Registries) -> Self {
        let endpoints: HashMap<_, _> = snapshot
            .endpoints
            .values()
            .map(|plan| (plan.name.clone(), Endpoint::compile(plan, &snapshot.settings, shared)))
            .collect();
        Table { generation: snapshot.generation, settings: snapshot.settings.clone(), directory, endpoints }
    }

    /// The endpoint of a name that a client gave.
    pub fn endpoint(&self, name: &str) -> Result<&Endpoint, Refusal> {
        self.endpoints.get(name).ok_or_else(|| {
            Refusal::new(Reason::EndpointNotFound, format!("there is no endpoint called {}", shorten(name))).at("model")
        })
    }

    /// The endpoints that a principal may query, by name.
    pub fn visible_to(&self, principal: &Principal) -> Vec<&Endpoint> {
        let mut visible: Vec<_> = self.endpoints.values().filter(|e| e.grants.may_query(principal)).collect();
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
    pub fn engines(&self) -> Vec<Arc<Engine>> {
        self.upstreams().filter_map(|upstream| upstream.engine.clone()).collect()
    }

    /// Whether an address is in use.
    pub fn uses(&self, address: &Arc<Address>) -> bool {
        self.upstreams().any(|upstream| Arc::ptr_eq(&upstream.address, address))
    }

    fn upstreams(&self) -> impl Iterator<Item = &Upstream> {
        self.endpoints.values().flat_map(|e| &e.entities).filter_map(|entity| entity.upstream.as_ref().ok())
    }
}

impl Endpoint {
    fn compile(plan: &EndpointPlan, settings: &Settings, shared: &Registries) -> Self {
        let entity = |served: &Arc<ServedEntity>| {
            Arc::new(Entity {
                name: served.name.clone(),
                weight: served.weight,
                upstream: Upstream::build(&served.target, &settings.upstreams, shared),
                metrics: shared.metrics.entity(&plan.name, &served.name),
            })
        };
        Endpoint {
            name: plan.name.clone(),
            task: plan.task,
            grants: grants(plan),
            entities: plan.entities.iter().map(entity).collect(),
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

fn not_ready(name: &str) -> Refusal {
    Refusal::new(Reason::EngineNotReady, format!("no engine behind {name} is ready; it is starting or being restarted"))
}

fn grants(plan: &EndpointPlan) -> Grants {
    let Some(permissions) = &plan.permissions else { return Grants::Everyone };
    let grant = |permission: &weirgate_config::snapshot::Permission| {
        let to = match &permission.principal {
            PermissionPrincipal::User(name) => Grantee::User(name.clone()),
            PermissionPrincipal::Group(name) => Grantee::Group(name.clone()),
            PermissionPrincipal::ServicePrincipal(id) => Grantee::ServicePrincipal(id.clone()),
        };
        let level = match permission.level {
            PermissionLevel::CanView => Level::View,
            PermissionLevel::CanQuery => Level::Query,
            PermissionLevel::CanManage => Level::Manage,
        };
        (to, level)
    };
    Grants::Listed(permissions.iter().map(grant).collect())
}
