use http::HeaderMap;
use serde_json::{Value, json};
use weirgate_policy::identity::Principal;

use super::super::fixture::{Gateway, user};

const BASE: &str = "/api/2.0/secrets";

/// Status and body; for a refusal its code in place of the body.
fn short((status, _, body): (u16, HeaderMap, Value)) -> (u16, Value) {
    if status == 200 { (200, body) } else { (status, body["error_code"].clone()) }
}

async fn post(gateway: &Gateway, who: Principal, path: &str, body: Value) -> (u16, Value) {
    short(gateway.call(who, "POST", &format!("{BASE}/{path}"), &body.to_string()).await)
}

async fn get(gateway: &Gateway, who: Principal, path: &str) -> (u16, Value) {
    short(gateway.call(who, "GET", &format!("{BASE}/{path}"), "").await)
}

fn ada() -> Principal {
    user("ada", false)
}

fn done() -> (u16, Value) {
    (200, json!({}))
}

fn refused(status: u16, code: &str) -> (u16, Value) {
    (status, code.into())
}

#[tokio::test]
async fn a_scope_lives_and_dies() {
    let gateway = Gateway::new("");
    assert_eq!(get(&gateway, ada(), "scopes/list").await, (200, json!({"scopes": []})));
    assert_eq!(post(&gateway, ada(), "scopes/create", json!({"scope": "prod"})).await, done());
    let again = post(&gateway, ada(), "scopes/create", json!({"scope": "prod"})).await;
    assert_eq!(again, refused(400, "RESOURCE_ALREADY_EXISTS"));
    let listed = json!({"scopes": [{"name": "prod", "backend_type": "DATABRICKS"}]});
    assert_eq!(get(&gateway, ada(), "scopes/list").await, (200, listed));
    let items = json!({"items": [{"principal": "ada", "permission": "MANAGE"}]});
    assert_eq!(get(&gateway, ada(), "acls/list?scope=prod").await, (200, items));
    assert_eq!(post(&gateway, ada(), "scopes/delete", json!({"scope": "prod"})).await, done());
    let gone = post(&gateway, ada(), "scopes/delete", json!({"scope": "prod"})).await;
    assert_eq!(gone, refused(404, "RESOURCE_DOES_NOT_EXIST"));
}

#[tokio::test]
async fn scopes_are_made_as_asked_or_refused() {
    let gateway = Gateway::new("");
    let create = async |body: Value| post(&gateway, ada(), "scopes/create", body).await;
    let everyone =
        json!({"scope": "a", "scope_backend_type": "DATABRICKS", "initial_manage_principal": "users", "new": 1});
    assert_eq!(create(everyone).await, done());
    let items = json!({"items": [{"principal": "users", "permission": "MANAGE"}]});
    assert_eq!(get(&gateway, user("eve", false), "acls/list?scope=a").await, (200, items));
    assert_eq!(create(json!({"scope": "b", "backend_azure_keyvault": null})).await, done());
    for vault in [
        json!({"scope": "c", "scope_backend_type": "AZURE_KEYVAULT"}),
        json!({"scope": "c", "backend_azure_keyvault": {"resource_id": "r", "dns_name": "d"}}),
    ] {
        assert_eq!(create(vault).await, refused(501, "NOT_IMPLEMENTED"));
    }
    for bad in [
        json!({}),
        json!({"scope": 1}),
        json!({"scope": ""}),
        json!({"scope": "a/b"}),
        json!({"scope": "weirgate.a"}),
        json!({"scope": "x".repeat(129)}),
        json!({"scope": "c", "scope_backend_type": "OTHER"}),
        json!({"scope": "c", "initial_manage_principal": "ada"}),
    ] {
        assert_eq!(create(bad.clone()).await, refused(400, "INVALID_PARAMETER_VALUE"), "{bad}");
    }
    assert_eq!(create(json!([])).await, refused(400, "BAD_REQUEST"));
}

