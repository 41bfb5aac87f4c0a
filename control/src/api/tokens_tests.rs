use serde_json::{Value, json};
use weirgate_policy::identity::hash_token;

use super::super::fixture::{Gateway, user};
use super::*;

async fn call(gateway: &Gateway, who: Principal, method: &str, path: &str, body: Value) -> (u16, Value) {
    let body = if body.is_null() { String::new() } else { body.to_string() };
    let (status, _, body) = gateway.call(who, method, &format!("/api/2.0/{path}"), &body).await;
    (status, body)
}

fn ada() -> Principal {
    user("ada", false)
}

fn root() -> Principal {
    user("root", true)
}

fn ids(list: &Value) -> Vec<&str> {
    list["token_infos"].as_array().unwrap().iter().map(|info| info["token_id"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn a_caller_makes_lists_and_deletes_own_tokens() {
    let gateway = Gateway::new("");
    let asked = json!({"comment": "ci", "lifetime_seconds": 60});
    let (status, made) = call(&gateway, ada(), "POST", "token/create", asked).await;
    assert_eq!(status, 200);
    let info = &made["token_info"];
    assert_eq!(info["comment"], "ci");
    assert_eq!(info["expiry_time"].as_i64().unwrap() - info["creation_time"].as_i64().unwrap(), 60_000);
    let stored = gateway.control.store.tokens().unwrap();
    assert_eq!(stored[0].hash, hash_token(made["token_value"].as_str().unwrap().as_bytes()));
    assert_eq!((&*stored[0].name, stored[0].admin, &*stored[0].groups), ("ada", false, &["team".to_owned()][..]));

    // No body at all is one without wishes.
    let (_, lasting) = call(&gateway, ada(), "POST", "token/create", Value::Null).await;
    assert_eq!(lasting["token_info"]["expiry_time"], -1);
    let (_, others) = call(&gateway, user("eve", false), "POST", "token/create", json!({})).await;
    let (status, list) = call(&gateway, ada(), "GET", "token/list", Value::Null).await;
    assert_eq!((status, ids(&list).len()), (200, 2));
    assert!(!list.to_string().contains(made["token_value"].as_str().unwrap()));

    let delete = async |who, info: &Value| {
        call(&gateway, who, "POST", "token/delete", json!({"token_id": info["token_id"]})).await
    };
    let (status, body) = delete(ada(), &others["token_info"]).await;
    assert_eq!((status, &body["error_code"]), (404, &json!("RESOURCE_DOES_NOT_EXIST")));
    assert_eq!(delete(ada(), info).await, (200, json!({})));
    assert_eq!(delete(ada(), info).await.0, 404);
    assert_eq!(delete(root(), &others["token_info"]).await, (200, json!({})));
    let (_, list) = call(&gateway, ada(), "GET", "token/list", Value::Null).await;
    assert_eq!(ids(&list), [lasting["token_info"]["token_id"].as_str().unwrap()]);
    let targets: Vec<Value> = gateway.audit().iter().map(|line| line["target"].clone()).collect();
    assert_eq!(targets[0], format!("ada/{}", info["token_id"].as_str().unwrap()));
    assert!(!format!("{:?}", gateway.audit()).contains(lasting["token_value"].as_str().unwrap()));
}

#[tokio::test]
async fn wrong_wishes_are_refused() {
    let gateway = Gateway::new("");
    for bad in [
        json!({"lifetime_seconds": 0}),
        json!({"lifetime_seconds": -1}),
        json!({"lifetime_seconds": 1.5}),
        json!({"lifetime_seconds": "60"}),
        json!({"lifetime_seconds": u64::MAX}),
        json!({"comment": 1}),
        json!({"comment": "x".repeat(1025)}),
    ] {
        let (status, body) = call(&gateway, ada(), "POST", "token/create", bad.clone()).await;
        assert_eq!((status, &body["error_code"]), (400, &json!("INVALID_PARAMETER_VALUE")), "{bad}");
    }
    assert_eq!(gateway.control.store.tokens().unwrap(), vec![]);
}

#[tokio::test]
async fn administrators_manage_everybodys_tokens() {
    let gateway = Gateway::new("");
    let on_behalf = "token-management/on-behalf-of/tokens";
    let asked = json!({"application_id": "app-1", "comment": "robot"});
    assert_eq!(call(&gateway, ada(), "POST", on_behalf, asked.clone()).await.0, 403);
    let (status, made) = call(&gateway, root(), "POST", on_behalf, asked).await;
    assert_eq!((status, &made["token_info"]["expiry_time"]), (200, &json!(-1)));
    let target = gateway.audit().last().unwrap()["target"].clone();
    assert_eq!(target, format!("app-1/{}", made["token_info"]["token_id"].as_str().unwrap()));
    let stored = gateway.control.store.tokens_of(PrincipalKind::ServicePrincipal, "app-1").unwrap();
    assert_eq!((stored[0].admin, stored[0].groups.len(), &*stored[0].created_by), (false, 0, "root"));
    assert!(!gateway.control.store.ensure_service_principal("app-1", "").unwrap(), "it is known");
    for bad in [json!({}), json!({"application_id": ""}), json!({"application_id": null})] {
        assert_eq!(call(&gateway, root(), "POST", on_behalf, bad).await.0, 400);
    }

    let (_, own) = call(&gateway, ada(), "POST", "token/create", Value::Null).await;
    let tokens = "token-management/tokens";
    assert_eq!(call(&gateway, ada(), "GET", tokens, Value::Null).await.0, 403);
    let (_, list) = call(&gateway, root(), "GET", tokens, Value::Null).await;
    assert_eq!(ids(&list).len(), 2);
    let (_, list) = call(&gateway, root(), "GET", &format!("{tokens}?created_by_username=ada"), Value::Null).await;
    let own = own["token_info"]["token_id"].as_str().unwrap();
    assert_eq!(ids(&list), [own]);
    let one = format!("{tokens}/{own}");
    assert_eq!(call(&gateway, ada(), "DELETE", &one, Value::Null).await.0, 403);
    assert_eq!(call(&gateway, root(), "DELETE", &one, Value::Null).await, (200, json!({})));
    assert_eq!(call(&gateway, root(), "DELETE", &one, Value::Null).await.0, 404);
}

#[tokio::test]
async fn me_names_the_workspace() {
    let gateway = Gateway::new("");
    let (status, headers, body) = gateway.call(ada(), "GET", "/api/2.0/preview/scim/v2/Me", "").await;
    assert_eq!((status, &body["userName"]), (200, &json!("ada")));
    assert_eq!(headers["x-databricks-org-id"], gateway.control.store.workspace_id());
}
