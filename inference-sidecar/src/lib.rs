//! Weirgate's inference engine.
pub mod backend;
pub mod engine;
pub mod error;
pub mod exec;
pub mod http;
pub mod kv;
pub mod load;
pub mod metrics;
pub mod model;
pub mod request;
pub mod sample;
pub mod sched;
pub mod serve;
pub mod text;
pub mod tokenizer;
pub mod weights;
