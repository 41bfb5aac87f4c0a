use proptest::prelude::*;
use serde_json::json;

use super::*;

/// Issuers with keys, and a token that they accept.
async fn world() -> (Arc<Issuers>, String) {
    let signer = Signer::p256("k");
    let (_provider, config, issuers) = one_key(&signer).await;
    let token = signer.token(&claims(&config));
    assert!(authenticate(&issuers, &token).await.is_some());
    (issuers, token)
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
}

#[test]
fn bytes_never_authenticate() {
    let runtime = runtime();
    let (issuers, token) = runtime.block_on(world());
    let (header, _) = token.split_once('.').unwrap();
    let part = prop_oneof![
        proptest::collection::vec(any::<u8>(), 0..200),
        "[ -~]{0,60}".prop_map(String::into_bytes),
        Just(br#"{"alg":"ES256","kid":"k"}"#.to_vec()),
    ];
    let strategy = prop_oneof![
        proptest::collection::vec(any::<u8>(), 0..400),
        "[A-Za-z0-9_.-]{0,300}".prop_map(String::into_bytes),
        // Well-formed on the outside.
        (part.clone(), part.clone(), part.clone())
            .prop_map(|(a, b, c)| [a, b, c].map(signer::b64).join(".").into_bytes()),
        (part.clone(), part).prop_map({
            let header = header.to_owned();
            move |(b, c)| format!("{header}.{}.{}", signer::b64(b), signer::b64(c)).into_bytes()
        }),
    ];
    proptest!(ProptestConfig::with_cases(1000), |(bytes in strategy)| {
        issuers.concerns(&bytes);
        prop_assert!(runtime.block_on(issuers.authenticate(&bytes, NOW)).is_none());
    });
}

#[test]
fn claims_of_any_shape_are_judged() {
    let runtime = runtime();
    let signer = Signer::ed25519("k");
    let (_provider, config, issuers) = runtime.block_on(one_key(&signer));
    let leaf = prop_oneof![
        Just(json!(null)),
        any::<bool>().prop_map(|b| json!(b)),
        any::<i64>().prop_map(|n| json!(n)),
        any::<f64>().prop_map(|n| json!(n)),
        "\\PC{0,20}".prop_map(|s| json!(s)),
    ];
    let value = leaf.prop_recursive(3, 16, 4, |inner| proptest::collection::vec(inner, 0..4).prop_map(|v| json!(v)));
    let name = proptest::sample::select(vec!["aud", "exp", "nbf", "iat", "email", "azp", "groups"]);
    proptest!(|(changes in proptest::collection::vec((name, value), 1..4))| {
        let mut claims = claims(&config);
        for (name, value) in changes {
            claims[name] = value;
        }
        if let Some(found) = runtime.block_on(authenticate(&issuers, &signer.token(&claims))) {
            prop_assert!(found.expires_at.is_some_and(|end| end > NOW));
            prop_assert!(!found.principal.name.is_empty());
        }
    });
}

#[test]
fn a_changed_byte_spoils_a_token() {
    let runtime = runtime();
    let (issuers, token) = runtime.block_on(world());
    for place in 0..token.len() {
        for change in [1, 2, 4, 8, 16, 32, 64, 128] {
            let mut bytes = token.clone().into_bytes();
            bytes[place] ^= change;
            assert!(runtime.block_on(issuers.authenticate(&bytes, NOW)).is_none(), "byte {place} changed by {change}");
        }
        let mut shorter = token.clone();
        shorter.remove(place);
        assert!(runtime.block_on(authenticate(&issuers, &shorter)).is_none(), "byte {place} taken out");
    }
}
