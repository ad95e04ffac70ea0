//! `crossrank eval`: what reranking brings on a collection.

mod arguments;
mod dataset;
mod first_stages;
mod output;
mod rerankers;
mod stored;
mod structured;

pub(crate) use arguments::EvalArguments;

use std::path::Path;

use crossrank_eval::{
    About, Analyzer, Evaluation, Qrels, Run, Stage, Texts, Warnings, circumstances, read_qrels,
};

use first_stages::first_stages;

pub(crate) fn run(arguments: &EvalArguments) -> anyhow::Result<()> {
    if let Some(file) = &arguments.sweeps.structured {
        return structured::run(arguments, file);
    }
    // Before the search, which uses threads as well.
    crate::model::start_threads(&arguments.model.engine)?;
    let mut warnings = Warnings::default();
    let Some(dataset) = &arguments.dataset else { return measure_runs(arguments, warnings) };
    let collection = dataset::open(dataset, arguments, &mut warnings)?;
    let analyzer = match &arguments.language {
        Some(code) => Analyzer::new(code)?,
        None => Analyzer::detect(collection.queries.values().map(String::as_str)),
    };
    let first = first_stages(arguments, Some((&collection, &analyzer)))?;
    let runs: Vec<&Run> = first.iter().map(|stage| &stage.reranked.run).collect();
    let (documents, count) = collection.texts(&runs, &mut warnings)?;
    let texts = Texts { queries: &collection.queries, documents: &documents };
    let stages = if arguments.no_rerank { first } else { rerankers::add(arguments, first, texts)? };
    let about = about(arguments, &collection.name, &collection.qrels);
    let about = About { documents: Some(count), language: Some(analyzer.language()), ..about };
    let queries = collection.queries.values().map(String::as_str);
    let mut evaluation = evaluate(arguments, about, &stages, &collection.qrels, &warnings);
    evaluation.add_languages(&stages, &collection.qrels, &collection.languages);
    if !arguments.no_rerank {
        evaluation.findings.extend(circumstances(queries, count, arguments.top_k.get()));
    }
    output::write(arguments, &evaluation, &stages, texts, &collection.qrels)
}

/// Runs against judgements, without a corpus.
fn measure_runs(arguments: &EvalArguments, mut warnings: Warnings) -> anyhow::Result<()> {
    let path = arguments.qrels.as_deref().unwrap_or(Path::new(""));
    let qrels = read_qrels(path, &mut warnings)?;
    let stages = first_stages(arguments, None)?;
    let about = about(arguments, &path.display().to_string(), &qrels);
    let none = std::collections::BTreeMap::new();
    let texts = Texts { queries: &none, documents: &none };
    let evaluation = evaluate(arguments, about, &stages, &qrels, &warnings);
    output::write(arguments, &evaluation, &stages, texts, &qrels)
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
    let possible = 1..=about.top_k;
    let ks: Vec<usize> = arguments.sweeps.sweep_k.iter().copied().filter(|k| possible.contains(k)).collect();
    Evaluation::new(about, stages, qrels, &ks, warnings.iter().cloned().collect())
}
