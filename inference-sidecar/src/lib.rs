//! Weirgate's inference engine.
pub mod error;
pub mod exec;
pub mod load;
