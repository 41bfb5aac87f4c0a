//! One HTTP request of either version: read its head, find its route, answer it, keep the connection.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use async_trait::async_trait;
use axum::Router;
use bytes::Bytes;
use futures_util::FutureExt;
use pingora_core::apps::{HttpPersistentSettings, HttpServerApp, HttpServerOptions, ReusedHttpStream};
use pingora_core::protocols::http::ServerSession;
use pingora_core::server::ShutdownWatch;
use pingora_timeout::timeout;
use weirgate_policy::door::{Door, Refusal};
use weirgate_policy::reason::Reason;

use crate::api;
use crate::body;
use crate::call::{self, authenticate};
use crate::live::{InFlight, Live};
use crate::models;
use crate::reply::{self, Story};
use crate::route::{self, Wanted};
use crate::table::Table;

/// The gateway's HTTP application.
pub struct App {
    live: Arc<Live>,
    router: Router,
    options: HttpServerOptions,
}

/// Marks a connection's second and later requests, which may idle before they begin.
struct Reused;

impl App {
    /// `router` = the control API; `h2c` = connections of this instance begin with HTTP/2's preface.
    pub fn new(live: Arc<Live>, router: Router, h2c: bool) -> Self {
        let keepalive = &live.table().settings.keepalive;
        let mut options = HttpServerOptions::default();
        options.h2c = h2c;
        // Pingora counts the requests after the first.
        options.keepalive_request_limit = keepalive.max_requests.map(|most| most.saturating_sub(1));
        options.h2_idle_timeout = Some(keepalive.idle);
        App { live, router, options }
    }

    /// Answers whatever happens: a panic becomes a 500, and never takes the connection's neighbours along.
    async fn answer(&self, session: &mut ServerSession, table: &Arc<Table>) {
        let request_id = reply::request_id(session);
        let story = Story::begin(session, &request_id, table.generation);
        let answered = AssertUnwindSafe(self.dispatch(session, table, &story)).catch_unwind().await;
        if answered.is_err() {
            refuse_panicked(session, &self.live, &story).await;
        }
    }

    async fn dispatch(&self, session: &mut ServerSession, table: &Arc<Table>, story: &Story<'_>) {
        let live = &self.live;
        // The head is copied out: the session is written to while its parts are still looked at.
        let head = session.req_header();
        let (method, uri) = (head.method.clone(), head.uri.clone());
        let door = route::door(uri.path());
        let ended = match route::find(&method, uri.path()) {
            Ok(Wanted::Call(wanted)) => return call::serve(session, live, table, door, wanted, story).await,
            Ok(Wanted::Models) => models::list(session, live, table, story).await,
            Ok(Wanted::Model(name)) => models::one(session, live, table, &name, story).await,
            Ok(Wanted::Responses) => responses(session, live).await,
            // In a box, so that calls do not carry the room that it needs.
            Ok(Wanted::Control) => Box::pin(api::serve(session, live, table, &self.router, story)).await,
            Ok(Wanted::Discovery) => discovery(session, live, table, story).await,
            Err(refusal) => Err(refusal),
        };
        if let Err(refusal) = ended {
            refuse_early(session, live, door, &refusal, story).await;
        }
    }
}

/// Nothing in it is needed by clients that bring a token (contract §2.1). Asked for before every MLflow call.
async fn discovery(session: &mut ServerSession, live: &Live, table: &Table, story: &Story<'_>) -> Result<(), Refusal> {
    // A GET with a body is fine; left unread it would end the connection.
    body::read(session, live, &table.settings.limits, table.settings.limits.control_body).await?;
    if let Ok(head) = reply::head(200, "application/json", "gateway", story) {
        let _ = reply::whole(session, head, Bytes::from_static(b"{}")).await;
    }
    Ok(())
}

async fn responses(session: &mut ServerSession, live: &Live) -> Result<(), Refusal> {
    authenticate(session, live).await?;
    let text = "this version of weirgate has no Responses API yet; use chat/completions";
    Err(Refusal::new(Reason::NotImplemented, text))
}

/// What is left to say when an answer has panicked.
pub async fn refuse_panicked(session: &mut ServerSession, live: &Live, story: &Story<'_>) {
    live.shared.metrics.panics.inc();
    session.set_keepalive(None);
    if session.response_written().is_none() {
        let refusal = Refusal::new(Reason::Internal, "the gateway failed on this request; its log says where");
        let door = route::door(session.req_header().uri.path());
        let _ = reply::refuse(session, door, &refusal, "", story).await;
    }
}

