//! The architectures, written in the backend's operations.

pub mod config;
pub mod decoder;
pub mod encoder;
pub mod folder;
pub mod names;
