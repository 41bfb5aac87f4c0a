//! POST /pt and PUT /pt/{name}/config: provisioned throughput by model units (contract §7.3).

use schemars::JsonSchema;
use serde::Deserialize;
use weirgate_config::Snapshot;
use weirgate_config::document::{
    AiGatewaySpec, ConfigSpec, EmailNotificationsSpec, EndpointSpec, ServedEntitySpec, TagSpec, TrafficSpec, Version,
};
use weirgate_policy::reason::Reason;

use super::view::EndpointDetailed;
use super::{Answer, Method, Problem, Request, Route, change_and_show, config, create, form};

pub(super) fn routes() -> Vec<Route> {
    let post = Route::new(
        Method::Post,
        "/api/2.0/serving-endpoints/pt",
        "Create an endpoint with provisioned throughput by model units.",
        |request| create(&request),
    );
    let put = Route::new(
        Method::Put,
        "/api/2.0/serving-endpoints/pt/{name}/config",
        "Replace the config of an endpoint with provisioned throughput by model units, at once.",
        |request| {
            let snapshot = request.control.keeper.current();
            change_and_show(&request, form!(UnitsUpdate), |target, body: UnitsUpdate, flaws| {
                config::update(&request, target, body.config.spec(&snapshot), flaws, true)
            })
        },
    );
    vec![
        post.takes::<UnitsCreate>()
            .answers::<EndpointDetailed>()
            .audits("endpoint.create")
            .refuses(&[Reason::AlreadyExists, Reason::Conflict]),
        put.takes::<UnitsUpdate>().answers::<EndpointDetailed>().audits("endpoint.config").refuses(&[Reason::Conflict]),
    ]
}

/// A new endpoint with provisioned throughput by model units.
#[derive(Debug, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
struct UnitsCreate {
    /// Unique.
    #[schemars(regex(pattern = r"^[A-Za-z0-9_-]{1,63}$"), extend("x-expected" = "1 to 63 letters, digits, - or _"))]
    name: String,
    /// What is served.
    config: UnitsConfig,
    /// Guardrails, limits, records, fallback.
    ai_gateway: Option<AiGatewaySpec>,
    /// Labels.
    #[schemars(length(max = 20))]
    #[serde(default)]
    tags: Vec<TagSpec>,
    /// Stored and shown.
    budget_policy_id: Option<String>,
    /// Who is told of updates.
    email_notifications: Option<EmailNotificationsSpec>,
}

/// A new config.
#[derive(Debug, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
struct UnitsUpdate {
    /// What is served.
    config: UnitsConfig,
}

/// What is served.
#[derive(Debug, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
struct UnitsConfig {
    /// The models.
    #[schemars(length(min = 1, max = 15))]
    served_entities: Vec<UnitsEntity>,
    /// How traffic is split; may be absent with a single model.
    traffic_config: Option<TrafficSpec>,
}

/// A served model.
#[derive(Debug, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
struct UnitsEntity {
    /// A model of catalog.yaml.
    entity_name: String,
    /// Capacity.
    provisioned_model_units: u32,
    /// Default: the latest in catalog.yaml.
    entity_version: Option<Version>,
    /// Unique in the endpoint. Default: made from the model's name.
    #[schemars(regex(pattern = r"^[A-Za-z0-9_-]{1,63}$"), extend("x-expected" = "1 to 63 letters, digits, - or _"))]
    name: Option<String>,
    /// Default: true.
    burst_scaling_enabled: Option<bool>,
}

impl UnitsConfig {
    /// In the form of the documents.
    fn spec(self, snapshot: &Snapshot) -> ConfigSpec {
        let entity = |entity: UnitsEntity| ServedEntitySpec {
            // A model that is not there has no latest version; that it is not there is said later.
            entity_version: entity
                .entity_version
                .or_else(|| latest(snapshot, &entity.entity_name))
                .or(Some(Version("1".to_owned()))),
            entity_name: Some(entity.entity_name),
            name: entity.name,
            provisioned_model_units: Some(entity.provisioned_model_units),
            burst_scaling_enabled: entity.burst_scaling_enabled,
            ..ServedEntitySpec::default()
        };
        ConfigSpec {
            served_entities: Some(self.served_entities.into_iter().map(entity).collect()),
            traffic_config: self.traffic_config,
            ..ConfigSpec::default()
        }
    }
}

/// The highest version of a model, as a number: they are digits of any length.
fn latest(snapshot: &Snapshot, model: &str) -> Option<Version> {
    let versions = snapshot.models.keys().filter(|id| &*id.name == model).map(|id| &*id.version);
    let value = |version: &&str| {
        let digits = version.trim_start_matches('0');
        (digits.len(), digits.to_owned())
    };
    versions.max_by_key(value).map(|version| Version(version.to_owned()))
}

fn create(request: &Request) -> Result<Answer, Problem> {
    let (body, flaws): (UnitsCreate, _) = request.flawed_body(form!(UnitsCreate).shape, None)?;
    let spec = EndpointSpec {
        config: Some(body.config.spec(&request.control.keeper.current())),
        ai_gateway: body.ai_gateway,
        tags: body.tags,
        budget_policy_id: body.budget_policy_id,
        email_notifications: body.email_notifications,
        name: body.name,
        ..EndpointSpec::default()
    };
    create::create(request, spec, flaws)
}
