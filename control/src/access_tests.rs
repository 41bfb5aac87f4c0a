use super::*;
use crate::api::fixture::{snapshot, user};

#[test]
fn the_document_decides() {
    let granted = "permissions: [{ user_name: ada, permission_level: CAN_MANAGE }, { group_name: team, permission_level: CAN_VIEW }]";
    let snapshot = snapshot(granted);
    let mine = &snapshot.endpoints["mine"];
    assert_eq!(level(mine, &user("ada", false)), Some(Level::Manage));
    assert_eq!(level(mine, &user("bob", false)), Some(Level::View));
    assert_eq!(level(mine, &user("root", true)), Some(Level::Manage));
    assert!(require(Level::View, mine, &user("bob", false)).is_ok());
    let refusal = require(Level::Query, mine, &user("bob", false)).unwrap_err();
    assert_eq!(refusal.reason, Reason::PermissionDenied);
    assert!(refusal.message.contains("bob needs CAN_QUERY on endpoint mine"), "{}", refusal.message);
}

#[test]
fn without_grants_everyone_may_query_and_admins_manage() {
    let snapshot = snapshot("");
    let mine = &snapshot.endpoints["mine"];
    assert_eq!(level(mine, &user("bob", false)), Some(Level::Query));
    assert!(require(Level::Manage, mine, &user("bob", false)).is_err());
    assert!(require(Level::Manage, mine, &user("root", true)).is_ok());
}

#[test]
fn a_file_may_keep_its_endpoint_to_itself() {
    assert!(changeable(&snapshot("").endpoints["mine"]).is_ok());
    let refusal = changeable(&snapshot("managed_by: file").endpoints["mine"]).unwrap_err();
    assert_eq!(refusal.reason, Reason::PermissionDenied);
    assert!(refusal.message.contains("endpoints/mine.yaml"), "{}", refusal.message);
}
