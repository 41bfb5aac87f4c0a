use std::sync::Arc;

use weirgate_policy::identity::{Principal, PrincipalKind, Warrant};

use super::*;

fn caller(name: &str, groups: &[&str], admin: bool) -> Caller {
    let groups = groups.iter().map(|group| Arc::from(*group)).collect();
    let principal = Principal { kind: PrincipalKind::User, name: name.into(), groups, admin };
    Caller { principal: Arc::new(principal), warrant: Warrant::default(), address: None, request_id: "r".into() }
}

struct Fixture {
    folder: tempfile::TempDir,
    store: Store,
    ada: Caller,
    eve: Caller,
    root: Caller,
}

/// A store with the scope `prod` of ada's.
fn fixture() -> Fixture {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path()).unwrap();
    store.unlock(None).unwrap();
    let (ada, eve) = (caller("ada", &[], false), caller("eve", &["team"], false));
    store.create_scope(&ada, "prod", false).unwrap();
    Fixture { folder, store, ada, eve, root: caller("root", &[], true) }
}

fn reason<T>(result: Result<T, ControlError>) -> Reason {
    match result {
        Err(ControlError::Refused(refusal)) => refusal.reason,
        Err(other) => panic!("{other}"),
        Ok(_) => panic!("not refused"),
    }
}

fn keys(list: Vec<Metadata>) -> Vec<String> {
    list.into_iter().map(|secret| secret.key).collect()
}

fn acl(principal: &str, permission: Permission) -> Acl {
    Acl { principal: principal.into(), permission }
}

#[test]
fn secrets_are_put_read_and_deleted() {
    let fixture = fixture();
    let Fixture { store, ada, .. } = &fixture;
    let before = now_ms();
    store.put_secret(ada, "prod", "b", b"first").unwrap();
    store.put_secret(ada, "prod", "b", b"second\n").unwrap();
    store.put_secret(ada, "prod", "a", b"").unwrap();
    store.put_secret(ada, "prod", "binary", &[0xff, 0]).unwrap();
    let list = store.secrets(ada, "prod").unwrap();
    assert!(list.iter().all(|secret| (before..=now_ms()).contains(&secret.updated_at)));
    assert_eq!(keys(list), ["a", "b", "binary"]);
    assert_eq!(store.get("prod", "b").as_deref(), Some("second\n"));
    assert_eq!(store.get("prod", "a").as_deref(), Some(""));
    assert_eq!(store.get("prod", "binary"), None);
    assert_eq!(**store.secret(ada, "prod", "binary").unwrap(), [0xff, 0]);
    assert!(store.has_secret("prod", "a").unwrap() && !store.has_secret("prod", "c").unwrap());
    store.delete_secret(ada, "prod", "a").unwrap();
    assert_eq!(reason(store.delete_secret(ada, "prod", "a")), Reason::ResourceNotFound);
    assert_eq!(reason(store.secret(ada, "prod", "a")), Reason::ResourceNotFound);
    assert_eq!((store.get("prod", "a"), store.get("none", "a")), (None, None));
}

#[test]
fn a_deleted_scope_takes_everything_with_it() {
    let fixture = fixture();
    let Fixture { store, ada, eve, .. } = &fixture;
    store.put_secret(ada, "prod", "a", b"x").unwrap();
    store.put_acl(ada, "prod", &acl("eve", Permission::Manage)).unwrap();
    store.delete_scope(ada, "prod").unwrap();
    assert_eq!(reason(store.delete_scope(ada, "prod")), Reason::ResourceNotFound);
    assert_eq!(store.get("prod", "a"), None);
    store.create_scope(ada, "prod", false).unwrap();
    assert_eq!(keys(store.secrets(ada, "prod").unwrap()), Vec::<String>::new());
    assert_eq!(store.permission(eve, "prod").unwrap(), None);
}

