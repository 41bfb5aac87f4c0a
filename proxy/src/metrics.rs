//! What operators count. Labels come from configuration only: a name that a client made up never becomes one.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use prometheus::proto::{Metric, MetricFamily};
use prometheus::{
    Encoder, Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry,
    TextEncoder,
};
use weirgate_policy::reason::Reason;

use crate::engines::Engine;
use crate::error::ProxyError;

/// Seconds; an LLM's answer takes from milliseconds (errors, embeddings) to minutes.
const LATENCY: &[f64] =
    &[0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 600.0];
/// Outcomes of a request: `ok`, or the name of a reason.
const OUTCOMES: usize = Reason::ALL.len() + 1;

/// Endpoint and served entity.
type EntityKey = (Arc<str>, Arc<str>);

/// All series of the process.
pub struct Metrics {
    registry: Registry,
    requests: IntCounterVec,
    latency: HistogramVec,
    first_token: HistogramVec,
    in_flight: IntGaugeVec,
    tokens: IntCounterVec,
    resent: IntCounterVec,
    refusals: IntCounterVec,
    engine_ready: IntGaugeVec,
    engine_requests: IntGaugeVec,
    engine_restarts: IntGaugeVec,
    /// Generation of the snapshot that is served.
    pub generation: IntGauge,
    /// 1 while the files on disk do not validate and an older state is served.
    pub config_broken: IntGauge,
    /// Reloads that were refused.
    pub config_errors: IntCounter,
    /// Requests that ended in a panic.
    pub panics: IntCounter,
    entities: Mutex<HashMap<EntityKey, Arc<EntityMetrics>>>,
    refused: [OnceLock<IntCounter>; OUTCOMES],
}

/// The series of one served entity, looked up once when a snapshot is compiled.
pub struct EntityMetrics {
    labels: [Arc<str>; 2],
    requests: IntCounterVec,
    by_outcome: [OnceLock<IntCounter>; OUTCOMES],
    /// Seconds from the request's head to the end of its answer.
    pub latency: Histogram,
    /// Seconds from the request's head to the first content of its answer.
    pub first_token: Histogram,
    /// Requests being worked on.
    pub in_flight: IntGauge,
    /// Tokens by disjoint class, in the order of [`CLASSES`].
    pub tokens: [IntCounter; CLASSES.len()],
    /// Requests sent again because a pooled connection had just been closed.
    pub resent: IntCounter,
}

/// Disjoint classes of tokens.
pub const CLASSES: [&str; 5] = ["input", "cache_read", "cache_write", "reasoning", "output"];

impl EntityMetrics {
    /// Counts the end of a request; `None` = ok.
    pub fn count(&self, outcome: Option<Reason>) {
        if let Some(slot) = self.by_outcome.get(slot(outcome)) {
            let [endpoint, entity] = &self.labels;
            slot.get_or_init(|| self.requests.with_label_values(&[&**endpoint, &**entity, name(outcome)])).inc();
        }
    }
}

fn slot(outcome: Option<Reason>) -> usize {
    outcome.map_or(0, |reason| reason as usize + 1)
}

fn name(outcome: Option<Reason>) -> &'static str {
    outcome.map_or("ok", |reason| reason.facts().name)
}

impl Metrics {
    /// Registers all series.
    pub fn new() -> Result<Self, ProxyError> {
        Self::register().map_err(|e| ProxyError::Io { what: "metrics".into(), source: std::io::Error::other(e) })
    }