#[tokio::test]
async fn a_value_goes_in_and_never_comes_out() {
    let gateway = Gateway::new("");
    post(&gateway, ada(), "scopes/create", json!({"scope": "prod"})).await;
    let put = async |body: Value| post(&gateway, ada(), "put", body).await;
    let secret = json!({"scope": "prod", "key": "openai", "string_value": "sk-planted"});
    assert_eq!(put(secret).await, done());
    assert_eq!(put(json!({"scope": "prod", "key": "bytes", "bytes_value": "c2stcGxhbnRlZA=="})).await, done());
    for key in ["openai", "bytes"] {
        assert_eq!(weirgate_config::SecretSource::get(&*gateway.control.store, "prod", key).unwrap(), "sk-planted");
    }
    let (status, list) = get(&gateway, ada(), "list?scope=prod").await;
    assert_eq!(
        (status, &list["secrets"][0]["key"], &list["secrets"][1]["key"]),
        (200, &json!("bytes"), &json!("openai"))
    );
    assert!(list["secrets"][0]["last_updated_timestamp"].as_u64().unwrap() > 1_600_000_000_000);
    assert_eq!(get(&gateway, ada(), "get?scope=prod&key=openai").await, refused(400, "BAD_REQUEST"));
    for bad in [
        json!({"scope": "prod", "key": "k"}),
        json!({"scope": "prod", "key": "k", "string_value": "sk-planted", "bytes_value": "c2s="}),
        json!({"scope": "prod", "key": "k", "bytes_value": "sk-planted"}),
        json!({"scope": "prod", "key": "k", "string_value": ["sk-planted"]}),
        json!({"scope": "prod", "key": "a b", "string_value": "sk-planted"}),
        json!({"scope": "prod", "key": "k", "string_value": "sk-planted".repeat(20_000)}),
    ] {
        let text = bad.to_string();
        let body = gateway.call(ada(), "POST", &format!("{BASE}/put"), &text).await;
        assert!(!body.2.to_string().contains("sk-planted"), "{}", body.2);
        let expected = if text.len() > 65536 { (413, "BAD_REQUEST") } else { (400, "INVALID_PARAMETER_VALUE") };
        assert_eq!(short(body), refused(expected.0, expected.1));
    }
    let unknown = put(json!({"scope": "none", "key": "k", "string_value": ""})).await;
    assert_eq!(unknown, refused(404, "RESOURCE_DOES_NOT_EXIST"));
    let delete = json!({"scope": "prod", "key": "openai"});
    assert_eq!(post(&gateway, ada(), "delete", delete.clone()).await, done());
    assert_eq!(post(&gateway, ada(), "delete", delete).await, refused(404, "RESOURCE_DOES_NOT_EXIST"));
    let audit = gateway.audit();
    assert!(!format!("{audit:?}").contains("sk-planted"));
    let put = audit.iter().find(|line| line["action"] == "secret.put").unwrap();
    assert_eq!((&put["target"], &put["outcome"], &put["actor"]), (&json!("prod/openai"), &json!("ok"), &json!("ada")));
}

#[tokio::test]
async fn values_are_shown_only_where_the_operator_allows_it() {
    let gateway = Gateway::new("");
    post(&gateway, ada(), "scopes/create", json!({"scope": "prod"})).await;
    post(&gateway, ada(), "put", json!({"scope": "prod", "key": "k", "bytes_value": "/wA="})).await;
    std::fs::write(
        gateway.folder.path().join("config/weirgate.yaml"),
        "upstreams: { allow_private: true }\nsecrets: { readable: true }\n",
    )
    .unwrap();
    gateway.control.keeper.refresh();
    assert_eq!(get(&gateway, ada(), "get?scope=prod&key=k").await, (200, json!({"key": "k", "value": "/wA="})));
    let eve = get(&gateway, user("eve", false), "get?scope=prod&key=k").await;
    assert_eq!(eve, refused(403, "PERMISSION_DENIED"));
    assert_eq!(get(&gateway, ada(), "get?scope=prod&key=none").await, refused(404, "RESOURCE_DOES_NOT_EXIST"));
    assert_eq!(get(&gateway, ada(), "get?scope=prod").await, refused(400, "INVALID_PARAMETER_VALUE"));
}

#[tokio::test]
async fn acls_are_set_read_and_taken_away() {
    let gateway = Gateway::new("");
    let eve = || user("eve", false);
    post(&gateway, ada(), "scopes/create", json!({"scope": "prod"})).await;
    assert_eq!(get(&gateway, eve(), "list?scope=prod").await, refused(403, "PERMISSION_DENIED"));
    assert_eq!(get(&gateway, eve(), "list?scope=none").await, refused(404, "RESOURCE_DOES_NOT_EXIST"));
    assert_eq!(get(&gateway, user("root", true), "list?scope=prod").await, (200, json!({"secrets": []})));
    let entry = json!({"scope": "prod", "principal": "eve", "permission": "READ"});
    assert_eq!(post(&gateway, ada(), "acls/put", entry.clone()).await, done());
    assert_eq!(get(&gateway, eve(), "list?scope=prod").await.0, 200);
    let write = json!({"scope": "prod", "key": "k", "string_value": "v"});
    for (path, body) in [
        ("put", write),
        ("acls/put", entry),
        ("acls/delete", json!({"scope": "prod", "principal": "ada"})),
        ("scopes/delete", json!({"scope": "prod"})),
    ] {
        assert_eq!(post(&gateway, eve(), path, body).await, refused(403, "PERMISSION_DENIED"), "{path}");
    }
    let shown = json!({"principal": "eve", "permission": "READ"});
    assert_eq!(get(&gateway, ada(), "acls/get?scope=prod&principal=eve").await, (200, shown));
    let gone = json!({"scope": "prod", "principal": "eve"});
    assert_eq!(post(&gateway, ada(), "acls/delete", gone.clone()).await, done());
    assert_eq!(post(&gateway, ada(), "acls/delete", gone).await, refused(404, "RESOURCE_DOES_NOT_EXIST"));
    let none = get(&gateway, ada(), "acls/get?scope=prod&principal=eve").await;
    assert_eq!(none, refused(404, "RESOURCE_DOES_NOT_EXIST"));
    let bad = json!({"scope": "prod", "principal": "eve", "permission": "read"});
    assert_eq!(post(&gateway, ada(), "acls/put", bad).await, refused(400, "INVALID_PARAMETER_VALUE"));
    for missing in ["list", "acls/list", "acls/get?scope=prod", "list?scope=weirgate.x"] {
        assert_eq!(get(&gateway, ada(), missing).await, refused(400, "INVALID_PARAMETER_VALUE"), "{missing}");
    }
}
