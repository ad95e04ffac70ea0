//! Queries that reranking made better or worse, with their texts.

use std::fmt::Write;

use super::{charts, escape};
use crate::{Metric, Qrels, Run, Scored, Stage, Texts};

/// Queries that are shown of each kind.
const SHOWN: usize = 10;
/// Characters of a document that are shown.
const EXCERPT: usize = 300;

/// The change of every query as a chart, and the greatest gains and losses with what came first before and after.
pub(super) fn section(before: &Stage, after: &Stage, texts: Texts<'_>, qrels: &Qrels) -> String {
    let values = |stage: &Stage| Metric::Ndcg(10).per_query(&stage.reranked.run, qrels);
    let changes = values(before).into_iter().zip(values(after)).map(|(old, new)| new - old);
    let mut changes: Vec<(&String, f64)> = qrels.keys().zip(changes).collect();
    changes.sort_by(|a, b| b.1.total_cmp(&a.1));
    let mut html = charts::changes(&changes.iter().map(|(_, change)| *change).collect::<Vec<_>>());
    let gains = changes.iter().filter(|(_, change)| *change > 0.0).take(SHOWN);
    let losses = changes.iter().rev().filter(|(_, change)| *change < 0.0).take(SHOWN);
    for (title, queries) in
        [("Greatest gains", gains.collect::<Vec<_>>()), ("Greatest losses", losses.collect())]
    {
        let _ = write!(html, "<h4>{title}</h4>");
        if queries.is_empty() {
            html.push_str("<p>None.</p>");
        }
        for (query, change) in queries {
            let text = texts.queries.get(*query).map_or("", String::as_str);
            let _ = write!(html, "<details><summary>{change:+.3} {}</summary>", escape(text));
            for (name, run) in [(&before.name, &before.reranked.run), (&after.name, &after.reranked.run)] {
                html.push_str(&first(name, run, query, texts, qrels));
            }
            html.push_str("</details>");
        }
    }
    html
}

/// The first three documents of a query, each with its grade.
fn first(name: &str, run: &Run, query: &str, texts: Texts<'_>, qrels: &Qrels) -> String {
    let ranking = run.get(query).map_or(&[][..], Vec::as_slice);
    let item = |scored: &Scored| {
        let grade = qrels.get(query).and_then(|grades| grades.get(&scored.document));
        let grade = grade.map_or_else(|| "not judged".to_owned(), |grade| format!("grade {grade}"));
        let text = texts.documents.get(&scored.document).map_or("", String::as_str);
        let excerpt: String = text.chars().take(EXCERPT).collect();
        let dots = if excerpt.len() < text.len() { "…" } else { "" };
        format!(
            "<li><b>{}</b> ({grade}, {:.3}) {}{dots}</li>",
            escape(&scored.document),
            scored.score,
            escape(&excerpt)
        )
    };
    let items: String = ranking.iter().take(3).map(item).collect();
    format!("<p>{}</p><ol>{items}</ol>", escape(name))
}