/// Refuses before a served entity was chosen.
pub async fn refuse_early(session: &mut ServerSession, live: &Live, door: Door, refusal: &Refusal, story: &Story<'_>) {
    live.shared.metrics.count_refusal(refusal.reason);
    if refusal.reason == Reason::ClientGone {
        session.set_keepalive(None);
        return;
    }
    let body_is_read = session.is_body_done();
    if !body_is_read {
        session.set_keepalive(None);
    }
    if reply::refuse(session, door, refusal, "", story).await.is_ok() && !body_is_read {
        body::linger(session).await;
    }
}

#[async_trait]
impl HttpServerApp for App {
    async fn process_new_http(
        self: &Arc<Self>,
        mut session: ServerSession,
        shutdown: &ShutdownWatch,
    ) -> Option<ReusedHttpStream> {
        let table = begin(&mut session, &self.live, shutdown).await?;
        let in_flight = InFlight::enter(&self.live);
        self.answer(&mut session, &table).await;
        drop(in_flight);
        end(session, &table).await
    }

    fn server_options(&self) -> Option<&HttpServerOptions> {
        Some(&self.options)
    }
}

/// Reads a request's head in the time that it has, and sets the bounds of its answer. `None` = there is nothing to answer.
pub async fn begin(session: &mut ServerSession, live: &Live, shutdown: &ShutdownWatch) -> Option<Arc<Table>> {
    let reused = session.take_connection_user_context().is_some();
    match timeout(patience(&live.table(), reused), session.read_request()).await {
        Ok(Ok(true)) => {}
        Ok(Ok(false)) | Err(_) => return None,
        Ok(Err(e)) => {
            log::debug!("a request that is not HTTP: {e}");
            refuse_garbage(session).await;
            return None;
        }
    }
    // Only now: what was live when the connection fell idle may be long revoked.
    let table = live.table();
    let (limits, keepalive) = (&table.settings.limits, &table.settings.keepalive);
    session.set_write_timeout(Some(limits.write_timeout));
    session.set_pipelining_enabled(true);
    let stay = !*shutdown.borrow() && !live.draining.load(Ordering::Acquire);
    // Pingora has switched it off where the client asked for that, or where the head is ambiguous (RFC 9112 §6.1).
    let stay = stay && session.get_keepalive().is_some();
    session.set_keepalive(stay.then(|| keepalive.idle.as_secs().max(1)));
    Some(table)
}

/// How long a head may take; before a later request on a connection the client may idle.
fn patience(table: &Table, reused: bool) -> Duration {
    let (limits, keepalive) = (&table.settings.limits, &table.settings.keepalive);
    if reused { keepalive.idle + limits.head_timeout } else { limits.head_timeout }
}

/// Keeps the connection for another request, or ends it.
pub async fn end(mut session: ServerSession, table: &Table) -> Option<ReusedHttpStream> {
    let patience = table.settings.limits.write_timeout;
    let body_is_left = !session.is_body_done();
    if session.is_http2() {
        // What has not ended properly is reset when it is dropped.
        return None;
    }
    if body_is_left || session.get_keepalive().is_none() {
        // Not `finish`: it would end an answer that broke off as if it were whole.
        let _ = timeout(patience, session.shutdown()).await;
        return None;
    }
    let mut settings = HttpPersistentSettings::for_session(&session);
    settings.set_user_context(Box::new(Reused));
    let reusable = timeout(patience, session.finish()).await.ok()?.ok()??;
    Some(ReusedHttpStream::from_reusable_stream(reusable, settings))
}

/// What came is not HTTP: there is no path, so no door; the shape is that of the API at the root.
async fn refuse_garbage(session: &mut ServerSession) {
    session.set_keepalive(None);
    let refusal = Refusal::new(Reason::InvalidJson, "the request is not valid HTTP");
    let rendered = refusal.render(Door::Databricks, "");
    if let Ok(mut head) = pingora_http::ResponseHeader::build(rendered.status, Some(3)) {
        let _ = head.insert_header("content-type", "application/json");
        let _ = session.write_error_response(head, Bytes::from(rendered.body)).await;
    }
}
