//! The control side of the gateway: what is not config, kept under `state/`.
//!
//! Today that is the tokens made at run time. The REST API, secrets and their store are to live here too.
#![deny(missing_docs)]

pub mod error;
pub mod tokens;

pub use error::ControlError;
