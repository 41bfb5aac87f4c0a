//! The OpenAPI 3.1 document of the API, made from the same table of routes and the same types that judge the bodies. 3.1 takes JSON Schema
//! 2020-12 as it is (OpenAPI 3.1.0 §4.8.24).

use std::collections::BTreeMap;
use std::sync::LazyLock;

use schemars::SchemaGenerator;
use schemars::generate::SchemaSettings;
use serde_json::{Map, Value, json};
use weirgate_policy::reason::Reason;

use super::route::{Method, Output, Route};
use super::router::{parameter, template};
use super::{Answer, Request, routes};

/// Where the document is served.
pub(super) const PATH: &str = "/api/2.0/openapi.json";

static DOCUMENT: LazyLock<Value> = LazyLock::new(|| document(&routes()));

pub(super) fn route() -> Route {
    Route::new(Method::Get, PATH, "This document.", |_: Request| Ok(Answer::json(&*DOCUMENT)))
}

/// Refusals that every route knows: made by the gateway before a handler runs.
const EVERYWHERE: [Reason; 4] =
    [Reason::Unauthenticated, Reason::PermissionDenied, Reason::Overloaded, Reason::Internal];
/// Refusals of routes that take a body.
const BODY: [Reason; 5] = [
    Reason::InvalidJson,
    Reason::InvalidParameter,
    Reason::BodyTooLarge,
    Reason::BodyTimeout,
    Reason::UnsupportedEncoding,
];

/// The types of bodies and of answers. A type of both is shown as a body: what it allows there, its answers keep.
struct Schemas {
    inputs: SchemaGenerator,
    outputs: SchemaGenerator,
}

impl Schemas {
    fn new() -> Self {
        let mut settings = SchemaSettings::draft2020_12();
        settings.definitions_path = "/components/schemas".into();
        Schemas { inputs: settings.clone().into_generator(), outputs: settings.for_serialize().into_generator() }
    }

    fn all(mut self) -> Map<String, Value> {
        let mut inputs = self.inputs.take_definitions(false);
        inputs.values_mut().for_each(as_over_rest);
        let mut all = self.outputs.take_definitions(false);
        all.extend(inputs);
        all.insert("Error".into(), error_schema());
        all
    }
}

fn document(routes: &[Route]) -> Value {
    let mut schemas = Schemas::new();
    let mut paths: BTreeMap<&str, Map<String, Value>> = BTreeMap::new();
    for route in routes {
        let method = route.method.name().to_ascii_lowercase();
        paths.entry(route.path).or_default().insert(method, operation(route, &mut schemas));
    }
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Weirgate control API",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "Endpoints, secrets, permissions and tokens of the gateway. Unknown keys of a body are ignored; null counts as absent.",
        },
        "security": [{"token": []}],
        "paths": paths,
        "components": {
            "schemas": schemas.all(),
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
        },
    })
}

fn operation(route: &Route, schemas: &mut Schemas) -> Value {
    let path_parameters = template(route.path).filter_map(parameter).map(|name| {
        json!({"name": name, "in": "path", "required": true, "description": meaning(name), "schema": {"type": "string", "minLength": 1}})
    });
    let query_parameters = route.query.iter().map(|query| {
        let schema = json!({"type": "string", "minLength": u8::from(query.required)});
        json!({"name": query.name, "in": "query", "required": query.required, "description": query.what, "schema": schema})
    });
    let parameters: Vec<Value> = path_parameters.chain(query_parameters).collect();
    let mut operation = json!({
        "operationId": operation_id(route),
        "tags": [area(route.path)],
        "summary": route.summary,
        "parameters": parameters,
        "responses": responses(route, &mut schemas.outputs),
    });
    if route.admin {
        operation["description"] = "Only for administrators.".into();
    }
    if let Some(input) = route.input {
        let mut schema = input(&mut schemas.inputs).to_value();
        // An empty body counts as `{}`.
        let required = is_needed(&schema, &schemas.inputs);
        as_over_rest(&mut schema);
        operation["requestBody"] = json!({"required": required, "content": {"application/json": {"schema": schema}}});
    }
    operation
}

fn is_needed(schema: &Value, generator: &SchemaGenerator) -> bool {
    let name = schema["$ref"].as_str().and_then(|target| target.rsplit('/').next());
    let schema = name.and_then(|name| generator.definitions().get(name)).unwrap_or(schema);
    schema["required"].as_array().is_some_and(|required| !required.is_empty())
}

fn responses(route: &Route, generator: &mut SchemaGenerator) -> BTreeMap<String, Value> {
    let (content_type, schema) = match route.output {
        Output::Object => ("application/json", json!({"type": "object"})),
        Output::Typed(schema) => ("application/json", schema(generator).to_value()),
        Output::Text(content_type) => (content_type, json!({"type": "string"})),
    };
    let mut all = BTreeMap::new();
    all.insert("200".to_owned(), json!({"description": "Done.", "content": {content_type: {"schema": schema}}}));
    for (status, reasons) in refusals(route) {
        let names: Vec<String> = reasons.iter().map(|reason| reason.facts().name.replace('_', " ")).collect();
        let mut response = json!({
            "description": format!("Refused: {}.", names.join(", ")),
            "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Error"}}},
        });
        if reasons.iter().any(|reason| reason.facts().retry_after.is_some()) {
            let header =
                json!({"description": "Seconds to wait.", "schema": {"type": "integer", "minimum": 1, "maximum": 60}});
            response["headers"] = json!({"Retry-After": header});
        }
        all.insert(status.to_string(), response);
    }
    all
}

