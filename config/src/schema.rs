//! JSON Schemas of the three documents, generated from [`crate::document`]: for editors, and for [`crate::structure`].

use std::sync::LazyLock;

use schemars::{JsonSchema, generate::SchemaSettings};
use serde_json::Value;

use crate::{
    document::{CatalogSpec, EndpointSpec, GatewaySpec},
    structure::Shape,
};

/// `weirgate.yaml`
pub static GATEWAY: LazyLock<Shape> = LazyLock::new(|| Shape::new(of::<GatewaySpec>()));
/// `catalog.yaml`
pub static CATALOG: LazyLock<Shape> = LazyLock::new(|| Shape::new(of::<CatalogSpec>()));
/// `endpoints/<name>.yaml`
pub static ENDPOINT: LazyLock<Shape> = LazyLock::new(|| Shape::new(of::<EndpointSpec>()));

/// Every schema with the name of its file in `config/schema/`.
pub fn all() -> [(&'static str, &'static Value); 3] {
    [
        ("weirgate.schema.json", GATEWAY.schema()),
        ("endpoint.schema.json", ENDPOINT.schema()),
        ("catalog.schema.json", CATALOG.schema()),
    ]
}

/// A schema as it is written to its file.
pub fn to_text(schema: &Value) -> String {
    format!("{schema:#}\n")
}

/// The schema of any document type, for [`Shape::new`]; the control plane uses it for its request bodies.
pub fn of<T: JsonSchema>() -> Value {
    SchemaSettings::draft2020_12().into_generator().into_root_schema_for::<T>().to_value()
}

#[cfg(test)]
#[path = "schema_tests.rs"]
mod tests;
