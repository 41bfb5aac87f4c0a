use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use weirgate_policy::identity::PrincipalKind;

use super::signer::b64;
use super::*;
use crate::jwt::Refused;
use crate::jwt::keys::KeySet;
use crate::jwt::token::Token;

async fn why(issuers: &Issuers, token: &str) -> Refused {
    issuers.judge(token.as_bytes(), NOW).await.unwrap_err()
}

/// `claims` with one of them changed, or taken out by `null`.
fn with(claims: &Value, name: &str, value: Value) -> Value {
    let mut claims = claims.clone();
    claims[name] = value;
    claims
}

#[test]
fn signatures_of_the_standards() {
    let golden: Vec<Value> = serde_json::from_str(include_str!("../../../tests/golden/jws.json")).unwrap();
    for case in golden {
        let text = case["token"].as_str().unwrap();
        let (signed, signature) = text.rsplit_once('.').unwrap();
        let header = URL_SAFE_NO_PAD.decode(signed.split('.').next().unwrap()).unwrap();
        let header: Value = serde_json::from_slice(&header).unwrap();
        let mut token = Token {
            algorithm: serde_json::from_value(header["alg"].clone()).unwrap(),
            key_id: None,
            claims: Default::default(),
            signed: signed.as_bytes(),
            signature: URL_SAFE_NO_PAD.decode(signature).unwrap(),
        };
        let keys = KeySet::parse(json!({"keys": [case["jwk"]]}).to_string().as_bytes()).unwrap();
        assert_eq!(keys.verify(&token), Ok(()), "{}", case["source"]);
        token.signature[7] ^= 1;
        assert_eq!(keys.verify(&token), Err(Refused::Signature), "{}", case["source"]);
    }
}

#[tokio::test]
async fn every_algorithm_with_its_kind_of_key_and_no_other() {
    let signers = [Signer::rsa("r"), Signer::p256("p2"), Signer::p384("p3"), Signer::ed25519("e")];
    let provider = Provider::start(signers.iter().map(Signer::jwk).collect()).await;
    let config = config(&provider);
    let issuers = running(std::slice::from_ref(&config), true);
    let fitting = |id| match id {
        "r" => &["RS256", "RS384", "RS512", "PS256", "PS384", "PS512"][..],
        "p2" => &["ES256"],
        "p3" => &["ES384"],
        _ => &["EdDSA"],
    };
    for signer in &signers {
        for algorithm in config.algorithms.iter().map(|algorithm| format!("{algorithm:?}")) {
            let token = signer.token_with(&json!({"alg": algorithm, "kid": signer.id}), &claims(&config));
            let good = authenticate(&issuers, &token).await.is_some();
            assert_eq!(good, fitting(signer.id).contains(&algorithm.as_str()), "{algorithm} with {}", signer.id);
        }
    }
}

#[tokio::test]
async fn algorithms_that_nobody_accepts() {
    let signer = Signer::rsa("r");
    let (_provider, config, issuers) = one_key(&signer).await;
    for algorithm in ["none", "None", "HS256", "HS512", "ES512", "RSA-OAEP", "rs256", ""] {
        let token = signer.token_with(&json!({"alg": algorithm, "kid": "r"}), &claims(&config));
        assert_eq!(why(&issuers, &token).await, Refused::Algorithm, "{algorithm}");
        let (signed, _) = token.rsplit_once('.').unwrap();
        assert_eq!(why(&issuers, &format!("{signed}.")).await, Refused::Algorithm, "{algorithm}, unsigned");
    }
    let unsigned = signer.token(&claims(&config));
    let (signed, _) = unsigned.rsplit_once('.').unwrap();
    assert_eq!(why(&issuers, &format!("{signed}.")).await, Refused::Signature);
}

#[tokio::test]
async fn an_issuer_accepts_only_its_algorithms_and_a_key_only_its_own() {
    let signer = Signer::rsa("r");
    let mut jwk = signer.jwk();
    jwk["alg"] = "RS512".into();
    let provider = Provider::start(vec![jwk]).await;
    let mut config = config(&provider);
    config.algorithms = vec![JwtAlgorithm::RS256, JwtAlgorithm::RS512];
    let issuers = running(std::slice::from_ref(&config), true);
    let token = |algorithm: &str| signer.token_with(&json!({"alg": algorithm, "kid": "r"}), &claims(&config));
    assert_eq!(why(&issuers, &token("PS256")).await, Refused::Algorithm);
    assert_eq!(why(&issuers, &token("RS256")).await, Refused::Signature);
    assert!(authenticate(&issuers, &token("RS512")).await.is_some());
}

