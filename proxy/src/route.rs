//! From method and path to what is asked for. Pure: by segment count, so endpoints may be called `chat` or `models`.

use std::borrow::Cow;

use percent_encoding::percent_decode_str;
use weirgate_config::snapshot::Task;
use weirgate_policy::door::{Door, Refusal};
use weirgate_policy::reason::Reason;

/// What a request asks for.
#[derive(Debug, PartialEq)]
pub enum Wanted<'a> {
    /// A model's answer.
    Call(CallRoute<'a>),
    /// The list of endpoints that the caller may query.
    Models,
    /// One entry of that list.
    Model(Cow<'a, str>),
    /// OpenAI's Responses API, which is to come.
    Responses,
    /// The control API, which has routes of its own.
    Control,
    /// What clients read before anything else: where to log in.
    Discovery,
}

/// How a call names its target.
#[derive(Debug, PartialEq)]
pub struct CallRoute<'a> {
    /// Endpoint named in the path; otherwise `model` in the body names it.
    pub endpoint: Option<Cow<'a, str>>,
    /// Served entity named in the path: the traffic split is ignored.
    pub entity: Option<Cow<'a, str>>,
    /// Task that the route speaks; otherwise the endpoint's own.
    pub task: Option<Task>,
}

/// The door that a path belongs to.
pub fn door(path: &str) -> Door {
    if path == "/v1" || path.starts_with("/v1/") { Door::OpenAi } else { Door::Databricks }
}

/// Finds the route; 404 for an unknown path, 405 for a known one with another method.
pub fn find<'a>(method: &http::Method, path: &'a str) -> Result<Wanted<'a>, Refusal> {
    if is_control(path) {
        return Ok(Wanted::Control);
    }
    let (wanted, allowed) = match_path(method, path)
        .ok_or_else(|| Refusal::new(Reason::RouteNotFound, format!("there is no route {}", shorten(path))))?;
    let bodiless = wanted == Wanted::Discovery && *method == http::Method::HEAD;
    if *method != allowed && !bodiless {
        return Err(Refusal::new(
            Reason::MethodNotAllowed,
            format!("{} takes {allowed} only, not {}", shorten(path), shorten(method.as_str())),
        ));
    }
    Ok(wanted)
}

/// Whether the control API answers.
pub fn is_control(path: &str) -> bool {
    path.starts_with("/api/") || path.starts_with("/oidc/")
}

fn match_path<'a>(method: &http::Method, path: &'a str) -> Option<(Wanted<'a>, http::Method)> {
    // MLflow sends some paths with a slash at the end; a redirect would turn its POST into a GET.
    let path = path.strip_suffix('/').unwrap_or(path);
    let mut segments = [""; 6];
    let mut count = 0;
    for segment in path.strip_prefix('/')?.split('/') {
        *segments.get_mut(count)? = segment;
        count += 1;
    }
    let by_model = |task| (call(None, None, Some(task)), http::Method::POST);
    let matched = match segments.get(..count)? {
        ["v1" | "serving-endpoints", "chat", "completions"] => by_model(Task::Chat),
        ["v1" | "serving-endpoints", "completions"] => by_model(Task::Completions),
        ["v1" | "serving-endpoints", "embeddings"] => by_model(Task::Embeddings),
        ["v1" | "serving-endpoints", "responses"] => (Wanted::Responses, http::Method::POST),
        ["v1" | "serving-endpoints", "models"] => (Wanted::Models, http::Method::GET),
        [".well-known", "databricks-config"] => (Wanted::Discovery, http::Method::GET),
        // An endpoint may be called `models`, and a model `invocations`: there the method decides.
        ["serving-endpoints", name, "invocations"] if *name != "models" || *method == http::Method::POST => {
            (call(Some(decode(name)?), None, None), http::Method::POST)
        }
        ["serving-endpoints", name, "served-models", served, "invocations"] => {
            (call(Some(decode(name)?), Some(decode(served)?), None), http::Method::POST)
        }
        ["v1" | "serving-endpoints", "models", name] => (Wanted::Model(decode(name)?), http::Method::GET),
        _ => return None,
    };
    Some(matched)
}