#[test]
fn each_level_does_what_it_may_and_no_more() {
    let fixture = fixture();
    let Fixture { store, ada, eve, root, .. } = &fixture;
    store.put_secret(ada, "prod", "a", b"x").unwrap();
    let calls = |caller: &Caller| {
        [
            store.secrets(caller, "prod").map(drop),
            store.secret(caller, "prod", "a").map(drop),
            store.put_secret(caller, "prod", "a", b"y"),
            store.put_secret(caller, "prod", "gone", b"y").and_then(|()| store.delete_secret(caller, "prod", "gone")),
            store.acls(caller, "prod").map(drop),
            store.put_acl(caller, "prod", &acl("bob", Permission::Read)),
            store.delete_acl(caller, "prod", "bob"),
        ]
        .map(|result| match result {
            Ok(()) => true,
            refused => reason(refused) != Reason::PermissionDenied,
        })
    };
    let (none, all) = ([false; 7], [true; 7]);
    let read = [true, true, false, false, false, false, false];
    let write = [true, true, true, true, false, false, false];
    assert_eq!((calls(eve), calls(root), calls(ada)), (none, all, all));
    // By name, by group, by everyone; the highest entry counts.
    for (principal, permission, expected) in [
        ("users", Permission::Read, read),
        ("team", Permission::Write, write),
        ("eve", Permission::Read, write),
        ("eve", Permission::Manage, all),
    ] {
        store.put_acl(ada, "prod", &acl(principal, permission)).unwrap();
        assert_eq!(calls(eve), expected, "{principal} {permission:?}");
    }
    assert_eq!(store.permission(eve, "prod").unwrap(), Some(Permission::Manage));
    assert_eq!(store.permission(root, "none").unwrap(), None);
    store.delete_acl(ada, "prod", "eve").unwrap();
    assert_eq!(reason(store.delete_scope(eve, "prod")), Reason::PermissionDenied);
    let entries = [acl("ada", Permission::Manage), acl("team", Permission::Write), acl("users", Permission::Read)];
    assert_eq!(store.acls(ada, "prod").unwrap(), entries);
    assert_eq!(reason(store.secrets(eve, "unknown")), Reason::ResourceNotFound);
}

#[test]
fn scopes_are_listed_to_those_who_may_use_them() {
    let fixture = fixture();
    let Fixture { store, ada, eve, root, .. } = &fixture;
    store.create_scope(ada, "shared", true).unwrap();
    store.put_own_secrets("weirgate.own", &[("k".into(), "v")]).unwrap();
    assert_eq!(store.scopes(ada).unwrap(), ["prod", "shared"]);
    assert_eq!(store.scopes(root).unwrap(), ["prod", "shared"]);
    assert_eq!(store.scopes(eve).unwrap(), ["shared"]);
    assert_eq!(store.acls(eve, "shared").unwrap(), [acl("users", Permission::Manage)]);
    assert_eq!(reason(store.create_scope(eve, "prod", false)), Reason::ScopeExists);
}

#[test]
fn names_and_sizes_are_limited() {
    let fixture = fixture();
    let Fixture { store, ada, root, .. } = &fixture;
    let longest = "x".repeat(128);
    store.create_scope(ada, &longest, false).unwrap();
    store.put_secret(ada, "prod", &longest, b"").unwrap();
    for bad in ["", "a b", "a/b", "ä", "a{b", "weirgate.x", &"x".repeat(129)] {
        assert_eq!(reason(store.create_scope(root, bad, false)), Reason::InvalidParameter, "{bad}");
        assert_eq!(reason(store.put_secret(root, bad, "k", b"")), Reason::InvalidParameter, "{bad}");
        if bad != "weirgate.x" {
            assert_eq!(reason(store.put_secret(root, "prod", bad, b"")), Reason::InvalidParameter, "{bad}");
        }
    }
    store.put_secret(ada, "prod", "big", &vec![b'x'; MAX_VALUE]).unwrap();
    assert_eq!(reason(store.put_secret(ada, "prod", "big", &vec![b'x'; MAX_VALUE + 1])), Reason::InvalidParameter);
    assert_eq!(store.get("prod", "big").unwrap().len(), MAX_VALUE);
}

