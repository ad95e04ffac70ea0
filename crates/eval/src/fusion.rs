//! Two first stages in one ranking.

use std::collections::BTreeMap;

use crate::{Run, Scored};

/// The constant of Cormack, Clarke and Büttcher (SIGIR 2009).
const K: f64 = 60.0;

/// Reciprocal rank fusion: a document's score is the sum of 1 / (60 + rank) over the runs that have it.
pub fn reciprocal_rank_fusion(runs: &[&Run], depth: usize) -> Run {
    let mut fused: BTreeMap<&String, BTreeMap<&String, f64>> = BTreeMap::new();
    for (query, ranking) in runs.iter().flat_map(|run| run.iter()) {
        let scores = fused.entry(query).or_default();
        for (place, scored) in ranking.iter().enumerate() {
            *scores.entry(&scored.document).or_default() += 1.0 / (K + (place + 1) as f64);
        }
    }
    let ranking = |scores: BTreeMap<&String, f64>| {
        let scored = |(document, score): (&String, f64)| Scored { document: document.clone(), score };
        let mut ranking: Vec<Scored> = scores.into_iter().map(scored).collect();
        crate::trec::sort(&mut ranking);
        ranking.truncate(depth);
        ranking
    };
    fused.into_iter().map(|(query, scores)| (query.clone(), ranking(scores))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_two_stages_agree_on_comes_first() {
        let run = |documents: &[&str]| {
            let scored = |(place, document): (usize, &&str)| Scored {
                document: (*document).to_owned(),
                score: -(place as f64),
            };
            Run::from([("q".to_owned(), documents.iter().enumerate().map(scored).collect())])
        };
        let fused = reciprocal_rank_fusion(&[&run(&["a", "b"]), &run(&["c", "b"])], 2);
        let names: Vec<&str> = fused["q"].iter().map(|scored| scored.document.as_str()).collect();
        assert_eq!(names, ["b", "c"]);
        assert_eq!(fused["q"][0].score, 2.0 / 62.0);
    }
}
