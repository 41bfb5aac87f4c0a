use super::*;

const NAMES: [&str; 4] = ["pt", "chat", "models", "get-model-optimization-info"];

fn table() -> Table {
    use Method::{Delete, Get, Patch, Post, Put};
    let routes = [
        (Post, ""),
        (Get, ""),
        (Get, "/{name}"),
        (Delete, "/{name}"),
        (Put, "/{name}/config"),
        (Post, "/{name}/config/cancel"),
        (Patch, "/{name}/tags"),
        (Get, "/{name}/served-models/{served}/logs"),
        (Get, "/get-model-optimization-info/{model}/{version}"),
        (Post, "/pt"),
        (Put, "/pt/{name}/config"),
    ];
    let route = |(method, path): (Method, &str)| {
        let path = Box::leak(format!("/e{path}").into_boxed_str());
        Arc::new(Route::new(method, path, "", |_| Ok(Answer::empty())))
    };
    Table(routes.into_iter().map(route).collect())
}

/// Path of the route found and its parameters.
fn found(method: &str, path: &str) -> Option<(&'static str, Vec<String>)> {
    let (route, parameters) = table().find(&method.parse().unwrap(), path).ok()?;
    Some((route.path, parameters.into_iter().map(|(_, value)| value).collect()))
}

fn is(route: &'static str, parameters: &[&str]) -> Option<(&'static str, Vec<String>)> {
    Some((route, parameters.iter().map(|p| (*p).to_owned()).collect()))
}

#[test]
fn endpoints_may_bear_the_names_of_routes() {
    for name in NAMES {
        assert_eq!(found("GET", &format!("/e/{name}")), is("/e/{name}", &[name]));
        assert_eq!(found("DELETE", &format!("/e/{name}")), is("/e/{name}", &[name]));
        assert_eq!(found("PUT", &format!("/e/{name}/config")), is("/e/{name}/config", &[name]));
        assert_eq!(found("PATCH", &format!("/e/{name}/tags")), is("/e/{name}/tags", &[name]));
        assert_eq!(found("POST", &format!("/e/{name}/config/cancel")), is("/e/{name}/config/cancel", &[name]));
        assert_eq!(found("PUT", &format!("/e/pt/{name}/config")), is("/e/pt/{name}/config", &[name]));
        let logs = format!("/e/{name}/served-models/{name}/logs");
        assert_eq!(found("GET", &logs), is("/e/{name}/served-models/{served}/logs", &[name, name]));
    }
    assert_eq!(found("POST", "/e/pt"), is("/e/pt", &[]));
    assert_eq!(found("POST", "/e"), is("/e", &[]));
}

#[test]
fn model_names_hold_dots_and_dashes() {
    let path = "/e/get-model-optimization-info/system.ai.llama-3_1-8b/1";
    let route = "/e/get-model-optimization-info/{model}/{version}";
    assert_eq!(found("GET", path), is(route, &["system.ai.llama-3_1-8b", "1"]));
}

#[test]
fn segments_are_decoded_one_by_one() {
    assert_eq!(found("GET", "/e/a%2Fb"), is("/e/{name}", &["a/b"]));
    assert_eq!(found("GET", "/e/gr%C3%BCn%20"), is("/e/{name}", &["grün "]));
    assert!(matches!(table().find(&http::Method::GET, "/e/%ff"), Err(Unmatched::NotUtf8)));
    assert!(matches!(table().find(&http::Method::GET, "/e//config"), Err(Unmatched::Unknown)));
}

#[test]
fn a_wrong_method_learns_all_that_there_are() {
    let allowed = |method: &str, path: &str| match table().find(&method.parse().unwrap(), path) {
        Err(refusal @ Unmatched::Method(_)) => {
            let response = refusal.into_response();
            assert_eq!(response.status(), 405);
            response.headers()[ALLOW].to_str().unwrap().to_owned()
        }
        _ => panic!("{method} {path} should be a wrong method"),
    };
    assert_eq!(allowed("PATCH", "/e/pt"), "GET, POST, DELETE, HEAD");
    assert_eq!(allowed("PATCH", "/e/chat"), "GET, DELETE, HEAD");
    assert_eq!(allowed("OPTIONS", "/e"), "GET, POST, HEAD");
    assert_eq!(allowed("get", "/e"), "GET, POST, HEAD");
    assert_eq!(found("HEAD", "/e/chat"), is("/e/{name}", &["chat"]));
}
