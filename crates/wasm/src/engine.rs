//! A loaded model.

use std::rc::Rc;

use crossrank::{CancelToken, Cascade, Control, Document, Progress, Ranked, Request, Reranker, ScoreOptions};
use js_sys::{Object, Promise, Reflect, Uint32Array};
use serde::Deserialize;
use serde_json::{Value, json};
use wasm_bindgen::JsValue;
use wasm_bindgen::prelude::wasm_bindgen;
use wasm_bindgen_futures::future_to_promise;

use crate::error::JsError;
use crate::json::{from_js, to_js};
use crate::watch::{AbortSignal, Watch, check, events, give_partial, ranked, tell_progress};

/// A cross-encoder that is ready to rank. Requests that run when it is freed go on to their end.
#[wasm_bindgen]
pub struct Engine(Rc<Reranker>);

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct EngineRequest {
    query: String,
    documents: Vec<Document>,
    top_n: Option<usize>,
    rank_fields: Option<Vec<String>>,
    max_tokens_per_doc: Option<usize>,
    min_score: Option<f64>,
    deadline_ms: Option<f64>,
    cascade: Option<Cascade>,
}

impl Engine {
    pub(crate) fn new(reranker: Reranker) -> Self {
        Self(Rc::new(reranker))
    }
}

#[wasm_bindgen]
impl Engine {
    /// What was loaded.
    pub fn info(&self) -> JsValue {
        let model = self.0.model();
        to_js(&json!({
            "name": model.name,
            "adapter": model.device.name,
            "backend": model.device.backend,
            "dtype": model.precision.name(),
            "maxTokens": model.max_tokens,
            "hiddenSize": model.config.hidden_size,
            "layers": model.config.num_hidden_layers,
            "vocabSize": model.config.vocab_size,
            "weightBytes": model.weight_bytes,
        }))
    }

    /// Ranks the documents of a request.
    pub fn rerank(&self, request: JsValue, watch: Watch) -> Promise {
        let reranker = Rc::clone(&self.0);
        future_to_promise(async move {
            let request = from_js::<EngineRequest>(&request)?.into();
            let (on_progress, on_partial) = (watch.on_progress(), watch.on_partial());
            let (signal, cancel) = (watch.signal(), CancelToken::default());
            check(signal.as_ref(), &cancel);
            let progress =
                on_progress.as_ref().map(|callback| |progress: Progress| tell_progress(callback, progress));
            let partial = on_partial.as_ref().map(|callback| {
                |results: Vec<Ranked>| {
                    give_partial(callback, &results);
                    // The callback may have aborted the request.
                    check(signal.as_ref(), &cancel);
                }
            });
            let pause = || Box::pin(events(signal.clone(), cancel.clone())) as _;
            let control = Control {
                on_progress: progress.as_ref().map(|progress| progress as _),
                on_partial: partial.as_ref().map(|partial| partial as _),
                pause: Some(&pause),
                cancel: cancel.clone(),
            };
            let response = reranker.rerank_async(&request, &control).await.map_err(JsError::from)?;
            let warnings = response.warnings.iter();
            let warnings: Value = warnings
                .map(|warning| json!({ "code": warning.code(), "message": warning.to_string() }))
                .collect();
            let usage = response.usage;
            Ok(to_js(&json!({
                "results": ranked(&response.results),
                "warnings": warnings,
                "usage": {
                    "tokens": usage.tokens,
                    "pairs": usage.pairs,
                    "batches": usage.batches,
                    "searchUnits": usage.search_units,
                    "tokenizeMs": usage.tokenize_ms,
                    "computeMs": usage.compute_ms,
                    "elapsedMs": usage.elapsed_ms,
                },
            })))
        })
    }

    /// The score of every pair.
    #[wasm_bindgen(js_name = computeScore)]
    pub fn compute_score(
        &self,
        pairs: JsValue,
        max_length: Option<usize>,
        signal: Option<AbortSignal>,
    ) -> Promise {
        let reranker = Rc::clone(&self.0);
        future_to_promise(async move {
            let pairs: Vec<(String, String)> = from_js(&pairs)?;
            let options = ScoreOptions { max_length, ..ScoreOptions::default() };
            let cancel = CancelToken::default();
            check(signal.as_ref(), &cancel);
            let pause = || Box::pin(events(signal.clone(), cancel.clone())) as _;
            let control = Control { pause: Some(&pause), cancel: cancel.clone(), ..Control::default() };
            let scores = reranker.compute_score_async(&pairs, &options, &control).await;
            let scores: Value = scores
                .map_err(JsError::from)?
                .iter()
                .map(|score| {
                    json!({
                        "index": score.index, "score": score.score(), "logit": score.logit, "tokens": score.tokens
                    })
                })
                .collect();
            Ok(to_js(&scores))
        })
    }

    /// The token ids of one pair, special tokens included.
    ///
    /// # Errors
    /// The codes of `Reranker::tokenize`.
    pub fn tokenize(&self, query: &str, document: &str) -> Result<Object, JsError> {
        let pair = self.0.tokenize(query, document, &ScoreOptions::default())?;
        let ids = Object::new();
        for (key, values) in [("ids", &pair.ids), ("typeIds", &pair.type_ids)] {
            // Setting a property of a new object does not fail.
            let _ = Reflect::set(&ids, &key.into(), &Uint32Array::from(values.as_slice()));
        }
        Ok(ids)
    }
}

impl From<EngineRequest> for Request {
    fn from(from: EngineRequest) -> Self {
        let request = Request::new(from.query, from.documents);
        Request {
            top_n: from.top_n,
            rank_fields: from.rank_fields,
            max_tokens_per_doc: from.max_tokens_per_doc.unwrap_or(request.max_tokens_per_doc),
            min_score: from.min_score,
            deadline_ms: from.deadline_ms.map(|milliseconds| milliseconds as u64),
            cascade: from.cascade,
            ..request
        }
    }
}
