//! The OpenAPI 3.1 document of one endpoint's query routes (contract §8.2 to §8.4). The schemas are data: `query_schemas.json`.

use std::sync::LazyLock;

use serde_json::{Value, json};
use weirgate_config::snapshot::{Endpoint, EndpointKind, Task};

use super::openapi;

static SCHEMAS: LazyLock<Value> =
    LazyLock::new(|| serde_json::from_str(include_str!("query_schemas.json")).unwrap_or_default());

/// The document; `None` for an endpoint that serves nothing.
pub(super) fn document(endpoint: &Endpoint) -> Option<Value> {
    let task = match endpoint.kind {
        EndpointKind::Empty => return None,
        EndpointKind::Custom => "custom",
        EndpointKind::External | EndpointKind::Foundation => endpoint.task.map(Task::as_str)?,
    };
    let mut schemas = SCHEMAS[task].clone();
    let mut answers = json!({"application/json": {"schema": {"$ref": "#/components/schemas/Response"}}});
    if !schemas["Chunk"].is_null() {
        let text = "With `stream: true`: lines `data: <Chunk>`, the last one `data: [DONE]`.";
        answers["text/event-stream"] = json!({"schema": {"type": "string", "description": text}});
    }
    schemas["Error"] = openapi::error_schema();
    let operation = |id: &str, parameters: Value| {
        json!({"post": {
            "operationId": id,
            "parameters": parameters,
            "requestBody": {"required": true, "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Request"}}}},
            "responses": {
                "200": {"description": "The answer.", "content": answers},
                "default": {
                    "description": "Refused or failed.",
                    "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Error"}}},
                },
            },
        }})
    };
    let served: Vec<&str> = endpoint.entities.iter().map(|entity| &*entity.name).collect();
    let served =
        json!([{"name": "served", "in": "path", "required": true, "schema": {"type": "string", "enum": served}}]);
    let root = format!("/serving-endpoints/{}", endpoint.name);
    Some(json!({
        "openapi": "3.1.0",
        "info": {"title": &*endpoint.name, "version": "1", "description": endpoint.document.description},
        "security": [{"token": []}],
        "paths": {
            format!("{root}/invocations"): operation("query", json!([])),
            format!("{root}/served-models/{{served}}/invocations"): operation("query_served_model", served),
        },
        "components": {"schemas": schemas, "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}}},
    }))
}

#[cfg(test)]
#[path = "query_schema_tests.rs"]
mod tests;
