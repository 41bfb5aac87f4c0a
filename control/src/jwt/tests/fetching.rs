use std::time::Instant;

use serde_json::json;

use super::*;
use crate::jwt::Refused;
use crate::jwt::fetch::Fetcher;

/// Moves the tests' clock on; sockets need real time, so it stands still only for the moment.
async fn pass(time: Duration) {
    tokio::time::pause();
    tokio::time::advance(time).await;
    tokio::time::resume();
}

/// Waits for the provider to have been asked once more than `before`, and the answer to be taken.
async fn fetched_after(provider: &Provider, before: usize) {
    for _ in 0..500 {
        if provider.fetches() > before {
            return tokio::time::sleep(Duration::from_millis(100)).await;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("nobody asked for the keys");
}

#[tokio::test]
async fn a_new_key_is_fetched_when_a_token_names_it() {
    let (old, new) = (Signer::p256("old"), Signer::p256("new"));
    let (provider, config, issuers) = one_key(&old).await;
    let (old_token, new_token) = (old.token(&claims(&config)), new.token(&claims(&config)));
    assert!(authenticate(&issuers, &old_token).await.is_some());
    provider.publish(vec![old.jwk(), new.jwk()]);
    pass(Duration::from_secs(11)).await;
    assert!(authenticate(&issuers, &new_token).await.is_some());
    assert!(authenticate(&issuers, &old_token).await.is_some());
    assert_eq!(provider.fetches(), 2);
}

#[tokio::test]
async fn a_key_taken_back_is_of_no_use_after_the_next_fetch() {
    let (old, new) = (Signer::p256("old"), Signer::p256("new"));
    let (provider, config, issuers) = one_key(&old).await;
    let token = old.token(&claims(&config));
    assert!(authenticate(&issuers, &token).await.is_some());
    provider.publish(vec![new.jwk()]);
    pass(Duration::from_secs(301)).await;
    fetched_after(&provider, 1).await;
    assert!(authenticate(&issuers, &token).await.is_none(), "a remembered verdict outlived its key");
    assert!(authenticate(&issuers, &new.token(&claims(&config))).await.is_some());
}

#[tokio::test]
async fn verdicts_outlive_a_fetch_of_the_same_keys() {
    let signer = Signer::p256("k");
    let (provider, config, issuers) = one_key(&signer).await;
    assert!(authenticate(&issuers, &signer.token(&claims(&config))).await.is_some());
    let keys = issuers.table.load().issuers[0].keys_with(None).await.unwrap();
    pass(Duration::from_secs(301)).await;
    fetched_after(&provider, 1).await;
    assert!(issuers.table.load().issuers[0].trusts(&keys));
}

#[tokio::test(flavor = "multi_thread")]
async fn many_who_need_a_key_share_one_fetch() {
    let (old, new) = (Signer::p256("old"), Signer::p256("new"));
    let provider = Provider::start(vec![old.jwk(), new.jwk()]).await;
    let config = config(&provider);
    let issuers = running(std::slice::from_ref(&config), true);
    let all = |count: usize, signer: &Signer| {
        let tasks: Vec<_> = (0..count)
            .map(|n| {
                let mut claims = claims(&config);
                claims["email"] = format!("user{n}").into();
                let (issuers, token) = (issuers.clone(), signer.token(&claims));
                tokio::spawn(async move { authenticate(&issuers, &token).await.is_some() })
            })
            .collect();
        async { futures_util::future::join_all(tasks).await.into_iter().filter(|good| *good.as_ref().unwrap()).count() }
    };
    assert_eq!(all(100, &new).await, 100);
    assert_eq!(provider.fetches(), 1, "the first keys");
    // Ids that nobody has, soon after a fetch: refused at once, and nobody is asked.
    let begin = Instant::now();
    assert_eq!(all(1000, &Signer::p256("nobody's")).await, 0);
    assert!(begin.elapsed() < Duration::from_secs(4), "{:?}", begin.elapsed());
    assert_eq!(provider.fetches(), 1);
}

#[tokio::test]
async fn a_flood_of_unknown_ids_is_no_flood_of_fetches() {
    let (signer, stranger, new) = (Signer::p256("k"), Signer::p256("?"), Signer::p256("new"));
    let (provider, config, issuers) = one_key(&signer).await;
    assert!(authenticate(&issuers, &signer.token(&claims(&config))).await.is_some());
    pass(Duration::from_secs(11)).await;
    for n in 0..200 {
        let header = json!({"alg": "ES256", "kid": format!("k{n}")});
        assert!(authenticate(&issuers, &stranger.token_with(&header, &claims(&config))).await.is_none());
    }
    assert_eq!(provider.fetches(), 2);
    provider.publish(vec![new.jwk()]);
    pass(Duration::from_secs(11)).await;
    assert!(authenticate(&issuers, &new.token(&claims(&config))).await.is_some());
    assert_eq!(provider.fetches(), 3);
}

#[tokio::test]
async fn an_outage_is_bridged_for_a_day() {
    let signer = Signer::p256("k");
    let (provider, config, issuers) = one_key(&signer).await;
    let token = |n: usize| {
        let mut claims = claims(&config);
        claims["email"] = format!("user{n}").into();
        signer.token(&claims)
    };
    assert!(authenticate(&issuers, &token(0)).await.is_some());
    provider.set_down(true);
    pass(Duration::from_secs(3600)).await;
    fetched_after(&provider, 1).await;
    assert!(authenticate(&issuers, &token(1)).await.is_some());
    pass(Duration::from_secs(23 * 3600)).await;
    assert!(authenticate(&issuers, &token(1)).await.is_none(), "a remembered verdict outlived its key");
    assert!(authenticate(&issuers, &token(2)).await.is_none());
    provider.set_down(false);
    let before = provider.fetches();
    pass(Duration::from_secs(61)).await;
    fetched_after(&provider, before).await;
    assert!(authenticate(&issuers, &token(3)).await.is_some());
}

#[tokio::test]
async fn answers_that_are_no_key_set_change_nothing() {
    let signer = Signer::p256("k");
    let (provider, config, issuers) = one_key(&signer).await;
    assert!(authenticate(&issuers, &signer.token(&claims(&config))).await.is_some());
    let many = json!({"keys": (0..101).map(|_| signer.jwk()).collect::<Vec<_>>()}).to_string();
    for (n, body) in
        ["".into(), "[]".into(), "{\"keys\":7}".into(), many, " ".repeat((1 << 20) + 1)].into_iter().enumerate()
    {
        provider.publish_text(body);
        let before = provider.fetches();
        pass(Duration::from_secs(301)).await;
        fetched_after(&provider, before).await;
        let mut claims = claims(&config);
        claims["email"] = format!("user{n}").into();
        assert!(authenticate(&issuers, &signer.token(&claims)).await.is_some(), "body {n}");
    }
}

#[tokio::test]
async fn keys_are_found_by_discovery() {
    let signer = Signer::p256("k");
    let provider = Provider::start(vec![signer.jwk()]).await;
    let mut config = config(&provider);
    config.jwks_url = None;
    assert!(
        authenticate(&running(std::slice::from_ref(&config), true), &signer.token(&claims(&config))).await.is_some()
    );
    for document in [
        json!({"issuer": "https://somebody.else", "jwks_uri": provider.url("/keys")}),
        json!({"issuer": format!("{}/", config.issuer), "jwks_uri": provider.url("/keys")}),
        json!({"issuer": config.issuer, "jwks_uri": "keys"}),
        json!({"issuer": config.issuer}),
        json!({"jwks_uri": provider.url("/keys")}),
    ] {
        provider.describe(document.clone());
        let issuers = running(std::slice::from_ref(&config), true);
        assert!(authenticate(&issuers, &signer.token(&claims(&config))).await.is_none(), "{document}");
    }
    assert_eq!(provider.fetches(), 1);
}

#[tokio::test]
async fn keys_are_fetched_only_from_where_they_may_be() {
    let signer = Signer::p256("k");
    let provider = Provider::start(vec![signer.jwk()]).await;
    let port = provider.url("").rsplit_once(':').unwrap().1.to_owned();
    for (url, allow_private, said) in [
        (provider.url("/keys"), false, "https"),
        ("http://1.1.1.1/keys".into(), false, "https"),
        (format!("https://127.0.0.1:{port}/keys"), false, "private addresses"),
        (format!("https://localhost:{port}/keys"), false, "private addresses"),
        (format!("https://[::ffff:127.0.0.1]:{port}/keys"), false, "private addresses"),
        (format!("https://2130706433:{port}/keys"), false, "private addresses"),
        (provider.url("/moved"), true, "302"),
    ] {
        let mut config = config(&provider);
        config.jwks_url = Some(url.parse().unwrap());
        let why = Fetcher::new(allow_private).keys(&config).await.err().unwrap();
        assert!(why.contains(said), "{url}: {why}");
        let issuers = running(std::slice::from_ref(&config), allow_private);
        assert!(authenticate(&issuers, &signer.token(&claims(&config))).await.is_none(), "{url}");
    }
    assert_eq!(provider.fetches(), 0);
}

#[tokio::test]
async fn a_changed_configuration_counts_at_once() {
    let (one, two) = (Signer::p256("1"), Signer::p256("2"));
    let (first, second) = (Provider::start(vec![one.jwk()]).await, Provider::start(vec![two.jwk()]).await);
    let (mut here, there) = (config(&first), config(&second));
    let issuers = running(&[here.clone(), there.clone()], true);
    let (token, other) = (one.token(&claims(&here)), two.token(&claims(&there)));
    assert!(authenticate(&issuers, &token).await.is_some() && authenticate(&issuers, &other).await.is_some());

    // Other rules, same keys: judged anew without a fetch that could fail.
    first.set_down(true);
    here.audiences = vec!["somebody else".into()];
    issuers.configure(&[here.clone(), there.clone()], true);
    assert_eq!(issuers.judge(token.as_bytes(), NOW).await.unwrap_err(), Refused::Audience);
    here.audiences = vec!["weirgate".into()];
    issuers.configure(&[here.clone(), there.clone()], true);
    assert!(authenticate(&issuers, &token).await.is_some());

    // Another place: its keys and no others.
    here.jwks_url = Some(second.url("/keys").parse().unwrap());
    issuers.configure(&[here.clone(), there.clone()], true);
    assert!(authenticate(&issuers, &token).await.is_none());
    assert!(authenticate(&issuers, &two.token(&claims(&here))).await.is_some());

    issuers.configure(std::slice::from_ref(&there), true);
    assert!(authenticate(&issuers, &two.token(&claims(&here))).await.is_none());
    assert!(authenticate(&issuers, &other).await.is_some());
    issuers.configure(&[there], false);
    assert!(authenticate(&issuers, &other).await.is_none());
}

#[tokio::test]
async fn verdicts_are_bounded_in_time_and_number() {
    let signer = Signer::ed25519("k");
    let (_provider, config, issuers) = one_key(&signer).await;
    let token = signer.token(&claims(&config));
    let at = |now| issuers.authenticate(token.as_bytes(), now);
    assert!(at(NOW).await.is_some());
    assert!(at(NOW + 1059).await.is_some());
    assert!(at(NOW + 1060).await.is_none());
    assert!(at(NOW).await.is_some());
    let issuer = issuers.table.load().issuers[0].clone();
    let keys = issuer.keys_with(None).await.unwrap();
    let credential = at(NOW).await.unwrap();
    for n in 0..20_000u32 {
        let hash = weirgate_policy::identity::hash_token(&n.to_be_bytes());
        let verdict =
            crate::jwt::Verdict::new(credential.clone(), issuer.clone(), keys.clone(), NOW + u64::from(n) / 100);
        issuers.verdicts.put(hash, verdict, NOW);
    }
    assert_eq!(issuers.verdicts.len(), 16 * 1024);
    let last = weirgate_policy::identity::hash_token(&19_999u32.to_be_bytes());
    let first = weirgate_policy::identity::hash_token(&0u32.to_be_bytes());
    assert!(issuers.verdicts.get(&last, NOW).is_some() && issuers.verdicts.get(&first, NOW).is_none());
    assert!(issuers.verdicts.get(&last, NOW + 500).is_none());
}