#[test]
fn a_scope_holds_a_thousand_secrets_and_they_can_still_be_changed() {
    let fixture = fixture();
    let Fixture { store, ada, .. } = &fixture;
    let fill = "WITH RECURSIVE n (n) AS (VALUES (1) UNION ALL SELECT n + 1 FROM n WHERE n < 999) \
                INSERT INTO secrets SELECT 'prod', 'k' || n, zeroblob(30), 0 FROM n";
    store.write(|transaction| Ok(transaction.execute(fill, [])?)).unwrap();
    store.put_secret(ada, "prod", "last", b"x").unwrap();
    assert_eq!(reason(store.put_secret(ada, "prod", "one-more", b"x")), Reason::InvalidParameter);
    assert!(!store.has_secret("prod", "one-more").unwrap());
    store.put_secret(ada, "prod", "last", b"y").unwrap();
    store.delete_secret(ada, "prod", "k1").unwrap();
    store.put_secret(ada, "prod", "one-more", b"x").unwrap();
}

#[test]
fn own_secrets_are_swept_when_no_document_names_them() {
    let fixture = fixture();
    let Fixture { store, ada, .. } = &fixture;
    let value = |key: &str| (key.to_owned(), "value");
    store.put_secret(ada, "prod", "a", b"x").unwrap();
    store.put_own_secrets("weirgate.one", &[value("kept"), value("old")]).unwrap();
    store.put_own_secrets("weirgate.two", &[value("old")]).unwrap();
    let in_use = |scope: &str, key: &str| (scope, key) == ("weirgate.one", "kept");
    // What is sealed a moment before its document is there stays, and so does what a file that comes back may name.
    let week = now_ms() + KEPT_UNUSED;
    assert_eq!(store.sweep_own_secrets(week - 60_000, in_use).unwrap(), 0);
    assert_eq!(store.sweep_own_secrets(week + 60_000, in_use).unwrap(), 2);
    assert_eq!(store.sweep_own_secrets(week + 60_000, in_use).unwrap(), 0);
    // That one is in use is noted: it stays for as long again from then on.
    assert_eq!(store.sweep_own_secrets(week + KEPT_UNUSED / 2, |_, _| false).unwrap(), 0);
    let left = "SELECT group_concat(name) FROM (SELECT name FROM scopes ORDER BY name)";
    let left: String = store.read(|c| Ok(c.query_row(left, [], |row| row.get(0))?)).unwrap();
    assert_eq!(left, "prod,weirgate.one");
    assert!(store.has_secret("prod", "a").unwrap());
    assert_eq!(store.get("weirgate.one", "kept").as_deref(), Some("value"));
}

#[test]
fn no_value_is_on_disk_and_a_moved_one_does_not_open() {
    let fixture = fixture();
    let Fixture { folder, store, ada, .. } = &fixture;
    let planted = b"sk-planted-4f9a1c";
    store.put_secret(ada, "prod", "a", planted).unwrap();
    store.put_secret(ada, "prod", "b", b"other").unwrap();
    store.put_own_secrets("weirgate.own", &[("a".into(), std::str::from_utf8(planted).unwrap())]).unwrap();
    store.backup(&folder.path().join("copy.db")).unwrap();
    store.rotate_master_key(None).unwrap();
    let mut files = 0;
    for file in std::fs::read_dir(folder.path()).unwrap() {
        let bytes = std::fs::read(file.unwrap().path()).unwrap();
        assert!(!bytes.windows(planted.len()).any(|window| window == planted));
        files += 1;
    }
    assert!(files >= 4, "database, its log, the backup and the key");
    let swap =
        "UPDATE secrets SET sealed = (SELECT sealed FROM secrets WHERE key = 'a' AND scope = 'prod') WHERE key = 'b'";
    store.write(|transaction| Ok(transaction.execute(swap, [])?)).unwrap();
    assert_eq!(store.get("prod", "b"), None);
    assert_eq!(store.get("prod", "a").unwrap().as_bytes(), planted);
}

#[test]
fn who_is_no_administrator_makes_a_hundred_scopes() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path()).unwrap();
    let (ada, root) = (caller("ada", &[], false), caller("root", &[], true));
    for n in 0..100 {
        store.create_scope(&ada, &format!("a{n}"), false).unwrap();
    }
    assert!(matches!(store.create_scope(&ada, "one-more", false), Err(ControlError::Refused(_))));
    store.create_scope(&caller("eve", &[], false), "eves", false).unwrap();
    for n in 0..101 {
        store.create_scope(&root, &format!("r{n}"), false).unwrap();
    }
    store.delete_scope(&ada, "a0").unwrap();
    store.create_scope(&ada, "one-more", false).unwrap();
}
