//! The default model, and requests to it with documents as search results are.

// Every test file is a program of its own and uses its share of this one.
#![allow(dead_code)]

use std::path::PathBuf;

use crossrank::{Document, LoadOptions, ModelFiles, Precision, Request, Reranker, Response};

pub(crate) const QUERY: &str = "How many people live in Berlin?";

pub(crate) fn files() -> ModelFiles {
    ModelFiles::open_folder(&PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../models/default")).unwrap()
}

/// In f32 if nothing else is asked for: what the tests compare is exact in it.
pub(crate) fn load(options: &LoadOptions) -> Reranker {
    let precision = options.precision.or(Some(Precision::F32));
    Reranker::load(files(), &LoadOptions { precision, ..options.clone() }).unwrap()
}

pub(crate) fn request(documents: impl IntoIterator<Item = String>) -> Request {
    Request::new(QUERY, documents.into_iter().map(Document::from).collect())
}

/// The logits in request order.
pub(crate) fn logits(response: &Response) -> Vec<f32> {
    let mut logits = vec![f32::NAN; response.results.len()];
    response.results.iter().for_each(|result| logits[result.index] = result.logit.unwrap());
    logits
}

pub(crate) fn assert_same_logits(left: &[f32], right: &[f32]) {
    for (left, right) in left.iter().zip(right) {
        // Only the order of summation inside a matrix product differs.
        assert!((left - right).abs() <= 1e-5 * left.abs().max(1.0), "{left} {right}");
    }
}

/// Documents of lognormal length, median 200 tokens, sigma 0.6, at most 512: the usual spread.
pub(crate) fn ragged(count: usize) -> Vec<String> {
    let words =
        ["berlin", "people", "river", "census", "museum", "district", "live", "number", "old", "growth"];
    let mut state = 42_u64;
    let mut uniform = move || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 11) as f64 / (1_u64 << 53) as f64
    };
    (0..count)
        .map(|_| {
            let normal = (-2.0 * (1.0 - uniform()).ln()).sqrt() * (std::f64::consts::TAU * uniform()).cos();
            let length = (200.0 * (0.6 * normal).exp()).min(500.0) as usize;
            (0..length).map(|_| words[(uniform() * 10.0) as usize]).collect::<Vec<_>>().join(" ")
        })
        .collect()
}
