use http::header::ALLOW;
use proptest::prelude::*;
use serde_json::{Value, json};
use weirgate_policy::reason::Reason;

use super::fixture::{Gateway, send, user};
use super::*;

/// A router of routes that are made for a test.
fn with(gateway: &Gateway, routes: Vec<Route>) -> axum::Router {
    router::router(routes, gateway.control.clone())
}

fn code(body: &Value) -> &str {
    body["error_code"].as_str().unwrap()
}

#[tokio::test]
async fn nothing_is_answered_without_a_caller() {
    let gateway = Gateway::new("");
    let router = router(gateway.control.clone());
    for path in ["/api/2.0/openapi.json", "/api/2.0/nothing"] {
        let (status, _, body) = send(&router, None, "GET", path, b"").await;
        assert_eq!((status, code(&body)), (401, "UNAUTHENTICATED"));
    }
}

#[tokio::test]
async fn a_panic_is_a_500_and_is_recorded() {
    let gateway = Gateway::new("");
    let handler = |request: Request| {
        request.concerns("it");
        panic!("of a test")
    };
    let router = with(&gateway, vec![Route::new(Method::Post, "/boom/{what}", "", handler).audits("test.boom")]);
    let (status, headers, body) = send(&router, Some(user("ada", false)), "POST", "/boom/x", b"").await;
    assert_eq!((status, code(&body)), (500, "INTERNAL_ERROR"));
    assert_eq!(headers["x-weirgate-reason"], "internal");
    let entries = gateway.audit();
    assert_eq!(entries.len(), 1);
    assert_eq!(entries[0]["target"], "it");
    assert_eq!(entries[0]["outcome"], "internal");
}

#[tokio::test]
async fn changes_and_refusals_are_in_the_audit_log() {
    let gateway = Gateway::new("");
    let change = |request: Request| match request.query("refuse") {
        Some(_) => Err(Problem::new(Reason::Conflict, "no")),
        None => Ok(Answer::empty().versions(Some(1), Some(2))),
    };
    let routes = vec![
        Route::new(Method::Put, "/thing/{name}/part/{key}", "", change).audits("thing.change"),
        Route::new(Method::Delete, "/thing/{name}", "", change).admin().audits("thing.delete"),
        Route::new(Method::Get, "/thing/{name}", "", change),
    ];
    let router = with(&gateway, routes);
    let ada = || Some(user("ada", false));
    for (method, path) in [
        ("PUT", "/thing/a%20b/part/k"),
        ("PUT", "/thing/a/part/k?refuse=1"),
        ("DELETE", "/thing/a"),
        ("GET", "/thing/a"),
    ] {
        send(&router, ada(), method, path, b"").await;
    }
    let told = gateway.audit();
    let told: Vec<_> = told.iter().map(|e| json!([e["action"], e["target"], e["outcome"], e["new_version"]])).collect();
    assert_eq!(
        told,
        [
            json!(["thing.change", "a b/k", "ok", 2]),
            json!(["thing.change", "a/k", "conflict", null]),
            json!(["thing.delete", "a", "permission_denied", null]),
        ]
    );
    assert_eq!(gateway.audit()[0]["actor"], "ada");
    assert_eq!(gateway.audit()[0]["request_id"], "r-1");
}

