//! One HTTP request of either version: read its head, find its route, answer it, keep the connection.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::FutureExt;
use pingora_core::apps::{HttpPersistentSettings, HttpServerApp, HttpServerOptions, ReusedHttpStream};
use pingora_core::protocols::http::ServerSession;
use pingora_core::server::ShutdownWatch;
use pingora_timeout::timeout;
use weirgate_policy::door::{Door, Refusal};
use weirgate_policy::reason::Reason;

use crate::call;
use crate::live::{InFlight, Live};
use crate::models;
use crate::reply::{self, Story};
use crate::route::{self, Wanted};
use crate::table::Table;

/// The gateway's HTTP application.
pub struct App {
    live: Arc<Live>,
    options: HttpServerOptions,
}

/// Marks a connection's second and later requests, which may idle before they begin.
struct Reused;

impl App {
    /// `h2c` = connections of this instance begin with HTTP/2's preface.
    pub fn new(live: Arc<Live>, h2c: bool) -> Self {
        let keepalive = &live.table().settings.keepalive;
        let mut options = HttpServerOptions::default();
        options.h2c = h2c;
        // Pingora counts the requests after the first.
        options.keepalive_request_limit = keepalive.max_requests.map(|most| most.saturating_sub(1));
        options.h2_idle_timeout = Some(keepalive.idle);
        App { live, options }
    }

    /// How long a head may take; before a later request on a connection the client may idle.
    fn patience(&self, reused: bool) -> Duration {
        let table = self.live.table();
        let (limits, keepalive) = (&table.settings.limits, &table.settings.keepalive);
        if reused { keepalive.idle + limits.head_timeout } else { limits.head_timeout }
    }

    /// Answers whatever happens: a panic becomes a 500, and never takes the connection's neighbours along.
    async fn answer(&self, session: &mut ServerSession, table: &Arc<Table>) {
        let request_id = reply::request_id(session);
        let answered = AssertUnwindSafe(dispatch(session, &self.live, table, &request_id)).catch_unwind().await;
        if answered.is_err() {
            self.live.shared.metrics.panics.inc();
            session.set_keepalive(None);
            if session.response_written().is_none() {
                let refusal = Refusal::new(Reason::Internal, "the gateway failed on this request; its log says where");
                let door = route::door(session.req_header().uri.path());
                let story = Story { request_id: &request_id, entity: None, attempts: 0 };
                let _ = reply::refuse(session, door, &refusal, "", &story).await;
            }
        }
    }
}

async fn dispatch(session: &mut ServerSession, live: &Live, table: &Arc<Table>, request_id: &str) {
    // The head is copied out: the session is written to while its parts are still looked at.
    let head = session.req_header();
    let (method, uri) = (head.method.clone(), head.uri.clone());
    let door = route::door(uri.path());
    let ended = match route::find(&method, uri.path()) {
        Ok(Wanted::Call(wanted)) => return call::serve(session, live, table, door, wanted, request_id).await,
        Ok(Wanted::Models) => models::list(session, table, request_id).await,
        Ok(Wanted::Model(name)) => models::one(session, table, &name, request_id).await,
        Err(refusal) => Err(refusal),
    };
    if let Err(refusal) = ended {
        refuse_early(session, live, door, &refusal, request_id).await;
    }
}

/// Refuses before a served entity was chosen.
pub async fn refuse_early(session: &mut ServerSession, live: &Live, door: Door, refusal: &Refusal, request_id: &str) {
    live.shared.metrics.count_refusal(refusal.reason);
    if refusal.reason == Reason::ClientGone {
        session.set_keepalive(None);
        return;
    }
    let story = Story { request_id, entity: None, attempts: 0 };
    let body_is_read = session.is_body_done();
    if !body_is_read {
        session.set_keepalive(None);
    }
    if reply::refuse(session, door, refusal, "", &story).await.is_ok() && !body_is_read {
        crate::body::linger(session).await;
    }
}

#[async_trait]
impl HttpServerApp for App {
    async fn process_new_http(
        self: &Arc<Self>,
        mut session: ServerSession,
        shutdown: &ShutdownWatch,
    ) -> Option<ReusedHttpStream> {
        let reused = session.take_connection_user_context().is_some();
        let patience = self.patience(reused);
        match timeout(patience, session.read_request()).await {
            Ok(Ok(true)) => {}
            Ok(Ok(false)) | Err(_) => return None,
            Ok(Err(e)) => {
                log::debug!("a request that is not HTTP: {e}");
                refuse_garbage(&mut session).await;
                return None;
            }
        }
        // Only now: what was live when the connection fell idle may be long revoked.
        let table = self.live.table();
        let (limits, keepalive) = (&table.settings.limits, &table.settings.keepalive);
        let in_flight = InFlight::enter(&self.live);
        session.set_write_timeout(Some(limits.write_timeout));
        session.set_pipelining_enabled(true);
        let stay = !*shutdown.borrow() && !self.live.draining.load(Ordering::Acquire);
        session.set_keepalive(stay.then(|| keepalive.idle.as_secs().max(1)));
        self.answer(&mut session, &table).await;
        drop(in_flight);
        let mut settings = HttpPersistentSettings::for_session(&session);
        settings.set_user_context(Box::new(Reused));
        let reusable = session.finish().await.ok()??;
        Some(ReusedHttpStream::from_reusable_stream(reusable, settings))
    }

    fn server_options(&self) -> Option<&HttpServerOptions> {
        Some(&self.options)
    }
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
