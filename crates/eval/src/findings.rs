//! What the figures say, in words: whether reranking is worth it here.

use crate::{Calibration, Comparison};

/// A difference that chance gives more often than this is not called one.
const SIGNIFICANT: f64 = 0.05;
/// Queries of fewer words on average are keywords.
const KEYWORDS: f64 = 3.5;

/// Whether the stage after is worth it, with the evidence.
pub fn verdict(comparison: &Comparison) -> String {
    let Comparison { before, after, difference, p, better, worse, same_order, queries, .. } = comparison;
    let share = |count: &usize| 100.0 * *count as f64 / (*queries).max(1) as f64;
    let judgement = match (*p < SIGNIFICANT, *difference > 0.0) {
        (true, true) => format!("{after} is better than {before}"),
        (true, false) => format!("{after} does harm: do not use it here, {before} alone is better"),
        (false, _) => {
            format!("{after} is not measurably better than {before}: reranking is not worth it here")
        }
    };
    format!(
        "{judgement} (nDCG@10 {difference:+.4}, p = {p:.4}; {:.0} % of the queries better, {:.0} % worse; the ten best \
         stayed in place for {:.0} %).",
        share(better),
        share(worse),
        share(same_order),
    )
}

/// Why a reranker may bring little here: what the collection itself says.
pub fn circumstances<'a>(
    queries: impl Iterator<Item = &'a str>,
    documents: usize,
    top_k: usize,
) -> Vec<String> {
    let words: Vec<usize> = queries.map(|query| query.split_whitespace().count()).collect();
    let mean = words.iter().sum::<usize>() as f64 / words.len().max(1) as f64;
    let mut found = Vec::new();
    // One word may be a whole question where words are not separated by spaces.
    if (1.5..KEYWORDS).contains(&mean) {
        found.push(format!(
            "Queries have {mean:.1} words on average: a lexical first stage is strong on keywords."
        ));
    }
    if documents <= 10 * top_k {
        found.push(format!(
            "The collection has {documents} documents, of which {top_k} are reranked for each query: figures from so \
             small a collection say little about a large one."
        ));
    }
    found
}

/// The threshold to use on this collection.
pub fn threshold_finding(stage: &str, calibration: &Calibration) -> Option<String> {
    let threshold = calibration.min_score.as_ref()?;
    // Rounded down: the threshold itself is kept.
    let places = (1.0 - threshold.score.log10().floor()).max(2.0);
    let score = (threshold.score * 10_f64.powf(places)).floor() / 10_f64.powf(places);
    Some(format!(
        "--min-score {score} suits {stage} here best (F1): {:.0} % of what it keeps is relevant, and it keeps {:.0} % of the \
         relevant candidates. It holds for this model, dtype and collection only.",
        100.0 * threshold.precision,
        100.0 * threshold.recall,
    ))
}
