//! What the catalogue says of a model (contract §7.1).

use schemars::JsonSchema;
use serde::Serialize;
use weirgate_config::snapshot::{Model, ModelId, Serving};
use weirgate_policy::reason::Reason;

use super::{Answer, Method, Problem, Request, Route};

pub(super) fn routes() -> Vec<Route> {
    let path = "/api/2.0/serving-endpoints/get-model-optimization-info/{model}/{version}";
    let summary = "Whether a model can be served with provisioned throughput, and in which steps.";
    vec![Route::new(Method::Get, path, summary, optimization_info).answers::<OptimizationInfo>()]
}

/// Whether and how a model can be provisioned.
#[derive(Debug, PartialEq, Serialize, JsonSchema)]
struct OptimizationInfo {
    /// Whether `min_provisioned_throughput` and `max_provisioned_throughput` can be asked for.
    optimizable: bool,
    /// Architecture family.
    #[serde(skip_serializing_if = "Option::is_none")]
    model_type: Option<String>,
    /// Both bounds are multiples of this many tokens per second.
    #[serde(skip_serializing_if = "Option::is_none")]
    throughput_chunk_size: Option<u32>,
}

fn optimization_info(request: Request) -> Result<Answer, Problem> {
    let id = ModelId { name: request.path("model").into(), version: request.path("version").into() };
    match request.control.keeper.current().models.get(&id) {
        Some(model) => Ok(Answer::json(&of(model))),
        None => Err(Problem::new(
            Reason::ResourceNotFound,
            "the catalog has no model of this name and version; catalog.yaml lists those that there are",
        )),
    }
}

fn of(model: &Model) -> OptimizationInfo {
    match (&model.serving, model.throughput_chunk_size) {
        (Serving::Source(_) | Serving::Engine { .. }, Some(chunk)) => OptimizationInfo {
            optimizable: true,
            model_type: model.model_type.as_deref().map(str::to_owned),
            throughput_chunk_size: Some(chunk),
        },
        _ => OptimizationInfo { optimizable: false, model_type: None, throughput_chunk_size: None },
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::api::fixture;

    #[test]
    fn only_foundation_models_with_a_step_are_optimizable() {
        let snapshot = fixture::snapshot("");
        let info = |name: &str, version: &str| {
            let id = ModelId { name: name.into(), version: version.into() };
            serde_json::to_value(of(&snapshot.models[&id])).unwrap()
        };
        assert_eq!(
            info("system.ai.mistral_7b_instruct_v0_1", "2"),
            json!({"optimizable": true, "model_type": "mistral", "throughput_chunk_size": 970})
        );
        assert_eq!(info("system.ai.plain-model.v1", "1"), json!({"optimizable": false}));
        assert_eq!(info("prod.fraud.scorer", "7"), json!({"optimizable": false}));
    }
}
