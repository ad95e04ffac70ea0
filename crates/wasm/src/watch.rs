//! The caller's functions and signal, between forward passes.

use crossrank::{CancelToken, Progress, Ranked};
use js_sys::{Array, Function, Promise};
use serde_json::{Value, json};
use wasm_bindgen::prelude::wasm_bindgen;
use wasm_bindgen::{JsCast, JsValue};
use wasm_bindgen_futures::JsFuture;

use crate::json::to_js;

#[wasm_bindgen]
extern "C" {
    /// How a caller follows and stops a request.
    pub type Watch;
    #[wasm_bindgen(method, getter)]
    pub(crate) fn signal(this: &Watch) -> Option<AbortSignal>;
    #[wasm_bindgen(method, getter, js_name = onProgress)]
    pub(crate) fn on_progress(this: &Watch) -> Option<Function>;
    #[wasm_bindgen(method, getter, js_name = onPartial)]
    pub(crate) fn on_partial(this: &Watch) -> Option<Function>;

    /// The DOM's AbortSignal.
    #[derive(Clone)]
    pub type AbortSignal;
    #[wasm_bindgen(method, getter)]
    fn aborted(this: &AbortSignal) -> bool;

    #[wasm_bindgen(js_name = setTimeout)]
    fn set_timeout(callback: &Function, milliseconds: u32) -> JsValue;
}

/// Lets events in, then cancels the request if one of them aborted it.
pub(crate) async fn events(signal: Option<AbortSignal>, cancel: CancelToken) {
    let mut arm = |resolve: Function, _reject: Function| {
        set_timeout(&resolve, 0);
    };
    // It only resolves.
    let _ = JsFuture::from(Promise::new(&mut arm)).await;
    check(signal.as_ref(), &cancel);
}

/// Cancels the request if its signal says so.
pub(crate) fn check(signal: Option<&AbortSignal>, cancel: &CancelToken) {
    if signal.is_some_and(AbortSignal::aborted) {
        cancel.cancel();
    }
}

/// Tells how far a request has come.
pub(crate) fn tell_progress(callback: &Function, progress: Progress) {
    let Progress { pairs_done, pairs_total } = progress;
    // An exception of the caller's function is the caller's.
    let _ = callback.call2(&JsValue::UNDEFINED, &(pairs_done as f64).into(), &(pairs_total as f64).into());
}

/// Gives the ranking so far.
pub(crate) fn give_partial(callback: &Function, results: &[Ranked]) {
    let results: Array = to_js(&ranked(results)).unchecked_into();
    let _ = callback.call1(&JsValue::UNDEFINED, &results);
}

/// Results as JSON; `score` and `logit` are absent where the deadline came first.
pub(crate) fn ranked(results: &[Ranked]) -> Value {
    let result = |result: &Ranked| match (result.score(), result.logit) {
        (Some(score), Some(logit)) => json!({ "index": result.index, "score": score, "logit": logit }),
        _ => json!({ "index": result.index }),
    };
    results.iter().map(result).collect()
}
