use weirgate_config::NoSecrets;
use weirgate_policy::identity::ADMINS;

use super::*;

/// SHA-256 of `listed`.
const LISTED: &str = "56547a7cc8bbf46bb4aa2f18a097fee842ce6e94ca4c7f5cda6df35c4f5825c9";

fn snapshot(weirgate_yaml: &str) -> Arc<Snapshot> {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("weirgate.yaml"), weirgate_yaml).unwrap();
    Arc::new(weirgate_config::load(folder.path(), &NoSecrets).unwrap())
}

fn user(name: &str, groups: &[&str], admin: bool) -> Principal {
    let groups = groups.iter().map(|group| (*group).into()).collect();
    Principal { kind: PrincipalKind::User, name: name.into(), groups, admin }
}

async fn who(identities: &Identities, token: &str) -> Result<Arc<Principal>, Refusal> {
    identities.authenticate(Some(&HeaderValue::from_str(&format!("Bearer {token}")).unwrap())).await
}

#[tokio::test]
async fn tokens_of_environment_files_and_store_come_in_and_go() {
    let state = tempfile::tempdir().unwrap();
    let store = Store::open(state.path()).unwrap();
    let identities = Identities::new(snapshot(""), store.tokens().unwrap(), Some("of the environment"));
    assert!(who(&identities, "of the environment").await.unwrap().in_group(ADMINS));
    for wrong in ["listed", "of the env", "a.b.c"] {
        assert_eq!(who(&identities, wrong).await.unwrap_err().reason, Reason::Unauthenticated, "{wrong}");
    }
    assert_eq!(identities.authenticate(None).await.unwrap_err().reason, Reason::Unauthenticated);

    let (text, token) = store.create_token(&user("ada", &["research"], false), "test", "", None).unwrap();
    assert!(who(&identities, &text).await.is_err(), "not before the directory has it");
    identities.reload(&store);
    assert!(who(&identities, &text).await.unwrap().in_group("research"));

    let listed = format!("authentication: {{ tokens: [ {{ sha256: {LISTED}, user: bob }} ] }}");
    identities.configure(&snapshot(&listed));
    assert_eq!(&*who(&identities, "listed").await.unwrap().name, "bob");
    assert!(who(&identities, &text).await.is_ok());

    store.delete_token(&token.id, None).unwrap();
    identities.reload(&store);
    identities.configure(&snapshot(""));
    assert!(who(&identities, &text).await.is_err() && who(&identities, "listed").await.is_err());
}

#[tokio::test]
async fn a_token_that_has_expired_is_refused_without_a_reload() {
    let state = tempfile::tempdir().unwrap();
    let store = Store::open(state.path()).unwrap();
    let (text, token) = store.create_token(&user("ada", &[], false), "test", "", Some(1)).unwrap();
    let identities = Identities::new(snapshot(""), store.tokens().unwrap(), None);
    while now_ms() < token.expires_at.unwrap() {
        // Right until its end, unless the end came in between.
        assert!(who(&identities, &text).await.is_ok() || now_ms() >= token.expires_at.unwrap());
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    assert!(who(&identities, &text).await.is_err());
}

#[tokio::test]
async fn the_configuration_decides_over_the_groups_of_a_principal() {
    let state = tempfile::tempdir().unwrap();
    let store = Store::open(state.path()).unwrap();
    let (text, _) = store.create_token(&user("ada", &["old"], true), "test", "", None).unwrap();
    let identities = Identities::new(snapshot(""), store.tokens().unwrap(), None);
    assert!(who(&identities, &text).await.unwrap().admin);
    identities.configure(&snapshot("authentication: { principals: [ { user: ada, groups: [new] } ] }"));
    let ada = who(&identities, &text).await.unwrap();
    assert!(ada.in_group("new") && !ada.in_group("old") && !ada.in_group(ADMINS));
    identities.configure(&snapshot(""));
    assert!(who(&identities, &text).await.unwrap().admin);
}
