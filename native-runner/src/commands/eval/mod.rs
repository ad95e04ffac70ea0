//! `crossrank eval`: what reranking brings on a collection.

mod arguments;
mod output;
mod rerankers;
mod structured;

pub(crate) use arguments::EvalArguments;

use std::path::Path;

use anyhow::ensure;
use crossrank_eval::{
    About, Analyzer, Collection, EvalError, Evaluation, Qrels, Reranked, Run, Search, Stage, Texts, Warnings,
    bm25, circumstances, read_qrels, read_run,
};

use arguments::FirstStage;

pub(crate) fn run(arguments: &EvalArguments) -> anyhow::Result<()> {
    if let Some(file) = &arguments.sweeps.structured {
        return structured::run(arguments, file);
    }
    // Before the search, which uses threads as well.
    crate::model::start_threads(&arguments.model)?;
    let mut warnings = Warnings::default();
    let Some(folder) = &arguments.dataset else { return measure_runs(arguments, warnings) };
    let collection = Collection::open(folder, &arguments.split, arguments.qrels.as_deref(), &mut warnings)?;
    let analyzer = match &arguments.language {
        Some(code) => Analyzer::new(code)?,
        None => Analyzer::detect(collection.queries.values().map(String::as_str)),
    };
    let first = first_stages(arguments, |_| search(arguments, &collection, &analyzer, &mut warnings))?;
    let runs: Vec<&Run> = first.iter().map(|stage| &stage.reranked.run).collect();
    let (documents, count) = collection.texts(&runs, &mut warnings)?;
    let texts = Texts { queries: &collection.queries, documents: &documents };
    let stages = if arguments.no_rerank { first } else { rerankers::add(arguments, first, texts)? };
    let about = about(arguments, &collection.name, &collection.qrels);
    let about = About { documents: Some(count), language: Some(analyzer.language()), ..about };
    let queries = collection.queries.values().map(String::as_str);
    let mut evaluation = evaluate(arguments, about, &stages, &collection.qrels, &warnings);
    if !arguments.no_rerank {
        evaluation.findings.extend(circumstances(queries, count, arguments.top_k.get()));
    }
    output::write(arguments, &evaluation, &stages, texts, &collection.qrels)
}

/// Runs against judgements, without a corpus.
fn measure_runs(arguments: &EvalArguments, mut warnings: Warnings) -> anyhow::Result<()> {
    let path = arguments.qrels.as_deref().unwrap_or(Path::new(""));
    let only_runs = arguments.first_stage.iter().all(|stage| matches!(stage, FirstStage::Run(_)));
    let missing = crate::input::InputError::Missing {
        flag: "--dataset",
        hint: "pass it for texts to search, or --first-stage run:FILE to measure a run",
    };
    ensure!(only_runs, missing);
    let qrels = read_qrels(path, &mut warnings)?;
    let stages = first_stages(arguments, |_| Ok(Run::new()))?;
    let about = about(arguments, &path.display().to_string(), &qrels);
    let none = std::collections::BTreeMap::new();
    let texts = Texts { queries: &none, documents: &none };
    let evaluation = evaluate(arguments, about, &stages, &qrels, &warnings);
    output::write(arguments, &evaluation, &stages, texts, &qrels)
}

/// Every first stage's run: read from its file, or searched for.
fn first_stages(
    arguments: &EvalArguments,
    mut search: impl FnMut(&FirstStage) -> Result<Run, EvalError>,
) -> anyhow::Result<Vec<Stage>> {
    let stages = arguments.first_stage.iter().map(|stage| {
        let run = match stage {
            FirstStage::Run(file) => read_run(file)?,
            FirstStage::Bm25 => search(stage)?,
        };
        let reranked = Reranked { run, ..Reranked::default() };
        Ok(Stage { name: stage.name(), before: None, reranker: None, reranked })
    });
    stages.collect()
}

fn search(
    arguments: &EvalArguments,
    collection: &Collection,
    analyzer: &Analyzer,
    warnings: &mut Warnings,
) -> Result<Run, EvalError> {
    let candidates = arguments.candidates.as_deref().map(read_run).transpose()?;
    let search = Search {
        queries: &collection.queries,
        depth: arguments.top_k.get(),
        candidates: candidates.as_ref(),
    };
    bm25(&collection.corpus, &search, analyzer, warnings)
}

fn about(arguments: &EvalArguments, dataset: &str, qrels: &Qrels) -> About {
    About {
        crossrank: env!("CARGO_PKG_VERSION"),
        dataset: dataset.to_owned(),
        split: arguments.split.clone(),
        queries: qrels.len(),
        documents: None,
        language: None,
        top_k: arguments.top_k.get(),
    }
}

fn evaluate(
    arguments: &EvalArguments,
    about: About,
    stages: &[Stage],
    qrels: &Qrels,
    warnings: &Warnings,
) -> Evaluation {
    let within = arguments.sweeps.sweep_k.iter().copied().filter(|k| (1..=about.top_k).contains(k));
    Evaluation::new(
        about.clone(),
        stages,
        qrels,
        &within.collect::<Vec<_>>(),
        warnings.iter().cloned().collect(),
    )
}
