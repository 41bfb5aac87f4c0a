use std::sync::Arc;

use super::*;

fn store() -> (tempfile::TempDir, Store) {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path()).unwrap();
    (folder, store)
}

fn principal(kind: PrincipalKind, name: &str) -> Principal {
    Principal { kind, name: name.into(), groups: vec![Arc::from("research")], admin: true }
}

const USER: PrincipalKind = PrincipalKind::User;
const PROGRAM: PrincipalKind = PrincipalKind::ServicePrincipal;

#[test]
fn what_is_created_is_listed_and_the_token_itself_is_not_kept() {
    let (folder, store) = store();
    assert_eq!(store.tokens().unwrap(), vec![]);
    let (text, token) = store.create_token(&principal(USER, "ada"), "root", "for a test", Some(60)).unwrap();
    assert!(text.starts_with(PREFIX) && text.len() == PREFIX.len() + 64);
    assert_eq!(token.hash, hash_token(text.as_bytes()));
    assert_eq!(token.expires_at, Some(token.created_at + 60_000));
    assert_eq!((&*token.created_by, &*token.comment, token.admin), ("root", "for a test", true));
    assert_eq!(token.groups, ["research"]);
    drop(store);
    let store = Store::open(folder.path()).unwrap();
    assert_eq!(store.tokens().unwrap(), vec![token]);
    for file in std::fs::read_dir(folder.path()).unwrap() {
        let bytes = std::fs::read(file.unwrap().path()).unwrap();
        let secret = text.trim_start_matches(PREFIX).as_bytes();
        assert!(!bytes.windows(secret.len()).any(|window| window == secret));
    }
}

#[test]
fn expired_tokens_are_left_out_and_removed() {
    let (_folder, store) = store();
    store.create_token(&principal(USER, "ada"), "ada", "", Some(0)).unwrap();
    assert_eq!(store.tokens().unwrap(), vec![]);
    let rows = |store: &Store| {
        store.read(|c| Ok(c.query_row("SELECT count(*) FROM tokens", [], |row| row.get::<_, i64>(0))?)).unwrap()
    };
    assert_eq!(rows(&store), 1);
    let (_, lasting) = store.create_token(&principal(USER, "ada"), "ada", "", Some(u64::MAX)).unwrap();
    assert_eq!(rows(&store), 1);
    assert_eq!(store.tokens().unwrap()[0].id, lasting.id);
}

#[test]
fn owners_see_and_delete_their_own() {
    let (_folder, store) = store();
    let (_, ada) = store.create_token(&principal(USER, "ada"), "ada", "", None).unwrap();
    let (_, program) = store.create_token(&principal(PROGRAM, "ada"), "ada", "", None).unwrap();
    assert_eq!(store.tokens_of(USER, "ada").unwrap(), vec![ada.clone()]);
    assert_eq!(store.tokens_of(PROGRAM, "ada").unwrap(), vec![program.clone()]);
    assert!(!store.delete_token(&ada.id, Some((PROGRAM, "ada"))).unwrap());
    assert!(!store.delete_token(&ada.id, Some((USER, "eve"))).unwrap());
    assert!(store.delete_token(&ada.id, Some((USER, "ada"))).unwrap());
    assert!(!store.delete_token(&ada.id, None).unwrap());
    assert!(store.delete_token(&program.id, None).unwrap());
    assert_eq!(store.tokens().unwrap(), vec![]);
}

#[test]
fn a_service_principal_is_new_once() {
    let (_folder, store) = store();
    assert!(store.ensure_service_principal("app", "root").unwrap());
    assert!(!store.ensure_service_principal("app", "root").unwrap());
}

#[test]
fn concurrent_writers_lose_nothing() {
    let folder = tempfile::tempdir().unwrap();
    std::thread::scope(|scope| {
        for writer in 0..8 {
            let path = folder.path();
            scope.spawn(move || {
                let store = Store::open(path).unwrap();
                for n in 0..5 {
                    store.create_token(&principal(USER, &format!("u{writer}-{n}")), "", "", None).unwrap();
                }
            });
        }
    });
    assert_eq!(Store::open(folder.path()).unwrap().tokens().unwrap().len(), 40);
}

#[test]
fn a_principal_has_ten_thousand_tokens_at_most() {
    let (_folder, store) = store();
    let fill = "WITH RECURSIVE n (n) AS (VALUES (1) UNION ALL SELECT n + 1 FROM n WHERE n < 9999) \
                INSERT INTO tokens SELECT hex(n), randomblob(32), 'user', 'ada', '[]', 0, '', 0, '', NULL, 'own', NULL FROM n";
    store.write(|transaction| Ok(transaction.execute(fill, [])?)).unwrap();
    store.create_token(&principal(USER, "ada"), "", "", None).unwrap();
    assert!(matches!(store.create_token(&principal(USER, "ada"), "", "", None), Err(ControlError::Refused(_))));
    store.create_token(&principal(USER, "eve"), "", "", None).unwrap();
    store.create_token(&principal(PROGRAM, "ada"), "", "", None).unwrap();
    assert_eq!(store.tokens().unwrap().len(), 10_002);
}

#[test]
fn what_the_rights_of_a_minted_token_rest_on_is_kept() {
    let (_folder, store) = store();
    for source in [Source::Own, Source::Configured, Source::Claimed] {
        let warrant = Warrant { source, ends_at: Some(7) };
        let (_, token) = store.mint_token(&principal(USER, "ada"), warrant, "ada", "", None).unwrap();
        assert_eq!(token.warrant, warrant);
        assert!(store.tokens().unwrap().contains(&token));
    }
}
