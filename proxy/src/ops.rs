//! The private operations listener: `/healthz`, `/readyz`, `/metrics`, and the control API where that is configured.
//!
//! It is a Pingora service like the public ones, so its socket is handed over in an upgrade as theirs are.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use async_trait::async_trait;
use axum::Router;
use bytes::Bytes;
use futures_util::FutureExt;
use pingora_core::apps::{HttpServerApp, ReusedHttpStream};
use pingora_core::protocols::http::ServerSession;
use pingora_core::server::ShutdownWatch;
use pingora_http::ResponseHeader;
use serde_json::{Value, json};
use weirgate_policy::door::Door;

use crate::api;
use crate::app::{begin, end, refuse_early, refuse_panicked};
use crate::live::{InFlight, Live};
use crate::reply::{self, Story};
use crate::route;
use crate::table::Table;

const JSON: &str = "application/json";
/// Prometheus' text exposition format, version 0.0.4.
const EXPOSITION: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Serves operators.
pub struct Operations {
    /// What it tells of.
    pub live: Arc<Live>,
    /// The control API, if it answers here too.
    pub router: Option<Router>,
}

impl Operations {
    fn answer(&self, path: &str) -> (u16, &'static str, Vec<u8>) {
        match path {
            "/healthz" => (200, JSON, json!({"status": "ok"}).to_string().into_bytes()),
            "/readyz" => {
                let draining = self.live.draining.load(Ordering::Acquire);
                (if draining { 503 } else { 200 }, JSON, self.readiness(draining).to_string().into_bytes())
            }
            "/metrics" => {
                self.live.shared.metrics.show_engines(&self.live.shared.engines.all());
                (200, EXPOSITION, self.live.shared.metrics.text())
            }
            _ => (404, JSON, json!({"message": "there are /healthz, /readyz and /metrics"}).to_string().into_bytes()),
        }
    }

    fn readiness(&self, draining: bool) -> Value {
        let table = self.live.table();
        let endpoints: Vec<_> =
            table.readiness().into_iter().map(|(name, ready)| json!({"name": &*name, "ready": ready})).collect();
        let engines: Vec<_> = self
            .live
            .shared
            .engines
            .all()
            .into_iter()
            .map(|engine| {
                json!({
                    "name": engine.label,
                    "state": engine.state().name(),
                    "restarts": engine.restarts.load(Ordering::Relaxed),
                })
            })
            .collect();
        json!({
            "status": if draining { "draining" } else { "ready" },
            "generation": table.generation,
            "config_error": self.live.config_error(),
            "endpoints": endpoints,
            "engines": engines,
        })
    }

    async fn operate(&self, session: &mut ServerSession, path: &str) -> Option<()> {
        let get = session.req_header().method == http::Method::GET;
        let (status, content_type, body) =
            if get { self.answer(path) } else { (405, JSON, json!({"message": "only GET"}).to_string().into_bytes()) };
        let mut head = ResponseHeader::build(status, Some(4)).ok()?;
        head.insert_header("content-type", content_type).ok()?;
        reply::whole(session, head, Bytes::from(body)).await.ok()
    }

    async fn control(&self, session: &mut ServerSession, table: &Table, router: &Router) {
        let _in_flight = InFlight::enter(&self.live);
        let request_id = reply::request_id(session);
        let story = Story::begin(session, &request_id, table.generation);
        let answer = async {
            if let Err(refusal) = api::serve(session, &self.live, table, router, &story).await {
                refuse_early(session, &self.live, Door::Databricks, &refusal, &story).await;
            }
        };
        if AssertUnwindSafe(answer).catch_unwind().await.is_err() {
            refuse_panicked(session, &self.live, &story).await;
        }
    }
}

#[async_trait]
impl HttpServerApp for Operations {
    async fn process_new_http(
        self: &Arc<Self>,
        mut session: ServerSession,
        shutdown: &ShutdownWatch,
    ) -> Option<ReusedHttpStream> {
        let table = begin(&mut session, &self.live, shutdown).await?;
        let path = session.req_header().uri.path().to_owned();
        match self.router.as_ref().filter(|_| route::is_control(&path)) {
            Some(router) => self.control(&mut session, &table, router).await,
            None => self.operate(&mut session, &path).await?,
        }
        end(session, &table).await
    }
}
