//! The report: one HTML file with charts inside, which loads nothing.

mod changes;
mod charts;
mod svg;

use std::fmt::Write;

use crate::{Comparison, Evaluation, Qrels, Row, Stage, Texts, metrics};

const STYLE: &str = "
:root { color-scheme: light dark; --line: #8884; }
body { font: 15px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
.wide { overflow-x: auto; }
th, td { padding: .25rem .6rem; border-bottom: 1px solid var(--line); text-align: right; white-space: nowrap; }
th:first-child, td:first-child { text-align: left; }
figure { margin: 1rem 0; max-width: 40rem; }
svg { width: 100%; } svg text { font-size: 11px; fill: currentColor; } .g { stroke: var(--line); }
figcaption span { margin-right: 1rem; } figcaption i { display: inline-block; width: .8rem; height: .8rem; margin-right: .3rem; }
details { margin: .4rem 0; } li { margin: .3rem 0; overflow-wrap: anywhere; }";

/// Text as HTML shows it, in elements and in attributes.
fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            letter => escaped.push(letter),
        }
    }
    escaped
}

/// The report of an evaluation.
pub fn report(evaluation: &Evaluation, stages: &[Stage], texts: Texts<'_>, qrels: &Qrels) -> String {
    let title = format!("{}, what reranking brings", escape(&evaluation.about.dataset));
    let mut html = format!(
        "<!doctype html><html lang=en><meta charset=utf-8><meta name=viewport content=\"width=device-width\">\
         <meta http-equiv=Content-Security-Policy content=\"default-src 'none'; style-src 'unsafe-inline'\">\
         <title>{title}</title><style>{STYLE}</style><h1>{title}</h1>"
    );
    html.push_str(&summary(evaluation));
    let k = evaluation.about.top_k;
    html.push_str(&table(&evaluation.stages, &evaluation.significance, k));
    html.push_str(
        "<p>± is half of the 95 % bootstrap interval; p is the paired randomisation test's, of nDCG@10 against the stage \
         before. Latency is that of the model alone, when the pairs were scored.</p>",
    );
    for rows in &evaluation.languages {
        let _ = write!(html, "<h2>{}, {} queries</h2>", escape(&rows.language), rows.queries);
        html.push_str(&table(&rows.stages, &rows.significance, k));
    }
    html.push_str("<h2>Quality against latency</h2>");
    html.push_str(&charts::quality_against_latency(evaluation));
    for (stage, before) in stages.iter().filter_map(|stage| Some((stage, &stages[stage.before?]))) {
        let _ = write!(html, "<h2>{}</h2>", escape(&stage.name));
        if let Some(depths) = evaluation.depths.get(&stage.name) {
            html.push_str("<h3>How deep to rerank</h3>");
            html.push_str(&charts::quality_against_depth(depths));
        }
        html.push_str("<h3>Query by query</h3>");
        html.push_str(&changes::section(before, stage, texts, qrels));
        if let Some(calibration) = evaluation.calibration.get(&stage.name) {
            html.push_str("<h3>What scores mean</h3>");
            html.push_str(&charts::distribution(calibration));
            html.push_str(&charts::calibration(calibration));
        }
    }
    html.push_str("</html>\n");
    html
}

fn summary(evaluation: &Evaluation) -> String {
    let about = &evaluation.about;
    let documents = about.documents.map_or_else(String::new, |count| format!(" over {count} documents"));
    let mut html = format!(
        "<p>{} queries of the split {}{documents}; the best {} reranked. crossrank {}.</p><ul>",
        about.queries,
        escape(&about.split),
        about.top_k,
        about.crossrank,
    );
    let warnings = evaluation.warnings.iter().map(|warning| format!("Warning: {warning}"));
    for line in evaluation.findings.iter().cloned().chain(warnings) {
        let _ = write!(html, "<li>{}</li>", escape(&line));
    }
    html + "</ul>"
}

fn table(stages: &[Row], significance: &[Comparison], k: usize) -> String {
    let metrics = metrics(k).map(|metric| metric.name());
    let mut html = "<div class=wide><table><tr><th>stage</th>".to_owned();
    for name in
        metrics.iter().map(String::as_str).chain(["p50 ms", "p95 ms", "pairs/s", "p", "dtype", "device"])
    {
        let _ = write!(html, "<th>{name}</th>");
    }
    for row in stages {
        let comparison = significance.iter().find(|comparison| comparison.after == row.name);
        let _ = write!(html, "<tr><td>{}</td>", escape(&row.name));
        for cell in cells(row, &metrics, comparison) {
            let _ = write!(html, "<td>{cell}</td>");
        }
    }
    html + "</table></div>"
}

fn cells(row: &Row, metrics: &[String], comparison: Option<&Comparison>) -> Vec<String> {
    let measure = |name: &String| {
        let (low, high) = row.intervals[name];
        format!("{:.4} <small>± {:.3}</small>", row.measures[name], (high - low) / 2.0)
    };
    let mut cells: Vec<String> = metrics.iter().map(measure).collect();
    cells.extend(match &row.speed {
        Some(speed) => [speed.p50_ms, speed.p95_ms, speed.pairs_per_s].map(|value| format!("{value:.1}")),
        None => [const { String::new() }; 3],
    });
    cells.push(comparison.map_or_else(String::new, |comparison| format!("{:.4}", comparison.p)));
    cells.extend(match &row.reranker {
        Some(reranker) => [reranker.dtype.to_owned(), escape(&reranker.device)],
        None => [const { String::new() }; 2],
    });
    cells
}