    fn register() -> prometheus::Result<Self> {
        let registry = Registry::new();
        let per_entity = ["endpoint", "entity"];
        let with = |more: &'static str| ["endpoint", "entity", more];
        Ok(Metrics {
            requests: add(
                &registry,
                IntCounterVec::new(
                    Opts::new(
                        "weirgate_requests_total",
                        "Requests that reached a served entity, by outcome (ok, or a reason)",
                    ),
                    &with("outcome"),
                )?,
            )?,
            latency: add(
                &registry,
                HistogramVec::new(
                    HistogramOpts::new("weirgate_request_seconds", "From the request's head to the end of its answer")
                        .buckets(LATENCY.to_vec()),
                    &per_entity,
                )?,
            )?,
            first_token: add(
                &registry,
                HistogramVec::new(
                    HistogramOpts::new(
                        "weirgate_time_to_first_token_seconds",
                        "From the request's head to the first content of a streamed answer",
                    )
                    .buckets(LATENCY.to_vec()),
                    &per_entity,
                )?,
            )?,
            in_flight: add(
                &registry,
                IntGaugeVec::new(Opts::new("weirgate_requests_in_flight", "Requests being worked on"), &per_entity)?,
            )?,
            tokens: add(
                &registry,
                IntCounterVec::new(
                    Opts::new("weirgate_tokens_total", "Tokens by disjoint class, as the upstream reported them"),
                    &with("class"),
                )?,
            )?,
            resent: add(
                &registry,
                IntCounterVec::new(
                    Opts::new(
                        "weirgate_resent_total",
                        "Requests sent again because the pooled connection had just been closed",
                    ),
                    &per_entity,
                )?,
            )?,
            refusals: add(
                &registry,
                IntCounterVec::new(
                    Opts::new(
                        "weirgate_refusals_total",
                        "Requests refused before a served entity was chosen, by reason",
                    ),
                    &["reason"],
                )?,
            )?,
            engine_ready: add(
                &registry,
                IntGaugeVec::new(Opts::new("weirgate_engine_ready", "1 if the engine gets traffic"), &["model"])?,
            )?,
            engine_requests: add(
                &registry,
                IntGaugeVec::new(
                    Opts::new("weirgate_engine_requests", "Requests in the engine, as of its last metrics"),
                    &["model", "state"],
                )?,
            )?,
            engine_restarts: add(
                &registry,
                IntGaugeVec::new(
                    Opts::new("weirgate_engine_restarts", "Times that the engine's process was started again"),
                    &["model"],
                )?,
            )?,
            generation: add(
                &registry,
                IntGauge::new("weirgate_config_generation", "Generation of the configuration that is served")?,
            )?,
            config_broken: add(
                &registry,
                IntGauge::new(
                    "weirgate_config_broken",
                    "1 while the files do not validate and the last good state is served",
                )?,
            )?,
            config_errors: add(
                &registry,
                IntCounter::new("weirgate_config_errors_total", "Reloads that were refused")?,
            )?,
            panics: add(&registry, IntCounter::new("weirgate_panics_total", "Requests that ended in a panic")?)?,
            entities: Mutex::default(),
            refused: [const { OnceLock::new() }; OUTCOMES],
            registry,
        })
    }

    /// The series of a served entity: the same ones after a reload.
    pub fn entity(&self, endpoint: &Arc<str>, entity: &Arc<str>) -> Arc<EntityMetrics> {
        let key = (endpoint.clone(), entity.clone());
        let mut entities = self.entities.lock().unwrap_or_else(PoisonError::into_inner);
        let made = entities.entry(key).or_insert_with(|| {
            let labels = [&**endpoint, &**entity];
            let class = |class: &str| self.tokens.with_label_values(&[&**endpoint, &**entity, class]);
            Arc::new(EntityMetrics {
                labels: [endpoint.clone(), entity.clone()],
                requests: self.requests.clone(),
                by_outcome: [const { OnceLock::new() }; OUTCOMES],
                latency: self.latency.with_label_values(&labels),
                first_token: self.first_token.with_label_values(&labels),
                in_flight: self.in_flight.with_label_values(&labels),
                tokens: CLASSES.map(class),
                resent: self.resent.with_label_values(&labels),
            })
        });
        made.clone()
    }

    /// Counts a request that was refused before a served entity was chosen.
    pub fn count_refusal(&self, reason: Reason) {
        if let Some(slot) = self.refused.get(slot(Some(reason))) {
            slot.get_or_init(|| self.refusals.with_label_values(&[reason.facts().name])).inc();
        }
    }

    /// Sets the engines' gauges; called when metrics are read. Those of engines that are gone go too.
    pub fn show_engines(&self, engines: &[Arc<Engine>]) {
        for gauges in [&self.engine_ready, &self.engine_restarts, &self.engine_requests] {
            gauges.reset();
        }
        engines.iter().for_each(|engine| self.show_engine(engine));
    }

    fn show_engine(&self, engine: &Engine) {
        use std::sync::atomic::Ordering::Relaxed;
        let label = engine.label.as_str();
        let show = |value: u64| i64::try_from(value).unwrap_or(i64::MAX);
        self.engine_ready.with_label_values(&[label]).set(i64::from(engine.is_ready()));
        self.engine_restarts.with_label_values(&[label]).set(show(engine.restarts.load(Relaxed)));
        self.engine_requests.with_label_values(&[label, "running"]).set(show(engine.running.load(Relaxed)));
        self.engine_requests.with_label_values(&[label, "waiting"]).set(show(engine.waiting.load(Relaxed)));
    }

