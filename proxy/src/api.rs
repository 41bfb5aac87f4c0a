//! The control API on the gateway's listeners: an axum router, called as a tower service.

use axum::Router;
use axum::body::Body;
use http::header::{HOST, HeaderValue};
use http::{Method, Request, Response, Uri};
use pingora_core::protocols::http::ServerSession;
use pingora_http::ResponseHeader;
use tower::ServiceExt;
use weirgate_control::Caller;
use weirgate_control::api::{OAUTH_PATH, oauth_refusal};
use weirgate_policy::door::Refusal;
use weirgate_policy::reason::Reason;

use crate::body;
use crate::live::Live;
use crate::reply::{self, Story};
use crate::table::Table;

/// Answers a request to the control API. A refusal that comes back is still to be sent; those of the router's own
/// handlers have been.
pub async fn serve(
    session: &mut ServerSession,
    live: &Live,
    table: &Table,
    router: &Router,
    story: &Story<'_>,
) -> Result<(), Refusal> {
    if session.req_header().uri.path() == OAUTH_PATH {
        return Err(oauth_refusal());
    }
    let header = session.get_header(http::header::AUTHORIZATION);
    let (principal, warrant) = live.identities.authenticate(header).await?;
    let limits = &table.settings.limits;
    let body = body::read(session, live, limits, limits.control_body).await?;
    let address = session.client_addr().and_then(|address| address.as_inet()).copied();
    let caller = Caller { principal, warrant, address, request_id: story.request_id.into() };
    let request = request(session, body.bytes.clone(), caller)?;
    let Ok(response) = router.clone().oneshot(request).await;
    write(session, live, response, story).await
}

fn request(session: &ServerSession, body: bytes::Bytes, caller: Caller) -> Result<Request<Body>, Refusal> {
    let head = session.req_header();
    let unusable = |e: http::Error| Refusal::new(Reason::RouteNotFound, format!("the path cannot be read: {e}"));
    // A router that is asked for HEAD leaves the body out, and with it the length that the answer has to name.
    let method = if head.method == Method::HEAD { Method::GET } else { head.method.clone() };
    let mut request =
        Request::builder().method(method).uri(without_slash(&head.uri)?).body(Body::from(body)).map_err(unusable)?;
    request.headers_mut().extend(head.headers.iter().map(|(name, value)| (name.clone(), value.clone())));
    if let Some(host) = host(&head.uri) {
        request.headers_mut().insert(HOST, host);
    }
    // The router knows who asks; the token itself ends here.
    request.headers_mut().remove(http::header::AUTHORIZATION);
    request.extensions_mut().insert(caller);
    Ok(request)
}

/// Where the request line or HTTP/2's `:authority` names the host, that counts (RFC 9112 §3.2.2, RFC 9113 §8.3.1).
fn host(uri: &Uri) -> Option<HeaderValue> {
    let authority = uri.authority()?.as_str();
    let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    HeaderValue::from_str(host).ok()
}

/// MLflow sends some paths with a slash at the end; a redirect would turn its POST into a GET.
fn without_slash(uri: &Uri) -> Result<Uri, Refusal> {
    let path = uri.path().strip_suffix('/').unwrap_or(uri.path());
    let target = uri.query().map_or_else(|| path.to_owned(), |query| format!("{path}?{query}"));
    target.parse().map_err(|_| Refusal::new(Reason::RouteNotFound, "the path cannot be read"))
}

async fn write(
    session: &mut ServerSession,
    live: &Live,
    response: Response<Body>,
    story: &Story<'_>,
) -> Result<(), Refusal> {
    let (parts, body) = response.into_parts();
    if let Some(reason) = parts.extensions.get::<Reason>() {
        live.shared.metrics.count_refusal(*reason);
    }
    let internal = |why: String| {
        log::error!("an answer of the control API cannot be sent: {why}");
        Refusal::new(Reason::Internal, "the gateway could not build its answer; its log says why")
    };
    let body = axum::body::to_bytes(body, usize::MAX).await.map_err(|e| internal(e.to_string()))?;
    let mut head =
        ResponseHeader::build(parts.status, Some(parts.headers.len() + 8)).map_err(|e| internal(e.to_string()))?;
    for (name, value) in &parts.headers {
        head.append_header(name.clone(), value.clone()).map_err(|e| internal(e.to_string()))?;
    }
    reply::tell(&mut head, "gateway", story).map_err(|e| internal(e.to_string()))?;
    // A client that has left needs no answer.
    let _ = reply::whole(session, head, body).await;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_authority_is_the_host() {
        let of = |uri: &str| host(&uri.parse().unwrap());
        assert_eq!(of("https://a@gate:8443/api/x").unwrap(), "gate:8443");
        assert_eq!(of("/api/x"), None);
    }

    #[test]
    fn one_slash_at_the_end_goes_and_the_query_stays() {
        for (given, wanted) in [
            ("/api/2.0/serving-endpoints/", "/api/2.0/serving-endpoints"),
            ("/api/2.0/serving-endpoints", "/api/2.0/serving-endpoints"),
            ("/api/2.0/x/?scope=a%2F", "/api/2.0/x?scope=a%2F"),
            ("/api//", "/api/"),
            ("http://host/api/x/?a", "/api/x?a"),
        ] {
            assert_eq!(without_slash(&given.parse().unwrap()).unwrap(), wanted, "{given}");
        }
    }
}
