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
    identities
        .authenticate(Some(&HeaderValue::from_str(&format!("Bearer {token}")).unwrap()))
        .await
        .map(|(principal, _)| principal)
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

#[tokio::test]
async fn a_minted_token_is_worth_what_is_left_of_what_it_was_minted_with() {
    let state = tempfile::tempdir().unwrap();
    let store = Store::open(state.path()).unwrap();
    let listed = |rights: &str| format!("authentication: {{ tokens: [ {{ sha256: {LISTED}, user: ann{rights} }} ] }}");
    let identities = Identities::new(snapshot(&listed(", admin: true, groups: [a]")), Vec::new(), None);
    let header = |token: &str| HeaderValue::from_str(&format!("Bearer {token}")).unwrap();
    let (ann, warrant) = identities.authenticate(Some(&header("listed"))).await.unwrap();
    let (minted, _) = store.mint_token(&ann, warrant, "ann", "", None).unwrap();
    identities.reload(&store);
    let (same, warrant) = identities.authenticate(Some(&header(&minted))).await.unwrap();
    assert!(same.in_group(ADMINS) && same.in_group("a"));
    // A token of a minted one rests on the same.
    let (second, _) = store.mint_token(&same, warrant, "ann", "", None).unwrap();
    identities.reload(&store);
    for (rights, admin, group) in
        [(Some(", groups: [a, b]"), false, true), (Some(", admin: true"), true, false), (None, false, false)]
    {
        identities.configure(&snapshot(&rights.map_or_else(String::new, listed)));
        for token in [&minted, &second] {
            let ann = who(&identities, token).await.unwrap();
            assert_eq!(
                (ann.in_group(ADMINS), ann.in_group("a"), ann.in_group("b")),
                (admin, group, false),
                "{rights:?}"
            );
        }
    }
    let claimed = Warrant { source: Source::Claimed, ends_at: Some(now_ms() + 200) };
    let (short, _) = store.mint_token(&user("eve", &["a"], true), claimed, "eve", "", None).unwrap();
    identities.reload(&store);
    assert!(who(&identities, &short).await.unwrap().in_group(ADMINS) || now_ms() >= claimed.ends_at.unwrap());
    tokio::time::sleep(std::time::Duration::from_millis(250)).await;
    let eve = who(&identities, &short).await.unwrap();
    assert!(!eve.in_group(ADMINS) && !eve.in_group("a"), "the claims are over");
}
