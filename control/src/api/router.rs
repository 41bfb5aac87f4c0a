//! From an HTTP request to a route's handler and back. Paths are matched by segments, for each method by itself: `POST /pt` is its own
//! route beside `GET /{name}` of an endpoint called `pt` (contract §2.2), which no tree of paths expresses.

use std::borrow::Cow;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, OnceLock};

use axum::body::Body;
use axum::response::{IntoResponse, Response};
use http::header::{ALLOW, HOST, HeaderValue};
use percent_encoding::percent_decode_str;
use weirgate_policy::identity::ADMINS;
use weirgate_policy::reason::Reason;

use super::gate::Gate;
use super::request::Parameters;
use super::route::Method;
use super::{Answer, Problem, Request, Route};
use crate::audit::Entry;
use crate::{Caller, Control};

/// The axum router of a table of routes.
pub(super) fn router(routes: Vec<Route>, control: Arc<Control>) -> axum::Router {
    let table = Arc::new(Table(routes.into_iter().map(Arc::new).collect()));
    let gate = Arc::new(Gate::new());
    axum::Router::new().fallback(move |request: axum::extract::Request| {
        let (table, gate, control) = (table.clone(), gate.clone(), control.clone());
        async move { answer(&table, &gate, control, request).await }
    })
}

async fn answer(table: &Table, gate: &Gate, control: Arc<Control>, request: axum::extract::Request) -> Response {
    let head = request.method() == http::Method::HEAD;
    let response = serve(table, gate, control, request).await;
    if head { response.map(|_| Body::empty()) } else { response }
}

async fn serve(table: &Table, gate: &Gate, control: Arc<Control>, request: axum::extract::Request) -> Response {
    let (parts, body) = request.into_parts();
    // The gateway has authenticated before; nothing gets through if it forgets to.
    let Some(caller) = parts.extensions.get::<Caller>().cloned() else {
        return Problem::new(Reason::Unauthenticated, "send a token as `Authorization: Bearer <token>`")
            .into_response();
    };
    let (route, path) = match table.find(&parts.method, parts.uri.path()) {
        Ok(found) => found,
        Err(refusal) => return refusal.into_response(),
    };
    let limit = usize::try_from(control.keeper.current().settings.limits.control_body).unwrap_or(usize::MAX);
    let Ok(body) = axum::body::to_bytes(body, limit).await else {
        return Problem::new(Reason::BodyTooLarge, format!("the body is over {limit} bytes")).into_response();
    };
    let query = url::form_urlencoded::parse(parts.uri.query().unwrap_or_default().as_bytes()).into_owned().collect();
    let host = parts.headers.get(HOST).and_then(|host| host.to_str().ok()).map(str::to_owned);
    let request = Request { control, caller, path, query, body, host, target: Arc::new(OnceLock::new()) };
    let pass = match route.method {
        Method::Get => None,
        _ => match gate.enter().await {
            Ok(pass) => Some(pass),
            Err(refusal) => return Problem(refusal).into_response(),
        },
    };
    // The pass goes with the work, which goes on when the client leaves.
    let work = move || {
        let _pass = pass;
        run(&route, request)
    };
    let result = tokio::task::spawn_blocking(work).await;
    // The task cannot panic; it is lost only when the runtime stops.
    result.unwrap_or_else(|_| Err(Problem::new(Reason::Overloaded, "the gateway is stopping"))).into_response()
}

/// Runs the handler and writes the audit entry.
fn run(route: &Route, request: Request) -> Result<Answer, Problem> {
    let (control, caller, told) = (request.control.clone(), request.caller.clone(), request.target.clone());
    let from_path = request.path.iter().map(|(_, value)| value.as_str()).collect::<Vec<_>>().join("/");
    let result = if route.admin && !caller.principal.in_group(ADMINS) {
        let text = format!("{} is not an administrator (group `{ADMINS}`)", caller.principal.name);
        Err(Problem::new(Reason::PermissionDenied, text))
    } else {
        catch_unwind(AssertUnwindSafe(|| (route.handler)(request))).unwrap_or_else(|_| {
            // The panic hook has logged the place.
            log::error!("{} {} panicked; request {}", route.method.name(), route.path, caller.request_id);
            Err(Problem::new(Reason::Internal, "the gateway failed on this request; its log says where"))
        })
    };
    if let Some(action) = route.action {
        let (old_version, new_version) = result.as_ref().map_or((None, None), |answer| answer.versions);
        control.audit.write(&Entry {
            actor: &caller.principal.name,
            actor_kind: caller.kind(),
            address: caller.address.map(|address| address.to_string()),
            request_id: Some(&caller.request_id),
            action,
            target: told.get().unwrap_or(&from_path),
            old_version,
            new_version,
            outcome: result.as_ref().map_or_else(|problem| problem.0.reason.facts().name, |_| "ok"),
        });
    }
    result
}