#[tokio::test]
async fn headers() {
    let signer = Signer::p256("k");
    let (_provider, config, issuers) = one_key(&signer).await;
    let token = |header: Value| signer.token_with(&header, &claims(&config));
    let forger = Signer::p256("k");
    for (header, reason) in [
        (json!({"alg": "ES256", "kid": "k", "crit": ["exp"]}), Refused::Critical),
        (json!({"alg": "ES256", "kid": "k", "crit": ["b64"], "b64": false}), Refused::Critical),
        (json!({"alg": "ES256", "kid": "k", "typ": "logout+jwt"}), Refused::Type),
        (json!({"alg": "ES256", "kid": "k", "typ": "dpop+jwt"}), Refused::Type),
        (json!({"kid": "k"}), Refused::Malformed),
        (json!({"alg": ["ES256"], "kid": "k"}), Refused::Malformed),
        (json!({"alg": "ES256", "kid": 7}), Refused::Malformed),
        (json!("ES256"), Refused::Malformed),
    ] {
        assert_eq!(why(&issuers, &token(header.clone())).await, reason, "{header}");
    }
    for header in [
        json!({"alg": "ES256", "kid": "k"}),
        json!({"alg": "ES256", "kid": "k", "typ": "at+jwt"}),
        json!({"alg": "ES256", "kid": "k", "typ": "application/JWT"}),
        json!({"alg": "ES256"}),
        json!({"alg": "ES256", "kid": "k", "jku": "http://127.0.0.1:1/", "jwk": forger.jwk()}),
    ] {
        assert!(authenticate(&issuers, &token(header.clone())).await.is_some(), "{header}");
    }
    let own_key = forger.token_with(&json!({"alg": "ES256", "kid": "k", "jwk": forger.jwk()}), &claims(&config));
    assert_eq!(why(&issuers, &own_key).await, Refused::Signature);
}

#[tokio::test]
async fn claims_that_do_not_hold() {
    let signer = Signer::ed25519("k");
    let (_provider, config, issuers) = one_key(&signer).await;
    let good = claims(&config);
    let names = |count: usize| (0..count).map(|n| format!("g{n}")).collect::<Vec<_>>();
    for (name, value, reason) in [
        ("iss", Value::Null, Refused::Claim("iss")),
        ("iss", json!([config.issuer]), Refused::Claim("iss")),
        ("iss", json!(config.issuer.to_uppercase()), Refused::Issuer),
        ("iss", json!(format!("{}/", config.issuer)), Refused::Issuer),
        ("aud", Value::Null, Refused::Claim("aud")),
        ("aud", json!(7), Refused::Claim("aud")),
        ("aud", json!("weirgate2"), Refused::Audience),
        ("aud", json!("Weirgate"), Refused::Audience),
        ("aud", json!([]), Refused::Audience),
        ("aud", json!(["x", 7]), Refused::Audience),
        ("exp", Value::Null, Refused::Claim("exp")),
        ("exp", json!("1900000000"), Refused::Claim("exp")),
        ("exp", json!(-1), Refused::Claim("exp")),
        ("exp", json!(1e300), Refused::Claim("exp")),
        ("exp", json!(NOW - 60), Refused::Expired),
        ("exp", json!(0), Refused::Expired),
        ("nbf", json!(NOW + 61), Refused::NotYet),
        ("nbf", json!("now"), Refused::Claim("nbf")),
        ("iat", json!(NOW + 361), Refused::NotYet),
        ("iat", json!({}), Refused::Claim("iat")),
        ("email", Value::Null, Refused::Nobody),
        ("email", json!(7), Refused::Claim("of the user")),
        ("email", json!(""), Refused::Claim("of the user")),
        ("email", json!("a\nb"), Refused::Claim("of the user")),
        ("email", json!("x".repeat(256)), Refused::Claim("of the user")),
        ("groups", json!(7), Refused::Claim("of groups")),
        ("groups", json!([7]), Refused::Claim("of groups")),
        ("groups", json!([""]), Refused::Claim("of groups")),
        ("groups", json!(["x".repeat(256)]), Refused::Claim("of groups")),
        ("groups", json!(names(201)), Refused::Claim("of groups")),
    ] {
        let token = signer.token(&with(&good, name, value.clone()));
        assert_eq!(why(&issuers, &token).await, reason, "{name}: {value}");
    }
    for (name, value) in [
        ("aud", json!(["x", "https://other.example"])),
        ("exp", json!(NOW - 59)),
        ("exp", json!(NOW as f64 + 0.5)),
        ("nbf", json!(NOW + 60)),
        ("nbf", Value::Null),
        ("iat", json!(NOW + 360)),
        ("iat", Value::Null),
        ("email", json!("é".repeat(255))),
        ("groups", Value::Null),
        ("groups", json!(names(200))),
    ] {
        assert!(
            authenticate(&issuers, &signer.token(&with(&good, name, value.clone()))).await.is_some(),
            "{name}: {value}"
        );
    }
}

