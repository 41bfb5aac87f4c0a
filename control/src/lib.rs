//! The control side of the gateway: what is not config, kept under `state/`.
//!
//! Today that is the tokens made at run time and the last good documents. The REST API, secrets and their store are to live here too.
#![deny(missing_docs)]

mod atomic;
pub mod error;
pub mod last_good;
pub mod tokens;

pub use error::ControlError;