fn call<'a>(endpoint: Option<Cow<'a, str>>, entity: Option<Cow<'a, str>>, task: Option<Task>) -> Wanted<'a> {
    Wanted::Call(CallRoute { endpoint, entity, task })
}

fn decode(segment: &str) -> Option<Cow<'_, str>> {
    percent_decode_str(segment).decode_utf8().ok().filter(|name| !name.is_empty())
}

/// Client text for a message: bounded, and cut at a character's edge.
pub fn shorten(text: &str) -> &str {
    const LONGEST: usize = 100;
    match text.char_indices().nth(LONGEST) {
        Some((end, _)) => text.get(..end).unwrap_or(text),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::Method;
    use proptest::prelude::*;

    fn named<'a>(endpoint: &'a str, entity: Option<&'a str>) -> Wanted<'a> {
        call(Some(endpoint.into()), entity.map(Into::into), None)
    }

    #[test]
    fn routes() {
        let table = [
            ("/v1/chat/completions", call(None, None, Some(Task::Chat))),
            ("/serving-endpoints/chat/completions/", call(None, None, Some(Task::Chat))),
            ("/serving-endpoints/embeddings", call(None, None, Some(Task::Embeddings))),
            ("/serving-endpoints/chat/invocations", named("chat", None)),
            ("/serving-endpoints/models/invocations", named("models", None)),
            ("/serving-endpoints/a%2Db/invocations", named("a-b", None)),
            ("/serving-endpoints/x/served-models/challenger/invocations", named("x", Some("challenger"))),
        ];
        for (path, wanted) in table {
            assert_eq!(find(&Method::POST, path).unwrap(), wanted, "{path}");
        }
        let long = "/api/2.0/serving-endpoints/a/served-models/b/build-logs/";
        for (method, path) in [(Method::PATCH, long), (Method::DELETE, "/api/x"), (Method::POST, "/oidc/v1/token")] {
            assert_eq!(find(&method, path).unwrap(), Wanted::Control, "{path}");
        }
        for method in [Method::GET, Method::HEAD] {
            assert_eq!(find(&method, "/.well-known/databricks-config/").unwrap(), Wanted::Discovery);
        }
        assert_eq!(find(&Method::GET, "/v1/models").unwrap(), Wanted::Models);
        assert_eq!(find(&Method::GET, "/v1/models/x").unwrap(), Wanted::Model("x".into()));
        let invocations = Wanted::Model("invocations".into());
        assert_eq!(find(&Method::GET, "/serving-endpoints/models/invocations").unwrap(), invocations);
    }

    #[test]
    fn unknown_paths_and_wrong_methods() {
        for path in [
            "/",
            "",
            "/api",
            "/v1",
            "/v1/chat",
            "/v1/x/invocations",
            "//v1/models",
            "/v1/models/%ff",
            "/a/b/c/d/e/f/g/h",
        ] {
            assert_eq!(find(&Method::GET, path).unwrap_err().reason, Reason::RouteNotFound, "{path}");
        }
        assert_eq!(find(&Method::GET, "/v1/completions").unwrap_err().reason, Reason::MethodNotAllowed);
        for path in ["/v1/models", "/.well-known/databricks-config"] {
            assert_eq!(find(&Method::POST, path).unwrap_err().reason, Reason::MethodNotAllowed);
        }
    }

    #[test]
    fn doors() {
        assert_eq!(door("/v1/models"), Door::OpenAi);
        assert_eq!(door("/v1x"), Door::Databricks);
        assert_eq!(door("/serving-endpoints/x"), Door::Databricks);
    }

    proptest! {
        #[test]
        fn no_path_panics(path in "(/|[a-z%0-9é-]){0,40}") {
            let _ = find(&Method::POST, &path);
            let _ = shorten(&path.repeat(4));
        }
    }
}
