use serde_json::{Value, json};

use super::*;
use crate::api::fixture::{self, Gateway, user};

fn grants(list: Value) -> Vec<PermissionSpec> {
    serde_json::from_value(list).unwrap()
}

fn shown(document: &str) -> Value {
    let snapshot = fixture::snapshot(document);
    serde_json::to_value(view("0123", &snapshot.endpoints["mine"].document)).unwrap()
}

fn inherited() -> Value {
    json!({"permission_level": "CAN_MANAGE", "inherited": true, "inherited_from_object": ["/serving-endpoints/"]})
}

#[test]
fn admins_are_always_there() {
    let direct = |level: &str| json!({"permission_level": level, "inherited": false});
    assert_eq!(
        shown("permissions: [{ user_name: ada, permission_level: CAN_MANAGE }]"),
        json!({
            "object_id": "/serving-endpoints/0123",
            "object_type": "serving-endpoint",
            "access_control_list": [
                {"user_name": "ada", "all_permissions": [direct("CAN_MANAGE")]},
                {"group_name": "admins", "all_permissions": [inherited()]},
            ],
        })
    );
    assert_eq!(
        shown("permissions: [{ group_name: admins, permission_level: CAN_VIEW }]")["access_control_list"],
        json!([{"group_name": "admins", "all_permissions": [direct("CAN_VIEW"), inherited()]}])
    );
    assert_eq!(shown("permissions: []")["access_control_list"].as_array().unwrap().len(), 1);
}

#[test]
fn without_grants_everyone_may_query() {
    let list = shown("")["access_control_list"].clone();
    assert_eq!(list[0]["group_name"], "users");
    assert_eq!(list[0]["all_permissions"][0]["permission_level"], "CAN_QUERY");
}

#[test]
fn patch_overrides_the_same_principal_and_keeps_the_others() {
    let had = grants(json!([
        {"user_name": "ada", "permission_level": "CAN_VIEW"},
        {"group_name": "ada", "permission_level": "CAN_QUERY"},
    ]));
    let asked = grants(json!([{"user_name": "ada", "permission_level": "CAN_MANAGE"}]));
    let expected = grants(json!([
        {"group_name": "ada", "permission_level": "CAN_QUERY"},
        {"user_name": "ada", "permission_level": "CAN_MANAGE"},
    ]));
    assert_eq!(merged(had.clone(), &asked), expected);
    assert_eq!(replaced(had, &asked), asked);
}

#[test]
fn one_principal_per_entry_and_one_entry_per_principal() {
    assert!(
        each_names_one(&grants(json!([
            {"user_name": "ada", "permission_level": "CAN_VIEW"},
            {"service_principal_name": "ada", "permission_level": "CAN_VIEW"},
        ])))
        .is_ok()
    );
    let at = |list: Value| {
        let refusal = each_names_one(&grants(list)).unwrap_err();
        assert_eq!(refusal.reason, Reason::InvalidParameter);
        refusal.param.unwrap()
    };
    assert_eq!(at(json!([{"permission_level": "CAN_VIEW"}])), "access_control_list[0]");
    let both = json!({"user_name": "a", "group_name": "b", "permission_level": "CAN_VIEW"});
    assert_eq!(at(json!([both])), "access_control_list[0]");
    let ada = json!({"user_name": "ada", "permission_level": "CAN_VIEW"});
    assert_eq!(at(json!([ada, {"user_name": "ada", "permission_level": "CAN_QUERY"}])), "access_control_list[1]");
}

/// Status and body of a request to the permissions of `mine`.
async fn call(gateway: &Gateway, who: (&str, bool), method: &str, list: Value) -> (u16, Value) {
    let path = format!("/api/2.0/permissions/serving-endpoints/{}", gateway.id("mine"));
    let body = if list.is_null() { String::new() } else { json!({"access_control_list": list}).to_string() };
    let (status, _, body) = gateway.call(user(who.0, who.1), method, &path, &body).await;
    (status, body)
}

#[tokio::test]
async fn grants_are_part_of_the_document() {
    let gateway = Gateway::new("");
    let root = ("root", true);
    let (status, body) =
        call(&gateway, root, "PATCH", json!([{"user_name": "ada", "permission_level": "CAN_MANAGE"}])).await;
    assert_eq!((status, &body["object_id"]), (200, &json!(format!("/serving-endpoints/{}", gateway.id("mine")))));
    let everyone = json!({"group_name": "users", "permission_level": "CAN_QUERY"});
    let ada = json!({"user_name": "ada", "permission_level": "CAN_MANAGE"});
    assert_eq!(gateway.document("mine")["permissions"], json!([everyone, ada]));

    let bob = json!({"user_name": "bob", "permission_level": "CAN_VIEW"});
    let (status, body) = call(&gateway, ("ada", false), "PUT", json!([bob])).await;
    assert_eq!((status, &body["access_control_list"][0]["user_name"]), (200, &json!("bob")));
    assert_eq!(gateway.document("mine")["permissions"], json!([bob]));
    // She has removed herself: administrators remain.
    assert_eq!(call(&gateway, ("ada", false), "GET", Value::Null).await.0, 403);
    assert_eq!(call(&gateway, ("bob", false), "GET", Value::Null).await.0, 200);
    assert_eq!(call(&gateway, ("bob", false), "PATCH", json!([ada])).await.0, 403);
    // Without a list all direct grants go.
    assert_eq!(call(&gateway, root, "PUT", Value::Null).await.0, 200);
    assert_eq!(gateway.document("mine")["permissions"], json!([]));

    let told = gateway.audit();
    let told: Vec<_> = told.iter().map(|e| json!([e["action"], e["target"], e["outcome"]])).collect();
    assert_eq!(told[0], json!(["permissions.update", "mine", "ok"]));
    assert_eq!(told[2], json!(["permissions.update", "mine", "permission_denied"]));
}

#[tokio::test]
async fn what_is_wrong_changes_nothing() {
    let gateway = Gateway::new("managed_by: file");
    let grant = json!([{"user_name": "ada", "permission_level": "CAN_VIEW"}]);
    let by_name = "/api/2.0/permissions/serving-endpoints/mine";
    let (status, _, body) = gateway.call(user("root", true), "PUT", by_name, "{}").await;
    assert_eq!((status, &body["error_code"]), (404, &json!("RESOURCE_DOES_NOT_EXIST")));
    let (status, body) = call(&gateway, ("root", true), "PUT", grant).await;
    assert_eq!((status, &body["error_code"]), (403, &json!("PERMISSION_DENIED")));
    let (status, body) = call(&gateway, ("root", true), "PUT", json!([{"permission_level": "CAN_VIEW"}])).await;
    assert_eq!((status, &body["error_code"]), (400, &json!("INVALID_PARAMETER_VALUE")));
    assert!(gateway.document("mine").get("permissions").is_none());
}

#[tokio::test]
async fn levels_are_for_who_may_see_the_endpoint() {
    let gateway = Gateway::new("permissions: [{ user_name: ada, permission_level: CAN_VIEW }]");
    let path = format!("/api/2.0/permissions/serving-endpoints/{}/permissionLevels", gateway.id("mine"));
    let (_, _, body) = gateway.call(user("ada", false), "GET", &path, "").await;
    let levels: Vec<_> = body["permission_levels"].as_array().unwrap().iter().map(|l| &l["permission_level"]).collect();
    assert_eq!(levels, ["CAN_VIEW", "CAN_QUERY", "CAN_MANAGE"]);
    assert_eq!(gateway.call(user("bob", false), "GET", &path, "").await.0, 403);
}