    /// All series in Prometheus' text form.
    pub fn text(&self) -> Vec<u8> {
        encode(&self.registry.gather())
    }

    /// The series of one endpoint, in the same form.
    pub fn text_of(&self, endpoint: &str) -> Vec<u8> {
        let of_endpoint = |metric: &Metric| {
            metric.get_label().iter().any(|label| label.name() == "endpoint" && label.value() == endpoint)
        };
        let mut families = self.registry.gather();
        families.retain_mut(|family| {
            let kept: Vec<Metric> = family.take_metric().into_iter().filter(of_endpoint).collect();
            family.set_metric(kept);
            !family.get_metric().is_empty()
        });
        encode(&families)
    }

    /// Forgets the series of served entities that are gone: names come and go over the API, memory must not grow with them.
    pub fn keep_only<'a>(&self, used: impl Iterator<Item = &'a Arc<EntityMetrics>>) {
        let used: HashSet<_> = used.map(Arc::as_ptr).collect();
        self.entities.lock().unwrap_or_else(PoisonError::into_inner).retain(|_, entity| {
            let keep = used.contains(&Arc::as_ptr(entity));
            if !keep {
                self.forget(entity);
            }
            keep
        });
    }

    fn forget(&self, entity: &EntityMetrics) {
        // What is not there need not be removed.
        let labels = entity.labels.each_ref().map(|label| &**label);
        let [endpoint, name] = labels;
        let _ = self.latency.remove_label_values(&labels);
        let _ = self.first_token.remove_label_values(&labels);
        let _ = self.in_flight.remove_label_values(&labels);
        let _ = self.resent.remove_label_values(&labels);
        for class in CLASSES {
            let _ = self.tokens.remove_label_values(&[endpoint, name, class]);
        }
        for outcome in std::iter::once(None).chain(Reason::ALL.iter().copied().map(Some)) {
            let _ = self.requests.remove_label_values(&[endpoint, name, self::name(outcome)]);
        }
    }
}

fn encode(families: &[MetricFamily]) -> Vec<u8> {
    let mut text = Vec::new();
    if let Err(e) = TextEncoder::new().encode(families, &mut text) {
        log::error!("metrics cannot be written: {e}");
    }
    text
}

fn add<C: prometheus::core::Collector + Clone + 'static>(registry: &Registry, collector: C) -> prometheus::Result<C> {
    registry.register(Box::new(collector.clone()))?;
    Ok(collector)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reload_keeps_counting_in_the_same_series() {
        let metrics = Metrics::new().unwrap();
        let (endpoint, entity): (Arc<str>, Arc<str>) = ("chat".into(), "a".into());
        metrics.entity(&endpoint, &entity).count(None);
        metrics.entity(&endpoint, &entity).count(None);
        metrics.entity(&endpoint, &entity).count(Some(Reason::UpstreamTimeout));
        metrics.count_refusal(Reason::Unauthenticated);
        let text = String::from_utf8(metrics.text()).unwrap();
        for line in [
            r#"weirgate_requests_total{endpoint="chat",entity="a",outcome="ok"} 2"#,
            r#"weirgate_requests_total{endpoint="chat",entity="a",outcome="upstream_timeout"} 1"#,
            r#"weirgate_refusals_total{reason="unauthenticated"} 1"#,
        ] {
            assert!(text.contains(line), "{line} in\n{text}");
        }
    }
    #[test]
    fn one_endpoint_s_series_are_its_own_and_go_with_it() {
        let metrics = Metrics::new().unwrap();
        let kept = metrics.entity(&"chat".into(), &"a".into());
        kept.count(None);
        metrics.entity(&"chat-2".into(), &"chat".into()).count(Some(Reason::UpstreamTimeout));
        let text = String::from_utf8(metrics.text_of("chat")).unwrap();
        assert!(
            text.contains("# HELP weirgate_requests_total") && text.contains("# TYPE weirgate_requests_total counter")
        );
        assert!(text.contains(r#"weirgate_requests_total{endpoint="chat",entity="a",outcome="ok"} 1"#), "{text}");
        assert!(text.lines().all(|line| line.starts_with('#') || line.contains(r#"endpoint="chat""#)), "{text}");
        assert_eq!(metrics.text_of("nobody"), b"");
        metrics.keep_only([&kept].into_iter());
        assert!(!String::from_utf8(metrics.text()).unwrap().contains("chat-2"));
        assert_eq!(String::from_utf8(metrics.text_of("chat")).unwrap(), text);
    }
}