/// What a route can refuse, by status.
fn refusals(route: &Route) -> BTreeMap<u16, Vec<Reason>> {
    let mut reasons = EVERYWHERE.to_vec();
    if template(route.path).any(|segment| parameter(segment).is_some()) {
        reasons.extend([Reason::BadRequest, Reason::EndpointNotFound, Reason::ResourceNotFound]);
    }
    if !route.query.is_empty() {
        reasons.push(Reason::InvalidParameter);
    }
    if route.input.is_some() {
        reasons.extend(BODY);
    }
    // Whatever changes a document can meet a hand edit of its file.
    if route.method != Method::Get && matches!(area(route.path), "Endpoints" | "Permissions") {
        reasons.push(Reason::Conflict);
    }
    reasons.extend(&route.refuses);
    let mut by_status: BTreeMap<u16, Vec<Reason>> = BTreeMap::new();
    for reason in reasons {
        let same = by_status.entry(reason.facts().status).or_default();
        if !same.contains(&reason) {
            same.push(reason);
        }
    }
    by_status
}

pub(super) fn error_schema() -> Value {
    let mut codes: Vec<&str> = Reason::ALL.iter().map(|reason| reason.facts().error_code).collect();
    codes.sort_unstable();
    codes.dedup();
    json!({
        "type": "object",
        "description": "Every failure of the API.",
        "properties": {
            "error_code": {"type": "string", "enum": codes},
            "message": {"type": "string", "description": "What is wrong, for people."},
        },
        "required": ["error_code", "message"],
    })
}

/// The document types are those of the files, where an unknown key is an error; over REST it is ignored, and `null` counts as absent
/// (contract §1).
fn as_over_rest(schema: &mut Value) {
    match schema {
        Value::Object(map) => {
            if map.get("additionalProperties") == Some(&Value::Bool(false)) {
                map.remove("additionalProperties");
            }
            // What `structure` checks for these Rust types, which schemars says by the format alone.
            match map.get("format").and_then(Value::as_str) {
                Some("uint32") => map.entry("maximum").or_insert(u32::MAX.into()),
                Some("uint64") => map.entry("maximum").or_insert(u64::MAX.into()),
                _ => &mut Value::Null,
            };
            let required: Vec<Value> = map.get("required").and_then(Value::as_array).cloned().unwrap_or_default();
            if let Some(Value::Object(properties)) = map.get_mut("properties") {
                let optional = properties.iter_mut().filter(|(name, _)| !required.iter().any(|r| r == name.as_str()));
                optional.for_each(|(_, property)| allow_null(property));
            }
            map.values_mut().for_each(as_over_rest);
        }
        Value::Array(items) => items.iter_mut().for_each(as_over_rest),
        _ => {}
    }
}

fn allow_null(property: &mut Value) {
    let null = |schema: &Value| schema["type"] == "null";
    let types = &property["type"];
    if types.as_array().is_some_and(|names| names.iter().any(|name| name == "null"))
        || property["anyOf"].as_array().is_some_and(|branches| branches.iter().any(null))
    {
        return;
    }
    match (types.as_str(), property.get("enum")) {
        (Some(name), None) => property["type"] = json!([name, "null"]),
        _ => *property = json!({"anyOf": [property.take(), {"type": "null"}]}),
    }
}

/// `put_serving_endpoints_name_config`: unique, since method and path are.
fn operation_id(route: &Route) -> String {
    let path = route.path.strip_prefix("/api/2.0").unwrap_or(route.path);
    let words = path.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| !word.is_empty());
    std::iter::once(route.method.name().to_ascii_lowercase())
        .chain(words.map(str::to_owned))
        .collect::<Vec<_>>()
        .join("_")
}

fn area(path: &str) -> &'static str {
    match path.trim_start_matches("/api/2.0/").split('/').next() {
        Some("serving-endpoints") => "Endpoints",
        Some("permissions") => "Permissions",
        Some("secrets") => "Secrets",
        Some("token" | "token-management" | "preview" | "oidc") => "Identity",
        _ => "Gateway",
    }
}

fn meaning(parameter: &str) -> &'static str {
    match parameter {
        "name" => "Name of the endpoint.",
        "id" => "Id of the endpoint, 32 hex digits.",
        "served" => "Name of the served entity.",
        "model" => "Name of the catalogue model.",
        "version" => "Its version.",
        _ => "See the summary.",
    }
}

#[cfg(test)]
#[path = "openapi_tests.rs"]
mod tests;
