//! What is counted and logged of every request: codes, tokens and times, never text.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use axum::extract::{Request, State};
use axum::http::Method;
use axum::middleware::Next;
use axum::response::Response;
use crossrank::Usage;
use prometheus_client::encoding::{EncodeLabelSet, text::encode};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::Registry;

use super::Server;

/// How a request ended; handlers put it into the extensions of their answer.
#[derive(Debug, Clone, Default)]
pub(crate) struct Outcome {
    /// `ok`, or the code of the failure.
    pub(crate) code: &'static str,
    pub(crate) model: String,
    /// None without an answer of a model.
    pub(crate) usage: Option<Usage>,
    pub(crate) documents: usize,
}

impl Outcome {
    /// Milliseconds of every stage.
    pub(crate) fn stages(&self) -> [(&'static str, f64); 4] {
        let usage = self.usage.clone().unwrap_or_default();
        let queue = (usage.elapsed_ms - usage.tokenize_ms - usage.compute_ms).max(0.0);
        [
            ("tokenize", usage.tokenize_ms),
            ("queue", queue),
            ("compute", usage.compute_ms),
            ("total", usage.elapsed_ms),
        ]
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct CodeLabel {
    code: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct StageLabels {
    model: String,
    stage: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ModelLabel {
    model: String,
}

type Histograms = Family<StageLabels, Histogram, fn() -> Histogram>;

pub(crate) struct Metrics {
    registry: Registry,
    requests: Family<CodeLabel, Counter>,
    stages: Histograms,
    tokens: Family<ModelLabel, Counter>,
    pairs: Family<ModelLabel, Counter>,
    queue_tokens: Family<ModelLabel, Gauge>,
    queue_requests: Family<ModelLabel, Gauge>,
}

impl Metrics {
    pub(crate) fn new() -> Self {
        let mut registry = Registry::with_prefix("crossrank");
        // 1 ms to 2 minutes.
        let histogram: fn() -> Histogram = || Histogram::new(exponential_buckets(0.001, 1.6, 26));
        let metrics = (
            Family::default(),
            Histograms::new_with_constructor(histogram),
            Family::default(),
            Family::default(),
            Family::default(),
            Family::default(),
        );
        let (requests, stages, tokens, pairs, queue_tokens, queue_requests) = metrics;
        registry.register(
            "requests",
            "Requests to rank or score by how they ended: ok, cancelled, or the code of an error",
            requests.clone(),
        );
        let times = "Seconds of answered requests: tokenize, queue, compute, and total";
        registry.register("stage_seconds", times, stages.clone());
        registry.register("tokens", "Tokens that went through a model", tokens.clone());
        registry.register("pairs", "Pairs that went through a model", pairs.clone());
        registry.register("queue_tokens", "Tokens that wait or run, estimated", queue_tokens.clone());
        registry.register("queue_requests", "Requests that wait or run", queue_requests.clone());
        Self { registry, requests, stages, tokens, pairs, queue_tokens, queue_requests }
    }

    fn count(&self, outcome: &Outcome) {
        self.requests.get_or_create(&CodeLabel { code: outcome.code }).inc();
        let Some(usage) = &outcome.usage else { return };
        let model = || ModelLabel { model: outcome.model.clone() };
        self.tokens.get_or_create(&model()).inc_by(usage.tokens as u64);
        self.pairs.get_or_create(&model()).inc_by(usage.pairs as u64);
        for (stage, ms) in outcome.stages() {
            self.stages.get_or_create(&StageLabels { model: outcome.model.clone(), stage }).observe(ms / 1e3);
        }
    }
}

impl Server {
    /// All metrics as Prometheus reads them.
    pub(crate) fn metrics_text(&self) -> String {
        for engine in self.loaded() {
            let (load, model) = (engine.load(), ModelLabel { model: engine.name().to_owned() });
            let read = |count: &std::sync::atomic::AtomicUsize| count.load(Ordering::Relaxed) as i64;
            self.metrics.queue_tokens.get_or_create(&model).set(read(&load.tokens));
            self.metrics.queue_requests.get_or_create(&model).set(read(&load.requests));
        }
        let mut text = String::new();
        // Writing to a string does not fail.
        let _ = encode(&mut text, &self.metrics.registry);
        text
    }
}

/// A request that is being answered; counted as cancelled if its client goes first.
struct Watched<'a> {
    server: &'a Server,
    outcome: Outcome,
}

impl Drop for Watched<'_> {
    fn drop(&mut self) {
        self.server.metrics.count(&self.outcome);
    }
}

/// Counts a request that asks a model something, and logs a line about it.
pub(crate) async fn watch(State(server): State<Arc<Server>>, request: Request, next: Next) -> Response {
    if request.method() != Method::POST {
        return next.run(request).await;
    }
    let (started, path) = (Instant::now(), request.uri().path().to_owned());
    let outcome = Outcome { code: "cancelled", ..Outcome::default() };
    let mut watched = Watched { server: &server, outcome };
    let mut response = next.run(request).await;
    watched.outcome =
        response.extensions_mut().remove().unwrap_or(Outcome { code: "ok", ..Outcome::default() });
    log(&path, response.status().as_u16(), &watched.outcome, started.elapsed());
    response
}

fn log(path: &str, status: u16, outcome: &Outcome, elapsed: Duration) {
    let total_ms = elapsed.as_millis() as u64;
    let (code, model, documents) = (outcome.code, &outcome.model, outcome.documents);
    let Some(usage) = &outcome.usage else {
        return tracing::info!(path, status, code, total_ms, "answered");
    };
    let [_, (_, queue_ms), (_, compute_ms), _] = outcome.stages();
    let (queue_ms, compute_ms, tokens) = (queue_ms as u64, compute_ms as u64, usage.tokens);
    tracing::info!(path, status, code, model, documents, tokens, queue_ms, compute_ms, total_ms, "answered");
}
