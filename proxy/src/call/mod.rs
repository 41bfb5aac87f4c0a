//! The life of a call, in order. Each step is a pure decision or one await; its own rules live where it points to.

mod answer;
mod relay;
mod translated;

use std::sync::Arc;

use bytes::Bytes;
use pingora_core::protocols::http::ServerSession;
use pingora_timeout::timeout;
use quanta::Instant;
use weirgate_config::snapshot::Task as PlanTask;
use weirgate_policy::door::{Door, Refusal};
use weirgate_policy::identity::Principal;
use weirgate_policy::reason::Reason;
use weirgate_translate::{Ask, Fill, Model, PeekError, Task};

use crate::app::refuse_early;
use crate::body::{self, Room};
use crate::live::{Live, unix_now};
use crate::record::Record;
use crate::reply::{self, Story};
use crate::route::CallRoute;
use crate::table::{Endpoint, Entity, Table};
use crate::upstream::wire::Answer;
use crate::upstream::{Upstream, push_header, task_of};
use relay::Relay;

/// Serves one call to its end: authenticate → admit → route → authorise → translate → forward → translate back →
/// record. Limits are to be reserved before the body is read and settled with the record (`docs/architecture.md`).
pub async fn serve(
    session: &mut ServerSession,
    live: &Live,
    table: &Table,
    door: Door,
    wanted: CallRoute<'_>,
    story: &Story<'_>,
) {
    let started = Instant::now();
    let admitted = match admit(session, live, table, &wanted).await {
        Ok(admitted) => admitted,
        Err(refusal) => return refuse_early(session, live, door, &refusal, story).await,
    };
    let routed = route(table, &wanted, &admitted);
    let (ask, entity) = match routed {
        Ok(routed) => routed,
        Err(refusal) => return refuse_early(session, live, door, &refusal, story).await,
    };
    let record = Record::begin(entity.metrics.clone(), started);
    let room = Room::new(live, table.settings.limits.bodies_in_flight);
    let call = Call { live, door, told: story, entity, ask };
    call.forward(session, record, room).await;
}

/// What is known when the body has been read.
struct Admitted<'a> {
    principal: Arc<Principal>,
    body: body::Body<'a>,
}

/// Everything that can be refused without looking into the body, then the body itself.
async fn admit<'a>(
    session: &mut ServerSession,
    live: &'a Live,
    table: &Table,
    wanted: &CallRoute<'_>,
) -> Result<Admitted<'a>, Refusal> {
    let principal = authenticate(session, live).await?;
    if let Some(name) = &wanted.endpoint {
        table.endpoint(name)?.authorise(&principal)?;
    }
    let body = body::read(session, live, &table.settings.limits, table.settings.limits.body).await?;
    Ok(Admitted { principal, body })
}

/// Who asks, by the bearer token.
pub async fn authenticate(session: &mut ServerSession, live: &Live) -> Result<Arc<Principal>, Refusal> {
    let header = session.get_header(http::header::AUTHORIZATION);
    Ok(live.identities.authenticate(header).await?.0)
}

/// Which served entity answers, and what is asked of it.
fn route<'a>(
    table: &'a Table,
    wanted: &CallRoute<'_>,
    admitted: &'a Admitted<'_>,
) -> Result<(Ask<'a>, &'a Arc<Entity>), Refusal> {
    let bytes = &admitted.body.bytes;
    let (ask, endpoint) = match (&wanted.endpoint, wanted.task) {
        (Some(name), _) => {
            let endpoint = table.endpoint(name)?;
            let task = endpoint.task.ok_or_else(|| no_task(endpoint))?;
            (Ask::peek(bytes, task_of(task)).map_err(peek_refusal)?, endpoint)
        }
        (None, task) => {
            let task = task.unwrap_or(PlanTask::Chat);
            let ask = Ask::peek(bytes, task_of(task)).map_err(peek_refusal)?;
            let name = ask.model.as_deref().filter(|name| !name.is_empty()).ok_or_else(|| {
                Refusal::new(Reason::InvalidParameter, "model is missing; it names the endpoint").at("model")
            })?;
            let endpoint = table.endpoint(name)?;
            endpoint.authorise(&admitted.principal)?;
            match endpoint.task {
                Some(its_own) if its_own == task => {}
                Some(its_own) => return Err(wrong_task(endpoint, its_own, task)),
                None => return Err(no_task(endpoint)),
            }
            (ask, endpoint)
        }
    };
    let entity = endpoint.choose(wanted.entity.as_deref())?;
    Ok((ask, entity))
}

fn no_task(endpoint: &Endpoint) -> Refusal {
    match endpoint.choose(None) {
        Err(refusal) => refusal,
        Ok(_) => Refusal::new(
            Reason::NotImplemented,
            format!("endpoint {} serves a custom model, which this version of weirgate cannot call yet", endpoint.name),
        ),
    }
}

fn wrong_task(endpoint: &Endpoint, its_own: PlanTask, asked: PlanTask) -> Refusal {
    let text = format!(
        "endpoint {} serves {}, this route is for {}",
        endpoint.name,
        task_of(its_own).name(),
        task_of(asked).name()
    );
    Refusal::new(Reason::WrongTask, text).at("model")
}