/// Why no route runs.
enum Unmatched {
    NotUtf8,
    Unknown,
    /// These methods there are.
    Method(Vec<Method>),
}

impl IntoResponse for Unmatched {
    fn into_response(self) -> Response {
        match self {
            Unmatched::NotUtf8 => {
                Problem::new(Reason::BadRequest, "the path is not UTF-8 once percent-decoded").into_response()
            }
            Unmatched::Unknown => Problem::new(
                Reason::RouteNotFound,
                "no such path in this API; GET /api/2.0/openapi.json lists those that there are",
            )
            .into_response(),
            Unmatched::Method(mut methods) => {
                methods.sort();
                methods.dedup();
                let mut names: Vec<&str> = methods.into_iter().map(Method::name).collect();
                if names.contains(&"GET") {
                    names.push("HEAD");
                }
                let allow = names.join(", ");
                let text = format!("this path does not take that method; it takes {allow}");
                let mut response = Problem::new(Reason::MethodNotAllowed, text).into_response();
                response.headers_mut().extend(HeaderValue::from_str(&allow).ok().map(|value| (ALLOW, value)));
                response
            }
        }
    }
}

struct Table(Vec<Arc<Route>>);

impl Table {
    /// The route of a method and a path, with the path's parameters. Where two fit, the one that has the fixed segment first.
    fn find(&self, method: &http::Method, path: &str) -> Result<(Arc<Route>, Parameters), Unmatched> {
        let decoded: Result<Vec<Cow<'_, str>>, _> =
            path.trim_start_matches('/').split('/').map(|s| percent_decode_str(s).decode_utf8()).collect();
        let segments = decoded.map_err(|_| Unmatched::NotUtf8)?;
        let wanted = if method == http::Method::HEAD { "GET" } else { method.as_str() };
        let mut fitting: Vec<&Arc<Route>> = self.0.iter().filter(|route| fits(route.path, &segments)).collect();
        if fitting.is_empty() {
            return Err(Unmatched::Unknown);
        }
        let methods: Vec<Method> = fitting.iter().map(|route| route.method).collect();
        fitting.retain(|route| route.method.name() == wanted);
        let Some(route) = fitting.into_iter().min_by_key(|route| parameters(route.path)) else {
            return Err(Unmatched::Method(methods));
        };
        let named =
            template(route.path).zip(segments).filter_map(|(part, value)| Some((parameter(part)?, value.into())));
        Ok((route.clone(), named.collect()))
    }
}

/// The segments of a route's path.
pub(super) fn template(path: &'static str) -> impl Iterator<Item = &'static str> {
    path.trim_start_matches('/').split('/')
}

/// The name in `{name}`; `None` for a fixed segment.
pub(super) fn parameter(segment: &'static str) -> Option<&'static str> {
    segment.strip_prefix('{')?.strip_suffix('}')
}

fn fits(path: &'static str, segments: &[Cow<'_, str>]) -> bool {
    template(path).count() == segments.len()
        && template(path).zip(segments).all(|(part, segment)| match parameter(part) {
            Some(_) => !segment.is_empty(),
            None => part == segment,
        })
}

/// For each segment whether it is a parameter; the smaller, the more fixed.
fn parameters(path: &'static str) -> Vec<bool> {
    template(path).map(|segment| parameter(segment).is_some()).collect()
}

#[cfg(test)]
#[path = "router_tests.rs"]
mod tests;
