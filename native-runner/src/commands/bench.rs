//! `crossrank bench`: how fast this machine scores, as JSON that can be shared.

use std::time::Instant;

use anyhow::ensure;
use crossrank::{PairScore, ScoreOptions};
use serde_json::json;

use crate::cli::BenchArguments;
use crate::input::PairReader;
use crate::output::{write_line, write_stdout};

pub(crate) fn run(arguments: &BenchArguments) -> anyhow::Result<()> {
    let mut reader = PairReader::open(&arguments.pairs.pairs)?;
    let mut pairs = Vec::new();
    loop {
        let chunk = reader.next_chunk()?;
        if chunk.is_empty() {
            break;
        }
        pairs.extend(chunk);
    }
    ensure!(!pairs.is_empty(), "{} holds no pair", arguments.pairs.pairs.display());
    let options = ScoreOptions {
        max_length: arguments.pairs.max_length,
        truncation: arguments.pairs.truncation.into(),
    };

    let loading = Instant::now();
    let reranker = crate::model::load(&arguments.model)?;
    let load_s = loading.elapsed().as_secs_f64();
    let model = reranker.model();
    let (mut seconds, mut scores) = (Vec::new(), Vec::new());
    for _ in 0..=arguments.rounds.get() {
        let started = Instant::now();
        scores = reranker.compute_score(&pairs, &options)?;
        seconds.push(started.elapsed().as_secs_f64());
    }
    // What the first round takes more is caches, and on a GPU the compilation of its kernels.
    let first_s = seconds.remove(0);
    let best = seconds.iter().copied().fold(f64::INFINITY, f64::min);
    let flops: u64 = scores.iter().map(|PairScore { tokens, .. }| model.config.flops(*tokens)).sum();
    let gflop_per_s = flops as f64 / best / 1e9;
    let mut text = Vec::new();
    write_line(
        &mut text,
        &json!({
            "crossrank": env!("CARGO_PKG_VERSION"),
            "model": model.name,
            "dtype": model.precision.name(),
            "device": { "name": model.device.name, "backend": model.device.backend },
            "threads": rayon::current_num_threads(),
            "pairs": scores.len(),
            "tokens": scores.iter().map(|pair| pair.tokens).sum::<usize>(),
            "load_s": load_s,
            "first_s": first_s,
            "seconds": seconds,
            "pairs_per_s": scores.len() as f64 / best,
            "gflop_per_s": gflop_per_s,
            "percent_of_peak": arguments.peak_tflops.map(|peak| gflop_per_s / (10.0 * peak)),
            "logits": arguments.logits.then(|| scores.iter().map(|pair| pair.logit).collect::<Vec<_>>()),
        }),
    )?;
    write_stdout(&text)
}
