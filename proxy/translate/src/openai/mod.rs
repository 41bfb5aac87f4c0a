//! Providers that speak the client's own schema: OpenAI, Databricks model serving, custom ones, and engines such as
//! vLLM or ours. Their bytes are kept, apart from the repairs of contract §8.6.

mod answer;
mod fields;
mod stream;

pub use answer::{Answer, answer};
pub use stream::Stream;
