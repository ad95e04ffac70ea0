//! trec_eval's measures of a ranking.

use std::collections::BTreeMap;

use crate::{Qrels, Run, Scored};

/// A measure of one query's ranking, from 0 to 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Metric {
    /// `ndcg_cut_k`: gain is the grade, the ideal ranking is cut as well.
    Ndcg(usize),
    /// `recip_rank`, 0 where the first relevant document comes after rank k.
    Mrr(usize),
    /// `map`: average precision.
    Map,
    /// `recall_k`.
    Recall(usize),
    /// `P_k`.
    Precision(usize),
}

/// A ranking as the measures see it.
#[derive(Debug, Clone)]
pub struct Judged {
    /// The grade of every document, best placed first; 0 for one that was not judged.
    grades: Vec<i32>,
    /// The grades of all relevant documents, the highest first.
    ideal: Vec<i32>,
}

impl Judged {
    /// Looks up the grades of `ranking`, which is in order.
    pub fn new(ranking: &[Scored], judgements: &BTreeMap<String, i32>) -> Self {
        let grade = |scored: &Scored| judgements.get(&scored.document).copied().unwrap_or(0);
        let mut ideal: Vec<i32> = judgements.values().copied().filter(|grade| *grade > 0).collect();
        ideal.sort_unstable_by(|a, b| b.cmp(a));
        Self { grades: ranking.iter().map(grade).collect(), ideal }
    }

    /// The same documents in the best order there is: what no reranker can exceed.
    pub fn best_order(mut self) -> Self {
        self.grades.sort_unstable_by(|a, b| b.cmp(a));
        self
    }

    fn relevant(&self, k: usize) -> f64 {
        self.grades.iter().take(k).filter(|grade| **grade > 0).count() as f64
    }
}

impl Metric {
    /// Its name, for tables and JSON.
    pub fn name(&self) -> String {
        match self {
            Metric::Ndcg(k) => format!("ndcg@{k}"),
            Metric::Mrr(k) => format!("mrr@{k}"),
            Metric::Map => "map".to_owned(),
            Metric::Recall(k) => format!("recall@{k}"),
            Metric::Precision(k) => format!("p@{k}"),
        }
    }

    /// Its value for one ranking; 0 without relevant documents.
    pub fn of(&self, judged: &Judged) -> f64 {
        let relevant = judged.ideal.len() as f64;
        if relevant == 0.0 {
            return 0.0;
        }
        match *self {
            Metric::Ndcg(k) => discounted_gain(&judged.grades, k) / discounted_gain(&judged.ideal, k),
            Metric::Mrr(k) => {
                let first = judged.grades.iter().take(k).position(|grade| *grade > 0);
                first.map_or(0.0, |place| 1.0 / (place + 1) as f64)
            }
            Metric::Map => average_precision(&judged.grades) / relevant,
            Metric::Recall(k) => judged.relevant(k) / relevant,
            Metric::Precision(k) => judged.relevant(k) / k as f64,
        }
    }

    /// Its value for every query of the judgements, in their order. A query without a ranking counts 0, as with
    /// trec_eval's `-c`: a stage that finds nothing must not look better for it.
    pub fn per_query(&self, run: &Run, qrels: &Qrels) -> Vec<f64> {
        let judged = |(query, grades)| Judged::new(run.get(query).map_or(&[], Vec::as_slice), grades);
        qrels.iter().map(|entry| self.of(&judged(entry))).collect()
    }
}

fn discounted_gain(grades: &[i32], k: usize) -> f64 {
    let gain = |(place, grade): (usize, &i32)| f64::from((*grade).max(0)) / ((place + 2) as f64).log2();
    grades.iter().take(k).enumerate().map(gain).sum()
}

fn average_precision(grades: &[i32]) -> f64 {
    let relevant = grades.iter().enumerate().filter(|(_, grade)| **grade > 0);
    relevant.enumerate().map(|(found, (place, _))| (found + 1) as f64 / (place + 1) as f64).sum()
}

/// The mean; 0 of nothing.
pub fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len().max(1) as f64
}

/// Kendall's tau-b between the scores that two runs give the same documents, the mean over queries; none where no
/// query has two documents with different scores.
pub fn kendall_tau(left: &Run, right: &Run) -> Option<f64> {
    let taus = left.iter().filter_map(|(query, ranking)| {
        let scores: BTreeMap<&str, f64> =
            right.get(query)?.iter().map(|scored| (scored.document.as_str(), scored.score)).collect();
        let both = |scored: &Scored| Some((scored.score, *scores.get(scored.document.as_str())?));
        tau_b(&ranking.iter().filter_map(both).collect::<Vec<_>>())
    });
    let taus: Vec<f64> = taus.collect();
    (!taus.is_empty()).then(|| mean(&taus))
}

fn tau_b(pairs: &[(f64, f64)]) -> Option<f64> {
    let sign = |difference: f64| if difference == 0.0 { 0.0 } else { difference.signum() };
    let (mut agree, mut left, mut right) = (0.0, 0.0, 0.0);
    for (place, one) in pairs.iter().enumerate() {
        for other in &pairs[..place] {
            let (by_left, by_right) = (sign(one.0 - other.0), sign(one.1 - other.1));
            agree += by_left * by_right;
            left += by_left.abs();
            right += by_right.abs();
        }
    }
    (left > 0.0 && right > 0.0).then(|| agree / f64::sqrt(left * right))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tau_is_scipys() {
        // scipy.stats.kendalltau([1, 2, 3, 3, 5], [2, 1, 3, 4, 4]).statistic
        let pairs = [(1.0, 2.0), (2.0, 1.0), (3.0, 3.0), (3.0, 4.0), (5.0, 4.0)];
        assert!((tau_b(&pairs).unwrap() - 0.666_666_666_666_666_6).abs() < 1e-12);
        assert_eq!(tau_b(&[(1.0, 2.0), (1.0, 3.0)]), None);
    }
}
