//! Stages measured beside each other: what the table, the JSON and the report show.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::languages::{LanguageRows, by_language, language_finding};
use crate::{
    Calibration, Depth, Metric, Qrels, Reranked, Run, Warning, bootstrap_interval, depth_finding, depths,
    kendall_tau, mean, randomisation_test, threshold_finding, verdict,
};

/// A stage of retrieval before it is measured.
#[derive(Debug)]
pub struct Stage {
    /// Its name: `bm25`, or `bm25 > MODEL`.
    pub name: String,
    /// The place of the stage whose documents it reranks.
    pub before: Option<usize>,
    /// What reranked, and how.
    pub reranker: Option<RerankerInfo>,
    /// What it ranked, and what that took.
    pub reranked: Reranked,
}

/// What a stage reranks with.
#[derive(Debug, Clone, Serialize)]
pub struct RerankerInfo {
    /// The model's name.
    pub model: String,
    /// How its weights are kept.
    pub dtype: &'static str,
    /// Where it runs.
    pub device: String,
    /// Processor threads.
    pub threads: usize,
    /// Whether it was trained on English alone.
    pub english_only: bool,
    /// Tokens of a document that are read at most.
    pub max_tokens_per_doc: usize,
}

/// What was measured, on what.
#[derive(Debug, Clone, Serialize)]
pub struct About {
    /// This program's version.
    pub crossrank: &'static str,
    /// The collection's name.
    pub dataset: String,
    /// The judgements' split.
    pub split: String,
    /// Judged queries.
    pub queries: usize,
    /// Documents, where a corpus was read.
    pub documents: Option<usize>,
    /// The language that BM25 analysed the texts for.
    pub language: Option<&'static str>,
    /// Documents of each query that are reranked.
    pub top_k: usize,
}

/// Everything that was found.
#[derive(Debug, Clone, Serialize)]
pub struct Evaluation {
    /// What was measured, on what.
    #[serde(flatten)]
    pub about: About,
    /// The stages' measures.
    pub stages: Vec<Row>,
    /// Every reranker beside its first stage.
    pub significance: Vec<Comparison>,
    /// The same by language, if queries have several.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub languages: Vec<LanguageRows>,
    /// Depths by stage, if they were asked for.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub depths: BTreeMap<String, Vec<Depth>>,
    /// What scores mean, by stage.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub calibration: BTreeMap<String, Calibration>,
    /// What the figures say, in words.
    pub findings: Vec<String>,
    /// What was odd about the input.
    pub warnings: Vec<Warning>,
}

impl Evaluation {
    /// Measures `stages` at depths `ks` against `qrels`.
    pub fn new(about: About, stages: &[Stage], qrels: &Qrels, ks: &[usize], warnings: Vec<Warning>) -> Self {
        let mut evaluation = Self {
            stages: stages.iter().map(|stage| Row::new(stage, qrels, about.top_k)).collect(),
            about,
            significance: Vec::new(),
            languages: Vec::new(),
            depths: BTreeMap::new(),
            calibration: BTreeMap::new(),
            findings: Vec::new(),
            warnings,
        };
        for (place, stage) in stages.iter().enumerate() {
            let Some(before) = stage.before else { continue };
            evaluation.add_reranker(&stages[before], stage, qrels, ks);
            match stages.iter().position(|first| first.before == stage.before) {
                Some(first) if first < place => evaluation.add_variant(&stages[first], stage, place, qrels),
                _ => {}
            }
        }
        evaluation
    }

    /// Measures `stages` once more for each of the `languages` of queries.
    pub fn add_languages(&mut self, stages: &[Stage], qrels: &Qrels, languages: &BTreeMap<String, String>) {
        self.languages = by_language(stages, qrels, languages, self.about.top_k);
        let findings = stages.iter().filter_map(|stage| language_finding(&self.languages, &stage.name));
        self.findings.extend(findings);
    }

    /// Says what another dtype or length costs.
    fn add_variant(&mut self, first: &Stage, stage: &Stage, place: usize, qrels: &Qrels) {
        let Some(tau) = kendall_tau(&first.reranked.run, &stage.reranked.run) else { return };
        self.stages[place].tau = Some(tau);
        let comparison = Comparison::new(first, stage, qrels);
        self.findings.push(format!(
            "{} beside {}: nDCG@10 {:+.4} (p = {:.4}), Kendall's tau {tau:.4}.",
            stage.name, first.name, comparison.difference, comparison.p,
        ));
    }

