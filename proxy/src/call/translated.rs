//! The way of a call to a provider that does not speak the client's schema.

use std::sync::atomic::{AtomicU32, Ordering};

use bytes::Bytes;
use futures_util::stream::{self, StreamExt, TryStreamExt};
use pingora_core::protocols::http::ServerSession;
use weirgate_policy::door::Refusal;
use weirgate_translate::{Cx, Outgoing, Pair, Reply};

use super::relay::{Relay, Translation};
use super::{Call, Part, answer, client_gone, passed_on, peek_refusal};
use crate::body::Room;
use crate::record::Record;
use crate::upstream::Upstream;
use crate::upstream::wire::Answer;

/// Batches of embeddings that are under way at once.
const AT_ONCE: usize = 4;

/// A whole answer, and what it holds of the room for bodies.
struct Exchanged<'a> {
    answer: Answer<'a>,
    body: Bytes,
    _room: Room<'a>,
}

impl<'a> Call<'a> {
    /// Asks through `pair`, and relays what comes.
    pub(super) async fn translated(
        &self,
        session: &mut ServerSession,
        upstream: &Upstream,
        pair: &'static Pair,
        relay: &mut Relay<'a>,
        record: &mut Record,
    ) -> Result<(), Refusal> {
        let model = upstream.model();
        // The endpoint file's `policy.default_max_tokens` is to come; until then the pair's own stands.
        let cx = Cx { model: &model, default_max_tokens: None };
        let outgoing = pair.request(&self.ask, &cx).map_err(peek_refusal)?;
        let Outgoing { path, headers, bodies, dropped, asked } = &outgoing;
        relay.room.grow(bodies.iter().map(|body| body.len() as u64).sum())?;
        relay.translation = Some(Translation { pair, asked: *asked, dropped: dropped.join(", ") });
        let passed_on = passed_on(session, self.told.request_id, upstream.passes);
        // What is streamed is asked for in one request.
        if self.ask.stream
            && let Some(body) = bodies.first()
        {
            let part = Part { path, headers, body };
            let sent = tokio::select! {
                sent = self.send(upstream, &part, &passed_on, &mut relay.attempts) => sent,
                gone = client_gone(session) => return Err(gone),
            };
            return relay.run(session, sent?, record).await;
        }
        let attempts = AtomicU32::new(0);
        let mut exchanges = Vec::with_capacity(bodies.len());
        for body in bodies {
            let part = Part { path, headers, body };
            exchanges.push(self.exchange(upstream, part, &passed_on, &attempts, relay.room.another()));
        }
        let exchanged: Result<Vec<_>, _> = tokio::select! {
            exchanged = stream::iter(exchanges).buffered(AT_ONCE).try_collect() => exchanged,
            gone = client_gone(session) => Err(gone),
        };
        relay.attempts = attempts.into_inner();
        let exchanged: Vec<Exchanged<'_>> = exchanged?;
        let translated = {
            let lookups: Vec<_> = exchanged.iter().map(|e| lookup(|name| e.answer.header(name))).collect();
            let reply = |(e, header)| {
                let Exchanged { answer, body, .. }: &Exchanged<'_> = e;
                Reply { status: answer.status, header, body }
            };
            let replies: Vec<_> = exchanged.iter().zip(lookups.iter().map(|l| l as _)).map(reply).collect();
            pair.answer(&replies, &relay.back(*asked))
        };
        for exchanged in exchanged {
            exchanged.answer.release().await;
        }
        relay.whole(session, translated).await
    }

    /// Sends one part and reads all of its answer.
    async fn exchange(
        &self,
        upstream: &Upstream,
        part: Part<'_>,
        passed_on: &[u8],
        attempts: &AtomicU32,
        mut room: Room<'a>,
    ) -> Result<Exchanged<'a>, Refusal> {
        let mut sends = 0;
        let sent = self.send(upstream, &part, passed_on, &mut sends).await;
        attempts.fetch_max(sends, Ordering::Relaxed);
        let mut answer = answer::good(sent?, upstream, &mut room).await?;
        let body = answer::whole(&mut answer, upstream, &mut room).await?;
        Ok(Exchanged { answer, body, _room: room })
    }
}

/// Gives a closure the type that it needs to look headers up.
fn lookup<'a, F: Fn(&str) -> Option<&'a str>>(header: F) -> F {
    header
}