#[tokio::test]
async fn bodies_are_bounded_and_judged() {
    let gateway = Gateway::new("");
    let path = "/api/2.0/permissions/serving-endpoints/0";
    let put = async |body: String| gateway.call(user("ada", true), "PUT", path, &body).await;
    let (status, _, body) = put(" ".repeat((64 << 10) + 1)).await;
    assert_eq!((status, code(&body)), (413, "BAD_REQUEST"));
    let (status, _, body) = put("[]".into()).await;
    assert_eq!((status, code(&body)), (400, "BAD_REQUEST"));
    let (status, _, body) = put(r#"{"access_control_list": [{"user_name": 1}], "more": 1}"#.into()).await;
    assert_eq!((status, code(&body)), (400, "INVALID_PARAMETER_VALUE"));
    let text = body["message"].as_str().unwrap();
    assert!(text.contains("access_control_list[0].user_name") && text.contains("permission_level"), "{text}");
}

#[tokio::test]
async fn unknown_paths_and_wrong_methods() {
    let gateway = Gateway::new("");
    let (status, _, body) = gateway.call(user("ada", false), "GET", "/api/2.0/nothing", "").await;
    assert_eq!((status, code(&body)), (404, "ENDPOINT_NOT_FOUND"));
    let (status, headers, body) = gateway.call(user("ada", false), "PATCH", "/api/2.0/gateway/status", "").await;
    assert_eq!((status, code(&body), &headers[ALLOW]), (405, "BAD_REQUEST", &"GET, HEAD".parse().unwrap()));
    let (status, _, body) = gateway.call(user("ada", false), "HEAD", "/api/2.0/openapi.json", "").await;
    assert_eq!((status, body), (200, "".into()));
}

#[tokio::test]
async fn the_status_says_what_is_wrong_with_the_files() {
    let gateway = Gateway::new("");
    let status = async || gateway.call(user("root", true), "GET", "/api/2.0/gateway/status", "").await.2;
    let good = status().await;
    assert_eq!((&good["endpoints"], &good["generation"]), (&json!(6), &json!(1)));
    assert!(good.get("config_error").is_none());
    std::fs::write(gateway.folder.path().join("config/endpoints/mine.yaml"), "name: mine\ntgas: []\n").unwrap();
    gateway.control.keeper.refresh();
    let text = status().await["config_error"].as_str().unwrap().to_owned();
    assert!(text.starts_with("endpoints/mine.yaml:2:1: error:"), "{text}");
    let (code, ..) = gateway.call(user("ada", false), "GET", "/api/2.0/gateway/status", "").await;
    assert_eq!(code, 403);
}

#[tokio::test]
async fn what_can_be_seen_of_an_endpoint() {
    let gateway = Gateway::new("permissions: []");
    let get = async |path: &str| {
        let path = format!("/api/2.0/serving-endpoints/{path}");
        gateway.call(user("ada", false), "GET", &path, "").await
    };
    let (status, headers, body) = get("chat/metrics").await;
    assert_eq!((status, body), (200, "weirgate_requests_total{endpoint=\"chat\"} 0\n".into()));
    assert_eq!(headers["content-type"], "text/plain; version=0.0.4; charset=utf-8");
    assert_eq!(get("chat/served-models/a/logs").await.2, json!({"logs": ""}));
    assert_eq!(get("custom/served-models/s/logs").await.2, json!({"logs": "prod.fraud.scorer version 7 is up\n"}));
    assert_eq!(get("chat/served-models/b/logs").await.0, 404);
    assert_eq!(get("chat/served-models/a/build-logs").await.2, json!({"logs": ""}));
    assert_eq!(get("chat/openapi").await.2["openapi"], "3.1.0");
    assert_eq!(get("empty/openapi").await.0, 400);
    assert_eq!(get("nothing/metrics").await.0, 404);
    for part in ["metrics", "openapi", "served-models/a/logs", "served-models/a/build-logs"] {
        assert_eq!(get(&format!("mine/{part}")).await.0, 403, "{part}");
    }
    let (status, _, body) = get("get-model-optimization-info/system.ai.plain-model.v1/1").await;
    assert_eq!((status, body), (200, json!({"optimizable": false})));
    let (status, _, body) = get("get-model-optimization-info/system.ai.plain-model.v1/2").await;
    assert_eq!((status, code(&body)), (404, "RESOURCE_DOES_NOT_EXIST"));
}

#[tokio::test]
async fn no_oauth_here() {
    let gateway = Gateway::new("");
    let (status, _, body) = gateway.call(user("ada", false), "POST", "/oidc/v1/token", "grant_type=x").await;
    assert_eq!((status, code(&body)), (501, "NOT_IMPLEMENTED"));
}

/// Paths near those of the API, and others.
fn paths() -> impl Strategy<Value = String> {
    let known: Vec<&str> = routes().iter().flat_map(|route| router::template(route.path)).collect();
    let segment = prop_oneof![
        6 => proptest::sample::select(known).prop_map(|part| match router::parameter(part) {
            Some(_) => "chat".to_owned(),
            None => part.to_owned(),
        }),
        1 => "[A-Za-z0-9._~!$&'()*+,;=:@-]{0,12}",
        1 => "(%[0-9A-Fa-f]{2}){1,6}",
    ];
    let whole: Vec<String> = routes().iter().map(|route| route.path.replace(['{', '}'], "")).collect();
    let query = prop_oneof![2 => Just(String::new()), 1 => "[?][A-Za-z0-9=&%+_-]{0,20}"];
    let path = prop_oneof![
        proptest::sample::select(whole),
        proptest::collection::vec(segment, 0..7).prop_map(|segments| format!("/{}", segments.join("/"))),
    ];
    (path, query).prop_map(|(path, query)| path + &query)
}

fn bodies() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        proptest::collection::vec(any::<u8>(), 0..64),
        r#"\{("access_control_list"|"name"|"config"|"scope"): ?(\[\{"user_name": ?"a"\}\]|null|1|"x"|\{\})\}"#
            .prop_map(String::into_bytes),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn every_request_gets_a_well_formed_answer(
        method in prop_oneof![4 => proptest::sample::select(vec!["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"]).prop_map(str::to_owned), 1 => "[A-Z]{1,9}"],
        path in paths(),
        body in bodies(),
        admin in any::<bool>(),
    ) {
        thread_local! {
            static GATEWAY: (Gateway, tokio::runtime::Runtime) =
                (Gateway::new(""), tokio::runtime::Builder::new_current_thread().build().unwrap());
        }
        let (status, headers, answer) = GATEWAY.with(|(gateway, runtime)| {
            runtime.block_on(send(&router(gateway.control.clone()), Some(user("ada", admin)), &method, &path, &body))
        });
        prop_assert_ne!(status, 500, "{} {} {:?}", method, path, answer);
        if method == "HEAD" {
            prop_assert_eq!(answer, "");
        } else if status == 200 {
            let text = headers["content-type"].to_str().unwrap().starts_with("text/plain");
            prop_assert!(answer.is_object() || text && answer.is_string(), "{} {} {:?}", method, path, answer);
        } else {
            let keys: Vec<&String> = answer.as_object().unwrap().keys().collect();
            prop_assert_eq!(keys, ["error_code", "message"]);
            prop_assert!(Reason::ALL.iter().any(|reason| reason.facts().error_code == code(&answer)));
            prop_assert_eq!(&headers["content-type"], "application/json");
            prop_assert!(status != 405 || headers.contains_key(ALLOW));
        }
    }
}
