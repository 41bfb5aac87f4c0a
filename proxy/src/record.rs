//! One request's record: what is counted when it ends, however it ends.

use std::sync::Arc;

use quanta::Instant;
use weirgate_policy::reason::Reason;
use weirgate_translate::Usage;

use crate::metrics::EntityMetrics;

/// Counts a request that has a served entity. Dropping it records, so a cancelled request is recorded too.
pub struct Record {
    started: Instant,
    metrics: Arc<EntityMetrics>,
    outcome: Option<Reason>,
    usage: Option<Usage>,
}

impl Record {
    /// Begins; `started` is when the request's head had been read.
    pub fn begin(metrics: Arc<EntityMetrics>, started: Instant) -> Self {
        metrics.in_flight.inc();
        // Until someone says otherwise the client has left: that is what a drop without a word means.
        Record { started, metrics, outcome: Some(Reason::ClientGone), usage: None }
    }

    /// The first content of a stream is about to be sent.
    pub fn first_token(&self) {
        self.metrics.first_token.observe(self.started.elapsed().as_secs_f64());
    }

    /// The request was sent twice because a pooled connection had just been closed.
    pub fn resent(&self) {
        self.metrics.resent.inc();
    }

    /// What the upstream reported so far.
    pub fn usage(&mut self, usage: Option<Usage>) {
        self.usage = usage;
    }

    /// How it ended: `None` = well.
    pub fn end(&mut self, outcome: Option<Reason>) {
        self.outcome = outcome;
    }
}

impl Drop for Record {
    fn drop(&mut self) {
        self.metrics.in_flight.dec();
        self.metrics.latency.observe(self.started.elapsed().as_secs_f64());
        self.metrics.count(self.outcome);
        if let Some(usage) = &self.usage {
            let Usage { fresh_input, cache_read, cache_write, reasoning, output } = *usage;
            let classes = [fresh_input, cache_read, cache_write, reasoning, output];
            for (counter, tokens) in self.metrics.tokens.iter().zip(classes) {
                counter.inc_by(tokens);
            }
        }
    }
}
