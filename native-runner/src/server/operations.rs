//! What operators and clients ask beside ranking: health, models, metrics, documentation.

use std::sync::atomic::Ordering;

use axum::Json;
use axum::http::header::{CONTENT_SECURITY_POLICY, CONTENT_TYPE};
use axum::response::{Html, IntoResponse, Response};
use serde_json::{Value, json};

use super::Server;
use super::engine::Engine;
use super::failure::Failure;
use super::routes::{RERANK, RERANK_V1, RERANK_V2, SCORE};

const OPENAPI: &str = include_str!("openapi.json");
const DOCS: &str = include_str!("docs.html");
/// The page's own script and style, and this server: nothing from outside.
const DOCS_POLICY: &str =
    "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; connect-src 'self'";

impl Server {
    /// Whether requests are answered: models are loaded, their threads run, and no shutdown has begun.
    pub(crate) fn ready(&self) -> Result<Json<Value>, Failure> {
        if self.draining.load(Ordering::Relaxed) {
            return Err(Failure::Draining);
        }
        if self.loaded().is_empty() {
            return Err(Failure::Loading);
        }
        self.live()
    }

    /// Whether the process is of use: it loads models, or their threads run.
    pub(crate) fn live(&self) -> Result<Json<Value>, Failure> {
        match self.loaded().iter().find(|engine| !engine.is_alive()) {
            None => Ok(Json(json!({ "status": "ok" }))),
            Some(engine) => Err(Failure::bug(&format_args!("the thread of {} has ended", engine.name()))),
        }
    }

    /// The models, as OpenAI lists them.
    pub(crate) fn models(&self) -> Json<Value> {
        let model = |engine: &Engine| json!({ "id": engine.name(), "object": "model", "created": 0, "owned_by": "crossrank" });
        Json(json!({ "object": "list", "data": self.loaded().iter().map(model).collect::<Vec<_>>() }))
    }

    /// What TEI says about itself, of the first model.
    pub(crate) fn info(&self) -> Result<Json<Value>, Failure> {
        let first = self.loaded().first().ok_or(Failure::Loading)?;
        let model = first.reranker.model();
        let limits = &self.arguments.limits;
        let labels = json!({ "id2label": { "0": "LABEL_0" }, "label2id": { "LABEL_0": 0 } });
        Ok(Json(json!({
            "model_id": model.name,
            "model_sha": null,
            "model_dtype": model.precision.name(),
            "model_type": { "reranker": labels },
            "device": { "name": model.device.name, "backend": model.device.backend },
            "max_input_length": model.max_tokens,
            "max_batch_tokens": limits.queue_tokens,
            "max_concurrent_requests": limits.max_connections,
            "max_client_batch_size": limits.max_documents,
            "auto_truncate": true,
            "version": env!("CARGO_PKG_VERSION"),
        })))
    }
}

/// The description of the routes, other names of a path included.
pub(crate) fn openapi() -> Json<Value> {
    let mut api: Value = serde_json::from_str(OPENAPI).unwrap_or_default();
    for paths in [&RERANK_V2[..], &RERANK_V1[..], &RERANK[..], &SCORE[..]] {
        let post = api["paths"][paths[0]]["post"].clone();
        paths.iter().for_each(|path| api["paths"][path]["post"] = post.clone());
    }
    Json(api)
}

pub(crate) fn docs() -> Response {
    ([(CONTENT_SECURITY_POLICY, DOCS_POLICY)], Html(DOCS)).into_response()
}

/// Metrics in the format that says which it is.
pub(crate) fn metrics(server: &Server) -> Response {
    let kind = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    ([(CONTENT_TYPE, kind)], server.metrics_text()).into_response()
}
