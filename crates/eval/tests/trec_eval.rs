//! Measures and significance against trec_eval and SciPy (`tests/golden/metrics/make_golden.py`).

#![allow(clippy::unwrap_used)] // clippy.toml allows it in tests, not in what tests share

use std::collections::BTreeMap;
use std::fmt::Write;

use crossrank_eval::{
    Judged, Metric, Qrels, Run, Warnings, bootstrap_interval, randomisation_test, read_qrels, read_run,
    write_run,
};
use serde::Deserialize;

const GOLDEN: &str = include_str!("../../../tests/golden/metrics/golden.json");

#[derive(Deserialize)]
struct Golden {
    cases: Vec<Case>,
    paired: Vec<Paired>,
}

#[derive(Deserialize)]
struct Case {
    qrels: Qrels,
    run: BTreeMap<String, BTreeMap<String, f64>>,
    expected: BTreeMap<String, BTreeMap<String, f64>>,
}

#[derive(Deserialize)]
struct Paired {
    before: Vec<f64>,
    after: Vec<f64>,
    p: f64,
    low: f64,
    high: f64,
}

const MEASURES: [(&str, Metric); 11] = [
    ("ndcg_cut_1", Metric::Ndcg(1)),
    ("ndcg_cut_5", Metric::Ndcg(5)),
    ("ndcg_cut_10", Metric::Ndcg(10)),
    ("ndcg_cut_100", Metric::Ndcg(100)),
    ("map", Metric::Map),
    ("recall_5", Metric::Recall(5)),
    ("recall_100", Metric::Recall(100)),
    ("P_1", Metric::Precision(1)),
    ("P_5", Metric::Precision(5)),
    ("recip_rank", Metric::Mrr(usize::MAX)),
    ("recip_rank_10", Metric::Mrr(10)),
];

fn golden() -> Golden {
    serde_json::from_str(GOLDEN).unwrap()
}

impl Case {
    /// The case as its files would be read.
    fn read(&self) -> (Qrels, Run) {
        let folder = tempfile::tempdir().unwrap();
        let (qrels, run) = (folder.path().join("qrels"), folder.path().join("run"));
        let mut text = String::new();
        for (query, grades) in &self.qrels {
            grades
                .iter()
                .for_each(|(document, grade)| writeln!(text, "{query} 0 {document} {grade}").unwrap());
        }
        std::fs::write(&qrels, &text).unwrap();
        text.clear();
        for (query, found) in &self.run {
            found
                .iter()
                .for_each(|(document, score)| writeln!(text, "{query} Q0 {document} 1 {score} x").unwrap());
        }
        std::fs::write(&run, &text).unwrap();
        (read_qrels(&qrels, &mut Warnings::default()).unwrap(), read_run(&run).unwrap())
    }
}

#[test]
fn every_measure_is_trec_evals() {
    let mut compared = 0;
    for case in golden().cases {
        let (qrels, run) = case.read();
        for (query, expected) in &case.expected {
            let judged = Judged::new(&run[query], &qrels[query]);
            for (name, metric) in MEASURES {
                let found = metric.of(&judged);
                // Both are sums of at most 100 doubles.
                assert!(
                    (found - expected[name]).abs() < 1e-12,
                    "{query} {name}: {found}, {}",
                    expected[name]
                );
                compared += 1;
            }
        }
    }
    assert!(compared > 1500, "{compared}");
}

#[test]
fn a_query_without_a_run_counts_zero_and_one_without_judgements_does_not_count() {
    let case = &golden().cases[0];
    let (qrels, run) = case.read();
    let values = Metric::Map.per_query(&run, &qrels);
    assert_eq!(values.len(), qrels.len());
    let expected: f64 = case.expected.values().map(|measures| measures["map"]).sum();
    assert!((values.iter().sum::<f64>() - expected).abs() < 1e-12);
}

#[test]
fn a_run_that_was_written_reads_the_same() {
    let (_, run) = golden().cases[1].read();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("run.trec");
    write_run(&path, &run, "test").unwrap();
    assert_eq!(read_run(&path).unwrap(), run);
}

#[test]
fn p_values_are_those_of_the_exact_test() {
    for case in golden().paired {
        let found = randomisation_test(&case.before, &case.after);
        // 10,000 draws: four standard errors of a share are at most 0.02.
        assert!((found - case.p).abs() < 0.02, "{found}, exact {}", case.p);
    }
}

#[test]
fn bootstrap_intervals_are_scipys() {
    for case in golden().paired {
        let (low, high) = bootstrap_interval(&case.after);
        // 10,000 resamples of 12 values: a percentile is off by at most 0.01 here.
        assert!((low - case.low).abs() < 0.01 && (high - case.high).abs() < 0.01, "{low} {high}");
    }
}
