use serde_json::{Value, json};

use super::*;
use crate::api::fixture;

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