    fn add_reranker(&mut self, before: &Stage, stage: &Stage, qrels: &Qrels, ks: &[usize]) {
        let comparison = Comparison::new(before, stage, qrels);
        self.findings.push(verdict(&comparison));
        if let (Some(reranker), Some(language)) = (&stage.reranker, self.about.language)
            && reranker.english_only
            && language != "english"
        {
            let model = &reranker.model;
            self.findings.push(format!(
                "{model} was trained on English, queries look like {language}: use a multilingual model."
            ));
        }
        self.significance.push(comparison);
        if !ks.is_empty() {
            let depths = depths(&before.reranked.run, &stage.reranked.run, qrels, ks);
            let first = mean(&Metric::Ndcg(10).per_query(&before.reranked.run, qrels));
            self.findings
                .extend(depth_finding(&depths, first).map(|words| format!("{}: {words}", stage.name)));
            self.depths.insert(stage.name.clone(), depths);
        }
        let calibration = Calibration::new(&stage.reranked.run, qrels);
        self.findings.extend(threshold_finding(&stage.name, &calibration));
        self.calibration.insert(stage.name.clone(), calibration);
    }
}

/// The measures of a stage.
#[derive(Debug, Clone, Serialize)]
pub struct Row {
    /// The stage's name.
    pub name: String,
    /// Means over all judged queries, by the measure's name.
    #[serde(flatten)]
    pub measures: BTreeMap<String, f64>,
    /// Their 95 % bootstrap intervals.
    pub intervals: BTreeMap<String, (f64, f64)>,
    /// What reranked, and how.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reranker: Option<RerankerInfo>,
    /// What the model took.
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    pub speed: Option<Speed>,
    /// Kendall's tau-b to the first reranker of the same documents, the mean over queries.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tau: Option<f64>,
}

/// What a reranker took, at the time its pairs were scored.
#[derive(Debug, Clone, Serialize)]
pub struct Speed {
    /// Milliseconds of a query: the median.
    pub p50_ms: f64,
    /// Milliseconds of a query: the 95th percentile.
    pub p95_ms: f64,
    /// Pairs in all.
    pub pairs: usize,
    /// Pairs per second.
    pub pairs_per_s: f64,
}

/// A stage beside the one before it.
#[derive(Debug, Clone, Serialize)]
pub struct Comparison {
    /// The stage before.
    pub before: String,
    /// The stage.
    pub after: String,
    /// The measure.
    pub metric: String,
    /// Its mean difference.
    pub difference: f64,
    /// The paired randomisation test's p-value, two-sided.
    pub p: f64,
    /// Queries that became better, worse, and stayed as they were.
    pub better: usize,
    /// Queries that became worse.
    pub worse: usize,
    /// Queries whose ten best documents are the same in the same order.
    pub same_order: usize,
    /// All queries.
    pub queries: usize,
}

/// The measures of the table, for a first stage of `k` documents.
pub fn metrics(k: usize) -> [Metric; 5] {
    [Metric::Ndcg(10), Metric::Mrr(10), Metric::Map, Metric::Recall(k), Metric::Precision(1)]
}

impl Row {
    pub(crate) fn new(stage: &Stage, qrels: &Qrels, k: usize) -> Self {
        let (mut measures, mut intervals) = (BTreeMap::new(), BTreeMap::new());
        for metric in metrics(k) {
            let values = metric.per_query(&stage.reranked.run, qrels);
            measures.insert(metric.name(), mean(&values));
            intervals.insert(metric.name(), bootstrap_interval(&values));
        }
        Self {
            name: stage.name.clone(),
            measures,
            intervals,
            reranker: stage.reranker.clone(),
            speed: Speed::new(&stage.reranked),
            tau: None,
        }
    }
}

impl Speed {
    fn new(reranked: &Reranked) -> Option<Self> {
        let mut sorted = reranked.milliseconds.clone();
        sorted.sort_unstable_by(f64::total_cmp);
        let seconds = sorted.iter().sum::<f64>() / 1e3;
        let percentile =
            |share: f64| sorted.get(((sorted.len() as f64 - 1.0) * share).round() as usize).copied();
        Some(Self {
            p50_ms: percentile(0.5)?,
            p95_ms: percentile(0.95)?,
            pairs: reranked.pairs,
            pairs_per_s: reranked.pairs as f64 / seconds,
        })
    }
}

impl Comparison {
    /// Compares nDCG@10 of `after` with that of `before`.
    pub fn new(before: &Stage, after: &Stage, qrels: &Qrels) -> Self {
        let metric = Metric::Ndcg(10);
        let values = |stage: &Stage| metric.per_query(&stage.reranked.run, qrels);
        let (old, new) = (values(before), values(after));
        let count = |is: fn(f64) -> bool| old.iter().zip(&new).filter(|(old, new)| is(**new - **old)).count();
        let same = |query: &&String| ten(&before.reranked.run, query) == ten(&after.reranked.run, query);
        Self {
            before: before.name.clone(),
            after: after.name.clone(),
            metric: metric.name(),
            difference: mean(&new) - mean(&old),
            p: randomisation_test(&old, &new),
            better: count(|change| change > 1e-12),
            worse: count(|change| change < -1e-12),
            same_order: qrels.keys().filter(same).count(),
            queries: qrels.len(),
        }
    }
}

/// The ten best documents of a query.
fn ten<'a>(run: &'a Run, query: &str) -> Vec<&'a str> {
    let ranking = run.get(query).map_or(&[][..], Vec::as_slice);
    ranking.iter().take(10).map(|scored| scored.document.as_str()).collect()
}
