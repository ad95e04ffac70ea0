//! What a reranker's scores mean on this collection.

use crossrank::sigmoid;
use serde::Serialize;

use crate::{Qrels, Run};

/// Bars of the distribution, and bins of the calibration.
const BINS: usize = 20;

/// Scores of a reranker beside the judgements.
#[derive(Debug, Clone, Serialize)]
pub struct Calibration {
    /// Scores from 0 to 1 in bins of equal width.
    pub bins: Vec<Bin>,
    /// The threshold that keeps relevant documents and leaves out others best, by F1; none without relevant ones.
    pub min_score: Option<Threshold>,
}

/// Pairs whose scores lie in one bin.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Bin {
    /// Pairs that are judged relevant.
    pub relevant: usize,
    /// All other pairs, judged or not.
    pub other: usize,
}

/// A threshold on the score, and what it does.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Threshold {
    /// The lowest score to keep.
    pub score: f64,
    /// The share of what is kept that is relevant.
    pub precision: f64,
    /// The share of relevant candidates that is kept.
    pub recall: f64,
}

impl Calibration {
    /// Looks at every reranked pair, its score the sigmoid of its logit; what was not judged counts as not relevant.
    pub fn new(reranked: &Run, qrels: &Qrels) -> Self {
        let pairs =
            reranked.iter().flat_map(|(query, ranking)| ranking.iter().map(move |scored| (query, scored)));
        let judged = pairs.map(|(query, scored)| {
            let grade = qrels.get(query).and_then(|grades| grades.get(&scored.document));
            (sigmoid(scored.score as f32), grade.is_some_and(|grade| *grade > 0))
        });
        let mut pairs: Vec<(f64, bool)> = judged.collect();
        pairs.sort_unstable_by(|a, b| b.0.total_cmp(&a.0));
        let mut bins = vec![Bin::default(); BINS];
        for (score, relevant) in &pairs {
            let bin = &mut bins[((score * BINS as f64) as usize).min(BINS - 1)];
            if *relevant { bin.relevant += 1 } else { bin.other += 1 }
        }
        Self { bins, min_score: threshold(&pairs) }
    }
}

/// The best threshold by F1 over pairs in order of falling scores.
fn threshold(pairs: &[(f64, bool)]) -> Option<Threshold> {
    let relevant = pairs.iter().filter(|pair| pair.1).count() as f64;
    let (mut kept_relevant, mut best, mut best_f1) = (0.0, None, 0.0);
    for (place, (score, is_relevant)) in pairs.iter().enumerate() {
        kept_relevant += f64::from(u8::from(*is_relevant));
        // A threshold keeps all of one score or none.
        if pairs.get(place + 1).is_some_and(|next| next.0 == *score) {
            continue;
        }
        let (precision, recall) = (kept_relevant / (place + 1) as f64, kept_relevant / relevant);
        let f1 = 2.0 * precision * recall / (precision + recall);
        if f1 > best_f1 {
            (best, best_f1) = (Some(Threshold { score: *score, precision, recall }), f1);
        }
    }
    best
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_threshold_has_the_best_f1_and_keeps_all_of_a_score() {
        let pairs = [(0.9, true), (0.8, false), (0.8, true), (0.7, true), (0.1, false)];
        let expected = Threshold { score: 0.7, precision: 0.75, recall: 1.0 };
        assert_eq!(threshold(&pairs), Some(expected));
        assert_eq!(threshold(&[(0.9, false)]), None);
    }
}