#[tokio::test]
async fn who_it_is() {
    let signer = Signer::ed25519("k");
    let (provider, config, issuers) = one_key(&signer).await;
    let user = authenticate(&issuers, &signer.token(&claims(&config))).await.unwrap();
    assert_eq!((user.principal.kind, &*user.principal.name), (PrincipalKind::User, "ada@x.org"));
    assert_eq!((user.principal.groups.clone(), user.principal.admin), (vec!["research".into(), "ops".into()], false));
    assert_eq!(user.expires_at, Some(NOW + 1060));

    let mut program = claims(&config);
    program["email"] = Value::Null;
    program["azp"] = "robot".into();
    program["groups"] = "a users admins a".into();
    let program = authenticate(&issuers, &signer.token(&program)).await.unwrap();
    assert_eq!((program.principal.kind, &*program.principal.name), (PrincipalKind::ServicePrincipal, "robot"));
    assert_eq!((program.principal.groups.clone(), program.principal.admin), (vec!["a".into()], false));

    let mut prefixed = super::config(&provider);
    prefixed.user_prefix = "okta:".into();
    issuers.configure(std::slice::from_ref(&prefixed), true);
    let user = authenticate(&issuers, &signer.token(&claims(&prefixed))).await.unwrap();
    assert_eq!(&*user.principal.name, "okta:ada@x.org");

    let mut mapped = super::config(&provider);
    mapped.groups = [("0-research".to_owned(), "research".into()), ("0-root".to_owned(), "admins".into())].into();
    issuers.configure(std::slice::from_ref(&mapped), true);
    for (groups, expected, admin) in [
        (json!(["0-research", "admins", "research"]), vec!["research"], false),
        (json!(["0-root"]), vec!["admins"], true),
        (json!(["other"]), vec![], false),
    ] {
        let found = authenticate(&issuers, &signer.token(&with(&claims(&mapped), "groups", groups))).await.unwrap();
        let names: Vec<&str> = found.principal.groups.iter().map(|group| &**group).collect();
        assert_eq!((names, found.principal.admin), (expected, admin));
    }
}

#[tokio::test]
async fn which_key() {
    let (signer, other, encrypts) = (Signer::p256("k"), Signer::p256("o"), Signer::p256("e"));
    let mut no_signing = encrypts.jwk();
    no_signing["use"] = "enc".into();
    let mut wraps = encrypts.jwk();
    (wraps["kid"], wraps["key_ops"]) = ("w".into(), json!(["wrapKey"]));
    let symmetric = json!({"kty": "oct", "kid": "s", "k": b64("secret")});
    let strange = json!({"kty": "EC", "kid": "b", "crv": "secp256k1", "x": "AA", "y": "AA"});
    let set = vec![signer.jwk(), other.jwk(), no_signing, wraps, symmetric, strange, json!(7)];
    let provider = Provider::start(set).await;
    let config = config(&provider);
    let issuers = running(std::slice::from_ref(&config), true);
    let token = |signer: &Signer, header: Value| signer.token_with(&header, &claims(&config));
    assert!(authenticate(&issuers, &signer.token(&claims(&config))).await.is_some());
    // With two keys that fit, a token must say which.
    assert_eq!(why(&issuers, &token(&signer, json!({"alg": "ES256"}))).await, Refused::Signature);
    assert_eq!(why(&issuers, &token(&signer, json!({"alg": "ES256", "kid": "o"}))).await, Refused::Signature);
    for unusable in ["e", "w", "s", "b"] {
        assert_eq!(
            why(&issuers, &token(&encrypts, json!({"alg": "ES256", "kid": unusable}))).await,
            Refused::UnknownKey
        );
    }
}

#[tokio::test]
async fn what_is_no_token() {
    let signer = Signer::ed25519("k");
    let (_provider, config, issuers) = one_key(&signer).await;
    let good = signer.token(&claims(&config));
    assert!(issuers.concerns(good.as_bytes()));
    let (header, rest) = good.split_once('.').unwrap();
    let twice = b64(r#"{"alg":"EdDSA","alg":"EdDSA","kid":"k"}"#);
    for text in [
        String::new(),
        "..".into(),
        "a.b".into(),
        header.into(),
        format!("{good}."),
        format!("{good}="),
        format!(" {good}"),
        format!("{good}.x.y"),
        format!("{twice}.{rest}"),
        format!("{header}.{}.{}", b64("[]"), b64("x")),
        format!("{header}.{}.{}", b64("[".repeat(5000)), b64("x")),
        "\u{0}.\u{0}.\u{0}".into(),
    ] {
        assert_eq!(why(&issuers, &text).await, Refused::Malformed, "{text}");
    }
    let long = format!("{header}.{}.x", "A".repeat(16 << 10));
    assert_eq!(why(&issuers, &long).await, Refused::TooLong);
    assert!(!issuers.concerns(long.as_bytes()));
    assert!(!issuers.concerns(b"wg_0123"));
    issuers.configure(&[], true);
    assert!(!issuers.concerns(good.as_bytes()));
    assert_eq!(why(&issuers, &good).await, Refused::Issuer);
}
