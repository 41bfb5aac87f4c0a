//! What the tests of endpoints run on: a real keeper and store in a folder of their own, and models that stand where a test puts them.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};
use weirgate_config::Keeper;
use weirgate_config::snapshot::{Model, ModelId};
use weirgate_policy::identity::{Principal, PrincipalKind};

use crate::api::{fixture::send, router};
use crate::{Caller, Control, DataPlane, Deployment, Store, audit, lifecycle};

const CATALOG: &str = r#"
models:
  - { name: system.ai.small, version: "1", task: llm/v1/chat, engine: { url: "http://127.0.0.1:1" }, model_type: llama, throughput_chunk_size: 970 }
  - { name: system.ai.small, version: "2", task: llm/v1/chat, engine: { url: "http://127.0.0.1:1" }, throughput_chunk_size: 970 }
  - { name: system.ai.small, version: "10", task: llm/v1/chat, engine: { url: "http://127.0.0.1:1" }, throughput_chunk_size: 970 }
  - { name: system.ai.large, version: "3", task: llm/v1/chat, engine: { url: "http://127.0.0.1:1" }, throughput_chunk_size: 620 }
  - { name: system.ai.vectors, version: "1", task: llm/v1/embeddings, engine: { url: "http://127.0.0.1:1" } }
  - { name: prod.fraud.scorer, version: "7", server: { url: "http://127.0.0.1:1" } }
"#;

/// Models are ready unless a test says otherwise.
#[derive(Default)]
pub(super) struct Plane(Mutex<HashMap<String, Deployment>>);

impl DataPlane for Plane {
    fn deployment(&self, model: &Arc<Model>) -> Deployment {
        self.0.lock().unwrap().get(&*model.id.name).cloned().unwrap_or(Deployment::Ready)
    }

    fn metrics(&self, _: &str) -> String {
        String::new()
    }

    fn log(&self, _: &ModelId) -> String {
        String::new()
    }

    fn tokens_changed(&self) {}

    fn secrets_changed(&self) {}
}

pub(super) struct Testbed {
    folder: Arc<tempfile::TempDir>,
    plane: Arc<Plane>,
    pub control: Arc<Control>,
}

impl Testbed {
    pub fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let config = folder.path().join("config");
        std::fs::create_dir_all(config.join("endpoints")).unwrap();
        let settings = "upstreams: { allow_private: true }\nengine: { deploy_timeout: 60s }\n";
        std::fs::write(config.join("weirgate.yaml"), settings).unwrap();
        std::fs::write(config.join("catalog.yaml"), CATALOG).unwrap();
        Testbed::open(Arc::new(folder))
    }

    fn open(folder: Arc<tempfile::TempDir>) -> Self {
        let (config, state) = (folder.path().join("config"), folder.path().join("state"));
        let store = Arc::new(Store::open(&state).unwrap());
        let keeper = Keeper::open(&config, &state.join("lock"), store.clone(), None).unwrap();
        let plane = Arc::new(Plane::default());
        let control = Arc::new(Control {
            store,
            keeper: Arc::new(keeper),
            plane: plane.clone(),
            audit: Arc::new(audit::Audit::open(&state).unwrap()),
        });
        lifecycle::attach(&control);
        Testbed { folder, plane, control }
    }

    /// Stops this gateway and starts another on the same folders.
    pub fn restarted(self) -> Self {
        let Testbed { folder, control, .. } = self;
        drop(control);
        Testbed::open(folder)
    }

    /// Starts another gateway on the same folders, beside this one.
    pub fn beside(&self) -> Self {
        Testbed::open(Arc::clone(&self.folder))
    }

    pub fn edit_catalog(&self, edit: impl Fn(&str) -> String) {
        std::fs::write(self.folder.path().join("config/catalog.yaml"), edit(CATALOG)).unwrap();
        self.control.keeper.refresh();
    }

    pub fn stand(&self, model: &str, deployment: Deployment) {
        self.plane.0.lock().unwrap().insert(model.to_owned(), deployment);
    }

    pub fn file(&self, endpoint: &str) -> PathBuf {
        self.folder.path().join(format!("config/endpoints/{endpoint}.yaml"))
    }

    /// The names of all endpoint files.
    pub fn files(&self) -> Vec<String> {
        let folder = std::fs::read_dir(self.folder.path().join("config/endpoints")).unwrap();
        let mut names: Vec<String> = folder.map(|file| file.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    /// Edits a file by hand; seen when this returns.
    pub fn write(&self, endpoint: &str, text: &str) {
        std::fs::write(self.file(endpoint), text).unwrap();
        self.control.keeper.refresh();
    }

    pub fn secret(&self, who: &Principal, scope: &str, key: &str, value: &str) {
        let caller = Caller {
            principal: Arc::new(who.clone()),
            warrant: Default::default(),
            address: None,
            request_id: "r".into(),
        };
        self.control.store.create_scope(&caller, scope, false).unwrap();
        self.control.store.put_secret(&caller, scope, key, value.as_bytes()).unwrap();
    }

    /// Sends a request as someone; the path goes on behind `/api/2.0/serving-endpoints`.
    pub async fn as_user(&self, who: &Principal, method: &str, path: &str, body: Value) -> (u16, Value) {
        let body = if body.is_null() { String::new() } else { body.to_string() };
        let path = format!("/api/2.0/serving-endpoints{path}");
        let (status, _, value) =
            send(&router(self.control.clone()), Some(who.clone()), method, &path, body.as_bytes()).await;
        (status, value)
    }

    /// The same as Ada, who made most endpoints.
    pub async fn call(&self, method: &str, path: &str, body: Value) -> (u16, Value) {
        self.as_user(&ada(), method, path, body).await
    }

    /// The same where nothing but success will do.
    pub async fn ok(&self, method: &str, path: &str, body: Value) -> Value {
        let (status, value) = self.call(method, path, body).await;
        assert_eq!(status, 200, "{method} {path}: {value}");
        value
    }

    /// One look at the configs that wait.
    pub fn tick(&self) {
        lifecycle::step(&self.control);
    }
}

pub(super) fn ada() -> Principal {
    Principal { kind: PrincipalKind::User, name: "ada@example.com".into(), groups: Vec::new(), admin: false }
}

pub(super) fn bob() -> Principal {
    Principal { name: "bob@example.com".into(), ..ada() }
}

pub(super) fn openai(name: &str, model: &str, task: &str) -> Value {
    json!({
        "name": name,
        "external_model": {
            "name": model, "provider": "openai", "task": task,
            "openai_config": { "openai_api_key_plaintext": "sk-planted" },
        },
    })
}

pub(super) fn local(model: &str, version: &str) -> Value {
    json!({ "entity_name": model, "entity_version": version })
}
