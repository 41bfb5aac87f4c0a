//! What the tests of the API run on: documents, and callers.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use weirgate_config::{NoSecrets, Snapshot, load_documents};
use weirgate_policy::identity::{Principal, PrincipalKind};

/// A catalogue with a model of each kind.
pub(crate) const CATALOG: &str = r#"
models:
  - { name: system.ai.mistral_7b_instruct_v0_1, version: "2", task: llm/v1/chat, engine: { url: "http://127.0.0.1:1" }, model_type: mistral, throughput_chunk_size: 970 }
  - { name: system.ai.plain-model.v1, version: "1", task: llm/v1/embeddings, engine: { url: "http://127.0.0.1:1" } }
  - { name: prod.fraud.scorer, version: "7", server: { url: "http://127.0.0.1:1" } }
"#;

/// An endpoint of each task, by name.
pub(crate) const ENDPOINTS: [(&str, &str); 5] = [
    (
        "chat",
        "config: { served_entities: [{ name: a, external_model: { name: m, provider: openai, task: llm/v1/chat, openai_config: { openai_api_key_plaintext: k } } }] }",
    ),
    (
        "completions",
        "config: { served_entities: [{ name: a, external_model: { name: m, provider: openai, task: llm/v1/completions, openai_config: { openai_api_key_plaintext: k } } }] }",
    ),
    ("embeddings", r#"config: { served_entities: [{ entity_name: system.ai.plain-model.v1, entity_version: "1" }] }"#),
    (
        "custom",
        r#"config: { served_entities: [{ name: s, entity_name: prod.fraud.scorer, entity_version: "7", workload_size: Small, scale_to_zero_enabled: false }] }"#,
    ),
    ("empty", ""),
];

/// [`CATALOG`], [`ENDPOINTS`], and one more endpoint called `mine` whose document ends in `more`.
pub(crate) fn snapshot(more: &str) -> Snapshot {
    let endpoints = ENDPOINTS.into_iter().chain([("mine", more)]);
    let files = endpoints
        .map(|(name, rest)| (PathBuf::from(format!("endpoints/{name}.yaml")), format!("name: {name}\n{rest}\n")));
    let others = [("catalog.yaml", CATALOG), ("weirgate.yaml", "upstreams: { allow_private: true }\n")];
    let others = others.map(|(path, text)| (PathBuf::from(path), text.to_owned()));
    load_documents(files.chain(others).collect(), Path::new("."), &NoSecrets).unwrap()
}

/// A user.
pub(crate) fn user(name: &str, admin: bool) -> Principal {
    Principal { kind: PrincipalKind::User, name: Arc::from(name), groups: vec!["team".into()], admin }
}
