//! What the tests of the API run on: documents, and callers.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use axum::body::Body;
use http::HeaderMap;
use serde_json::Value;
use tower::ServiceExt;
use weirgate_config::snapshot::{Model, ModelId};
use weirgate_config::{Keeper, NoSecrets, Snapshot, load_documents};
use weirgate_policy::identity::{Principal, PrincipalKind, Warrant};

use crate::{Caller, Control, DataPlane, Deployment, Store, audit, lifecycle};

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
fn files(more: &str) -> BTreeMap<PathBuf, Arc<str>> {
    let endpoints = ENDPOINTS.into_iter().chain([("mine", more)]);
    let files = endpoints.map(|(name, rest)| {
        (PathBuf::from(format!("endpoints/{name}.yaml")), format!("name: {name}\n{rest}\n").into())
    });
    let settings = "upstreams: { allow_private: true }\nlimits: { control_body: 64KiB }\n";
    let others = [("catalog.yaml", CATALOG), ("weirgate.yaml", settings)];
    files.chain(others.map(|(path, text)| (PathBuf::from(path), text.into()))).collect()
}

/// What the files say.
pub(crate) fn snapshot(more: &str) -> Snapshot {
    load_documents(files(more), Path::new("."), &NoSecrets).unwrap()
}

/// A user.
pub(crate) fn user(name: &str, admin: bool) -> Principal {
    Principal { kind: PrincipalKind::User, name: Arc::from(name), groups: vec!["team".into()], admin }
}

/// A data plane with nothing behind it: what the gateway would say of each endpoint and model is fixed.
struct Plane;

impl DataPlane for Plane {
    fn deployment(&self, _: &Arc<Model>) -> Deployment {
        Deployment::Ready
    }

    fn metrics(&self, endpoint: &str) -> String {
        format!("weirgate_requests_total{{endpoint=\"{endpoint}\"}} 0\n")
    }

    fn log(&self, model: &ModelId) -> String {
        format!("{model} is up\n")
    }

    fn tokens_changed(&self) {}

    fn secrets_changed(&self) {}
}

/// A gateway's control side on a folder of its own.
pub(crate) struct Gateway {
    pub(crate) folder: tempfile::TempDir,
    pub(crate) control: Arc<Control>,
}

impl Gateway {
    /// With the files of [`snapshot`].
    pub(crate) fn new(more: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (config, state) = (folder.path().join("config"), folder.path().join("state"));
        std::fs::create_dir_all(config.join("endpoints")).unwrap();
        for (path, text) in files(more) {
            std::fs::write(config.join(path), &*text).unwrap();
        }
        let store = Arc::new(Store::open(&state).unwrap());
        store.unlock(None).unwrap();
        let keeper = Keeper::open(&config, &state.join("lock"), store.clone(), None).unwrap();
        let audit = Arc::new(audit::Audit::open(&state).unwrap());
        let control = Arc::new(Control { store, keeper: Arc::new(keeper), plane: Arc::new(Plane), audit });
        lifecycle::attach(&control);
        Gateway { folder, control }
    }

    /// The id of an endpoint.
    pub(crate) fn id(&self, name: &str) -> String {
        self.control.store.record(name).unwrap().id.clone()
    }

    /// What the file of an endpoint says.
    pub(crate) fn document(&self, name: &str) -> Value {
        let document = self.control.keeper.current().endpoints[name].document.clone();
        serde_json::to_value(&*document).unwrap()
    }

    /// The lines of the audit log.
    pub(crate) fn audit(&self) -> Vec<Value> {
        let text = std::fs::read_to_string(self.folder.path().join("state/audit/audit.jsonl")).unwrap_or_default();
        text.lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .filter(|line: &Value| line["actor"] != "file")
            .collect()
    }

    /// Sends a request as someone; status, headers and body of the answer.
    pub(crate) async fn call(&self, who: Principal, method: &str, path: &str, body: &str) -> (u16, HeaderMap, Value) {
        send(&super::router(self.control.clone()), Some(who), method, path, body.as_bytes()).await
    }
}

/// Sends a request to a router. A body that is not JSON comes as a string.
pub(crate) async fn send(
    router: &axum::Router,
    who: Option<Principal>,
    method: &str,
    path: &str,
    body: &[u8],
) -> (u16, HeaderMap, Value) {
    let mut request = http::Request::builder().method(method).uri(path).body(Body::from(body.to_vec())).unwrap();
    if let Some(who) = who {
        let caller =
            Caller { principal: Arc::new(who), warrant: Warrant::default(), address: None, request_id: "r-1".into() };
        request.extensions_mut().insert(caller);
    }
    let response = router.clone().oneshot(request).await.unwrap();
    let (parts, body) = response.into_parts();
    let body = axum::body::to_bytes(body, usize::MAX).await.unwrap();
    let value = serde_json::from_slice(&body).unwrap_or_else(|_| String::from_utf8_lossy(&body).into());
    (parts.status.as_u16(), parts.headers, value)
}
