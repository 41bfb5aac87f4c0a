//! Weirgate's inference engine.
pub mod backend;
pub mod error;
pub mod exec;
pub mod load;
pub mod model;
pub mod tokenizer;
pub mod weights;