fn peek_refusal(error: PeekError) -> Refusal {
    let refusal = |reason| Refusal::new(reason, error.to_string());
    match error.param() {
        Some(param) => refusal(Reason::InvalidParameter).at(param),
        None => refusal(Reason::InvalidJson),
    }
}

/// A call that has its served entity.
struct Call<'a> {
    live: &'a Live,
    door: Door,
    /// The request's story before it had an entity.
    told: &'a Story<'a>,
    entity: &'a Arc<Entity>,
    ask: Ask<'a>,
}

impl<'a> Call<'a> {
    /// Forwards and relays, and sees to it that the client hears of a failure in the right form.
    async fn forward(&self, session: &mut ServerSession, mut record: Record, room: Room<'_>) {
        let upstream = match self.entity.upstream() {
            Ok(upstream) => upstream,
            Err(refusal) => {
                record.end(Some(refusal.reason));
                return self.refuse(session, &refusal, "", 0).await;
            }
        };
        let mut relay = Relay::new(self, upstream, room);
        let whole_call = upstream.place.timeouts.total;
        let outcome = match timeout(whole_call, self.attempt(session, upstream, &mut relay, &mut record)).await {
            Ok(outcome) => outcome,
            Err(_) => Err(Refusal::new(Reason::UpstreamTimeout, "the upstream did not finish its answer in time")),
        };
        if relay.attempts > 1 {
            record.resent();
        }
        record.usage(relay.usage());
        record.end(outcome.as_ref().err().map(|refusal| refusal.reason));
        let Err(refusal) = outcome else { return };
        if refusal.reason == Reason::ClientGone {
            session.set_keepalive(None);
        } else if relay.has_begun() {
            relay.break_off(session, &refusal).await;
        } else {
            self.refuse(session, &refusal, upstream.provider, relay.attempts).await;
        }
    }

    async fn attempt(
        &self,
        session: &mut ServerSession,
        upstream: &Upstream,
        relay: &mut Relay<'a>,
        record: &mut Record,
    ) -> Result<(), Refusal> {
        match upstream.pair {
            None => self.same(session, upstream, relay, record).await,
            Some(pair) => self.translated(session, upstream, pair, relay, record).await,
        }
    }

    /// Asks an upstream of the client's own schema: the client's bytes go on.
    async fn same(
        &self,
        session: &mut ServerSession,
        upstream: &Upstream,
        relay: &mut Relay<'a>,
        record: &mut Record,
    ) -> Result<(), Refusal> {
        let model = upstream.model();
        let body = self.ask.outgoing(Model::Name(&model));
        relay.room.grow(body.len() as u64)?;
        let passed_on = passed_on(session, self.told.request_id, upstream.passes);
        let whole = Part { path: "", headers: &[], body: &body };
        let sent = tokio::select! {
            sent = self.send(upstream, &whole, &passed_on, &mut relay.attempts) => sent,
            gone = client_gone(session) => return Err(gone),
        };
        relay.run(session, sent?, record).await
    }

    /// Sends one request and waits for the head of its answer.
    async fn send(
        &self,
        upstream: &Upstream,
        part: &Part<'_>,
        passed_on: &[u8],
        attempts: &mut u32,
    ) -> Result<Answer<'a>, Refusal> {
        let head = upstream.request_head(part.path, part.headers, passed_on, part.body).await?;
        self.live.wire.send(&upstream.place, &head, part.body, attempts).await
    }

    async fn refuse(&self, session: &mut ServerSession, refusal: &Refusal, provider: &'static str, attempts: u32) {
        let story = self.story(attempts);
        if reply::refuse(session, self.door, refusal, provider, &story).await.is_err() {
            session.set_keepalive(None);
        }
    }

    fn story(&self, attempts: u32) -> Story<'_> {
        Story { entity: Some(&self.entity.name), attempts, ..*self.told }
    }

    fn fill(&self, model: &str) -> Fill {
        let prefix = if self.ask.task() == Task::Chat { "chatcmpl" } else { "cmpl" };
        Fill { id: format!("{prefix}-{}", self.told.request_id), created: unix_now(), model: model.to_owned() }
    }
}

/// One request to an upstream.
struct Part<'p> {
    /// What follows the upstream's own path.
    path: &'p str,
    /// Headers of this request.
    headers: &'p [(&'static str, String)],
    body: &'p Bytes,
}

/// The header lines that an upstream gets to see: the request's id, and of the client's headers those named and none
/// besides.
fn passed_on(session: &ServerSession, request_id: &str, names: &[&str]) -> Vec<u8> {
    let mut lines = Vec::with_capacity(256);
    push_header(&mut lines, "x-request-id", request_id.as_bytes());
    for name in names {
        if let Some(value) = session.get_header(*name) {
            push_header(&mut lines, name, value.as_bytes());
        }
    }
    lines
}

/// Resolves when the client closes its connection or resets its stream.
async fn client_gone(session: &mut ServerSession) -> Refusal {
    // The request's body has been read, so anything that this returns is the end.
    let _ = session.read_body_or_idle(true).await;
    Refusal::new(Reason::ClientGone, "the client left")
}
