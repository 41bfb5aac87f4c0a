//! Weirgate's inference engine.
pub mod engine;
pub mod error;
pub mod exec;
pub mod http;
pub mod kv;
pub mod load;
pub mod metrics;
pub mod request;
pub mod sample;
pub mod sched;
pub mod serve;
pub mod text;
