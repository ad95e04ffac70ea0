//! How deep to rerank: is the first stage or the reranker the limit?

use serde::Serialize;

use crate::{Judged, Metric, Qrels, Run, Scored, mean};

/// What reranking the best `k` gives.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Depth {
    /// Documents of each query that are reranked.
    pub k: usize,
    /// nDCG@10 of the reranker.
    #[serde(rename = "ndcg@10")]
    pub ndcg: f64,
    /// The share of relevant documents among the `k`: what no reranker can exceed.
    pub recall: f64,
    /// nDCG@10 if the `k` were in the best order there is.
    pub oracle: f64,
}

/// What reranking fewer documents would have given: no pair is scored again.
pub fn depths(first: &Run, reranked: &Run, qrels: &Qrels, ks: &[usize]) -> Vec<Depth> {
    ks.iter().map(|k| depth(first, reranked, qrels, *k)).collect()
}

fn depth(first: &Run, reranked: &Run, qrels: &Qrels, k: usize) -> Depth {
    let (mut ndcg, mut recall, mut oracle) = (Vec::new(), Vec::new(), Vec::new());
    for (query, grades) in qrels {
        let none = Vec::new();
        let candidates: &[Scored] = first.get(query).unwrap_or(&none);
        let candidates = &candidates[..k.min(candidates.len())];
        let among: std::collections::HashSet<&str> =
            candidates.iter().map(|scored| scored.document.as_str()).collect();
        let ranking: Vec<Scored> = reranked
            .get(query)
            .unwrap_or(&none)
            .iter()
            .filter(|scored| among.contains(scored.document.as_str()))
            .cloned()
            .collect();
        ndcg.push(Metric::Ndcg(10).of(&Judged::new(&ranking, grades)));
        let candidates = Judged::new(candidates, grades);
        recall.push(Metric::Recall(k).of(&candidates));
        oracle.push(Metric::Ndcg(10).of(&candidates.best_order()));
    }
    Depth { k, ndcg: mean(&ndcg), recall: mean(&recall), oracle: mean(&oracle) }
}

/// The smallest depth within 1 % of the best nDCG@10, and what limits it, in words; `first` is the first stage's.
pub fn depth_finding(depths: &[Depth], first: f64) -> Option<String> {
    let best = depths.iter().max_by(|a, b| a.ndcg.total_cmp(&b.ndcg))?;
    if best.ndcg < first {
        return Some(format!(
            "At no depth seen does reranking reach the first stage's nDCG@10 of {first:.4}: it has {:.4} at k = {}.",
            best.ndcg, best.k,
        ));
    }
    let enough = depths.iter().filter(|depth| depth.ndcg >= 0.99 * best.ndcg).min_by_key(|depth| depth.k)?;
    let deepest = depths.iter().max_by_key(|depth| depth.k)?;
    let (missed, misplaced) = (1.0 - deepest.oracle, deepest.oracle - deepest.ndcg);
    let limit = match missed > misplaced {
        true => "the first stage is the limit: search deeper or better",
        false => {
            "the reranker is the limit: the answers are among its candidates, in another order than the best"
        }
    };
    Some(format!(
        "Reranking the best {} is within 1 % of the best nDCG@10 seen ({:.4} at k = {}). With k = {}, {:.1} % of the \
         relevant documents are candidates and the best order would have nDCG@10 {:.4}; {limit}.",
        enough.k,
        best.ndcg,
        best.k,
        deepest.k,
        100.0 * deepest.recall,
        deepest.oracle,
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(documents: &[&str]) -> Run {
        let scored = |(place, document): (usize, &&str)| Scored {
            document: (*document).to_owned(),
            score: -(place as f64),
        };
        Run::from([("q".to_owned(), documents.iter().enumerate().map(scored).collect())])
    }

    #[test]
    fn a_shallow_depth_leaves_out_what_the_first_stage_had_deeper() {
        let qrels = Qrels::from([("q".to_owned(), [("c".to_owned(), 1)].into())]);
        let depths = depths(&run(&["a", "b", "c"]), &run(&["c", "b", "a"]), &qrels, &[2, 3]);
        assert_eq!((depths[0].ndcg, depths[0].recall, depths[0].oracle), (0.0, 0.0, 0.0));
        assert_eq!((depths[1].ndcg, depths[1].recall, depths[1].oracle), (1.0, 1.0, 1.0));
        let finding = depth_finding(&depths, 0.5).unwrap();
        assert!(
            finding.starts_with("Reranking the best 3 ") && finding.contains("the reranker is the limit"),
            "{finding}"
        );
    }

    #[test]
    fn the_oracle_says_when_the_first_stage_is_the_limit() {
        let qrels = Qrels::from([("q".to_owned(), [("z".to_owned(), 1)].into())]);
        let finding = depth_finding(&depths(&run(&["a"]), &run(&["a"]), &qrels, &[1]), 0.0).unwrap();
        assert!(finding.contains("the first stage is the limit"), "{finding}");
    }

    #[test]
    fn a_reranker_below_the_first_stage_is_told() {
        let qrels = Qrels::from([("q".to_owned(), [("a".to_owned(), 1)].into())]);
        let finding =
            depth_finding(&depths(&run(&["a", "b"]), &run(&["b", "a"]), &qrels, &[2]), 1.0).unwrap();
        assert!(finding.starts_with("At no depth seen does reranking reach"), "{finding}");
    }
}
