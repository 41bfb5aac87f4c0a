//! The gateway's configuration: documents as they are written ([`document`]), checked ([`structure`], validation), compiled into one
//! immutable [`Snapshot`] ([`load()`]), held and changed by one [`Keeper`] and watched for hand edits ([`Watcher`]).
//!
//! Every finding names file, line and column, and all findings are reported at once; see `docs/decisions/0003-config-errors.md`.

#![deny(missing_docs)]

pub mod address;
pub mod compile;
mod dependencies;
pub mod diagnostic;
pub mod document;
mod inputs;
pub mod keeper;
mod load;
pub mod rest;
pub mod schema;
pub mod secret;
pub mod snapshot;
pub mod structure;
mod watch;
mod write;
pub mod yaml;

pub use diagnostic::{Diagnostic, Diagnostics, Pointer, Problem, Severity};
pub use keeper::{Edit, EditError, Keeper, News};
pub use load::{load, load_documents};
pub use secret::{NoSecrets, Secret, SecretSource, SecretText};
pub use snapshot::*;
pub use watch::{ConfigError, Watcher};
