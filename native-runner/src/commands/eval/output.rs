//! What `crossrank eval` prints and writes.

use anyhow::Context;
use crossrank_eval::{Comparison, Evaluation, Qrels, Row, Stage, Texts, metrics, report, write_run};

use super::EvalArguments;
use super::arguments::EvalFormat;
use crate::output::{columns, say, write_line, write_stdout};

pub(super) fn write(
    arguments: &EvalArguments,
    evaluation: &Evaluation,
    stages: &[Stage],
    texts: Texts<'_>,
    qrels: &Qrels,
) -> anyhow::Result<()> {
    evaluation.warnings.iter().for_each(|warning| say(format_args!("warning: {warning}")));
    if let Some(folder) = &arguments.output.runs_out {
        std::fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
        for stage in stages {
            let plain =
                |letter: char| if letter.is_alphanumeric() || "-_.".contains(letter) { letter } else { '-' };
            let file: String = stage.name.replace(" > ", "_").chars().map(plain).collect();
            write_run(&folder.join(format!("{file}.trec")), &stage.reranked.run, "crossrank")?;
        }
    }
    if let Some(path) = &arguments.output.report {
        let html = report(evaluation, stages, texts, qrels);
        std::fs::write(path, html).with_context(|| format!("cannot write {}", path.display()))?;
    }
    let mut text = Vec::new();
    match arguments.output.format {
        EvalFormat::Json => write_line(&mut text, evaluation)?,
        EvalFormat::Table => text = table(evaluation),
    }
    write_stdout(&text)
}

fn table(evaluation: &Evaluation) -> Vec<u8> {
    let k = evaluation.about.top_k;
    let mut text = rows(&evaluation.stages, &evaluation.significance, k);
    for of_language in &evaluation.languages {
        text.extend(format!("\n{}, {} queries\n", of_language.language, of_language.queries).bytes());
        text.extend(rows(&of_language.stages, &of_language.significance, k));
    }
    for finding in &evaluation.findings {
        text.extend(format!("\n{finding}\n").bytes());
    }
    text
}

fn rows(stages: &[Row], significance: &[Comparison], k: usize) -> Vec<u8> {
    let recall = format!("recall@{k}");
    let heading =
        ["stage", "ndcg@10", "95 %", "mrr@10", "map", &recall, "p@1", "p50 ms", "p95 ms", "pairs/s", "p"];
    let rows = stages.iter().map(|stage| {
        let comparison = significance.iter().find(|comparison| comparison.after == stage.name);
        row(stage, comparison, k)
    });
    columns(&std::iter::once(heading.map(str::to_owned)).chain(rows).collect::<Vec<_>>())
}

fn row(stage: &Row, comparison: Option<&Comparison>, k: usize) -> [String; 11] {
    let [ndcg, mrr, map, recall, precision] = metrics(k).map(|metric| metric.name());
    let value = |name: &String| format!("{:.4}", stage.measures[name]);
    let (low, high) = stage.intervals[&ndcg];
    let speed = |of: fn(&crossrank_eval::Speed) -> f64| {
        stage.speed.as_ref().map_or_else(String::new, |speed| format!("{:.1}", of(speed)))
    };
    [
        stage.name.clone(),
        value(&ndcg),
        format!("{low:.3}–{high:.3}"),
        value(&mrr),
        value(&map),
        value(&recall),
        value(&precision),
        speed(|speed| speed.p50_ms),
        speed(|speed| speed.p95_ms),
        speed(|speed| speed.pairs_per_s),
        comparison.map_or_else(String::new, |comparison| format!("{:.4}", comparison.p)),
    ]
}
