//! The documents as they are written: serde for reading and echoing, schemars for the schema that files are checked against.
//!
//! Deserialisation ignores unknown keys (REST, contract §1); the schemas refuse them (files), hence `schemars(deny_unknown_fields)` alone.

mod ai_gateway;
mod catalog;
mod endpoint;
mod gateway;
mod provider;
mod scalar;

pub use ai_gateway::*;
pub use catalog::*;
pub use endpoint::*;
pub use gateway::*;
pub use provider::*;
pub use scalar::*;
