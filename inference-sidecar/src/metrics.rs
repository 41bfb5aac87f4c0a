//! What the engine counts, named as vLLM names it where vLLM has the same thing, after the prefix `weirgate_engine_`.

use prometheus::{Gauge, Histogram, HistogramOpts, IntCounter, IntGauge, Opts, Registry, TextEncoder};

use crate::error::EngineError;

/// All metrics of one model, each labelled with `model_name`.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    /// Sequences in the running batch.
    pub running: IntGauge,
    /// Sequences that wait for a place in the batch.
    pub waiting: IntGauge,
    /// Share of the KV blocks in use, 0 to 1.
    pub kv_usage: Gauge,
    /// Sequences that lost their blocks to older ones and are computed anew.
    pub preemptions: IntCounter,
    /// Tokens of prompts, counted when the request is accepted.
    pub prompt_tokens: IntCounter,
    /// Tokens generated.
    pub generation_tokens: IntCounter,
    /// Sequences that ended by themselves.
    pub finished: IntCounter,
    /// Sequences whose client left first.
    pub abandoned: IntCounter,
    /// Rows of a step.
    pub step_rows: Histogram,
    /// From arrival to first token.
    pub first_token: Histogram,
    /// Between two tokens of a sequence.
    pub inter_token: Histogram,
    /// From arrival to last token.
    pub whole: Histogram,
}

/// Seconds; from a small model's inter-token time to a long answer.
const SECONDS: [f64; 20] = [
    0.001, 0.002, 0.005, 0.01, 0.02, 0.03, 0.05, 0.075, 0.1, 0.15, 0.25, 0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 60.0, 120.0,
    600.0,
];
const ROWS: [f64; 11] = [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 512.0, 1024.0];

impl Metrics {
    /// Metrics at zero for the model called `model`.
    pub fn new(model: &str) -> Result<Self, EngineError> {
        Self::register(model).map_err(|error| EngineError::Internal(format!("metrics: {error}")))
    }

    fn register(model: &str) -> prometheus::Result<Self> {
        let registry = Registry::new();
        let options = |name: &str, help: &str| {
            Opts::new(name, help).namespace("weirgate_engine").const_label("model_name", model)
        };
        let counter = |name: &str, help: &str| -> prometheus::Result<IntCounter> {
            let counter = IntCounter::with_opts(options(name, help))?;
            registry.register(Box::new(counter.clone()))?;
            Ok(counter)
        };
        let gauge = |name: &str, help: &str| -> prometheus::Result<IntGauge> {
            let gauge = IntGauge::with_opts(options(name, help))?;
            registry.register(Box::new(gauge.clone()))?;
            Ok(gauge)
        };
        let histogram = |name: &str, help: &str, buckets: &[f64]| -> prometheus::Result<Histogram> {
            let common_opts = options(name, help);
            let histogram = Histogram::with_opts(HistogramOpts { common_opts, buckets: buckets.to_vec() })?;
            registry.register(Box::new(histogram.clone()))?;
            Ok(histogram)
        };
        let kv_usage = Gauge::with_opts(options("kv_cache_usage_perc", "Share of the KV blocks in use; 1 is all."))?;
        registry.register(Box::new(kv_usage.clone()))?;
        Ok(Metrics {
            running: gauge("num_requests_running", "Sequences in the running batch.")?,
            waiting: gauge("num_requests_waiting", "Sequences waiting for a place in the batch.")?,
            kv_usage,
            preemptions: counter("num_preemptions_total", "Sequences that lost their blocks and were computed anew.")?,
            prompt_tokens: counter("prompt_tokens_total", "Tokens of accepted prompts and embedding inputs.")?,
            generation_tokens: counter("generation_tokens_total", "Tokens generated.")?,
            finished: counter("request_success_total", "Sequences that ended by themselves.")?,
            abandoned: counter("request_abandoned_total", "Sequences whose client left first.")?,
            step_rows: histogram("iteration_tokens", "Rows of a step.", &ROWS)?,
            first_token: histogram("time_to_first_token_seconds", "From arrival to first token.", &SECONDS)?,
            inter_token: histogram("inter_token_latency_seconds", "Between two tokens of a sequence.", &SECONDS)?,
            whole: histogram("e2e_request_latency_seconds", "From arrival to last token.", &SECONDS)?,
            registry,
        })
    }

    /// Prometheus' text format.
    pub fn render(&self) -> Result<String, EngineError> {
        let encoded = TextEncoder::new().encode_to_string(&self.registry.gather());
        encoded.map_err(|error| EngineError::Internal(format!("metrics: {error}")))
    }
}
