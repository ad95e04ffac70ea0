//! The ranking for people: what moved where, in the terminal's width.

use std::cmp::Ordering;
use std::io::{self, Write};

use console::{Alignment, Term, measure_text_width, pad_str, truncate_str};
use crossrank::Document;

use super::Ranking;

/// Columns where standard output is no terminal.
const DEFAULT_WIDTH: usize = 100;
const MIN_TEXT_WIDTH: usize = 20;

pub(super) fn write(out: &mut Vec<u8>, ranking: &Ranking<'_>) -> io::Result<()> {
    let width = Term::stdout().size_checked().map_or(DEFAULT_WIDTH, |(_, columns)| columns.into());
    let raw = ranking.options.raw_scores;
    let logit_title = if raw { "   logit" } else { "" };
    let head = format!("rank   was   move   score{logit_title}  ");
    let room = width.saturating_sub(measure_text_width(&head)).max(MIN_TEXT_WIDTH);
    writeln!(out, "{head}document")?;
    for (place, result) in ranking.response.results.iter().enumerate() {
        let logit = match result.logit {
            Some(logit) if raw => format!("{logit:>8.3}"),
            None if raw => format!("{:>8}", "-"),
            _ => String::new(),
        };
        let score = result.score().map_or_else(|| "-".to_owned(), |score| format!("{score:.4}"));
        let text = one_line(&ranking.request.documents[result.index]);
        let (rank, was) = (place + 1, result.index + 1);
        let moved = pad_str(&moved(was, rank), 5, Alignment::Right, None).into_owned();
        writeln!(out, "{rank:>4} {was:>5}  {moved}  {score:>6}{logit}  {}", truncate_str(&text, room, "…"))?;
    }
    let usage = &ranking.response.usage;
    writeln!(
        out,
        "\n{} documents, {} tokens in {:.2} s, model {}",
        ranking.request.documents.len(),
        usage.tokens,
        usage.elapsed_ms / 1e3,
        ranking.model
    )
}

/// How far a document came, from its place in the request to its rank.
fn moved(was: usize, rank: usize) -> String {
    match was.cmp(&rank) {
        Ordering::Greater => format!("↑{}", was - rank),
        Ordering::Less => format!("↓{}", rank - was),
        Ordering::Equal => "=".to_owned(),
    }
}

/// The document's text without line breaks and control characters, which would break the table.
fn one_line(document: &Document) -> String {
    let text = match document {
        Document::Text(text) => text.clone(),
        Document::Object(fields) => serde_json::to_string(fields).unwrap_or_default(),
    };
    // A line of any terminal is shorter than this, and a document can have megabytes.
    let start: String =
        text.chars().take(2000).filter(|letter| !letter.is_control() || letter.is_whitespace()).collect();
    start.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_move_points_up_down_or_nowhere() {
        assert_eq!([moved(4, 1), moved(1, 3), moved(2, 2)], ["↑3", "↓2", "="]);
    }

    #[test]
    fn text_is_one_line_without_escape_sequences() {
        let document = Document::from("two\n lines\t\u{1b}[31mred");
        assert_eq!(one_line(&document), "two lines [31mred");
    }
}
