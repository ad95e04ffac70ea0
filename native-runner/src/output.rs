//! A ranking as a table, as Cohere's JSON, as JSON Lines, or as a TREC run.

mod table;

use std::io::{self, IsTerminal, Write};

use anyhow::Context;
use crossrank::{Ranked, Request, Response};
use indicatif::{ProgressBar, ProgressStyle};
use serde::Serialize;
use serde_json::{Value, json};

use crate::cli::{Format, ResultArguments};
use crate::cohere;
use crate::input::InputError;

/// The format asked for, else a table for people and JSON Lines for programs.
pub(crate) fn format(asked: Option<Format>) -> Format {
    asked.unwrap_or(if io::stdout().is_terminal() { Format::Table } else { Format::Jsonl })
}

/// What `write` prints.
pub(crate) struct Ranking<'a> {
    pub(crate) request: &'a Request,
    pub(crate) response: &'a Response,
    /// The model's name.
    pub(crate) model: &'a str,
    pub(crate) options: &'a ResultArguments,
}

impl Ranking<'_> {
    /// Writes the ranking to standard output.
    ///
    /// # Errors
    /// An identifier that a TREC run cannot hold, and errors of writing.
    pub(crate) fn write(&self, format: Format) -> anyhow::Result<()> {
        let mut text = Vec::new();
        match format {
            Format::Table => table::write(&mut text, self)?,
            Format::Json => {
                let Response { results, usage, .. } = self.response;
                let results = results.iter().map(|result| self.cohere_result(result)).collect();
                let warnings = cohere::warnings(self.response);
                write_line(
                    &mut text,
                    &cohere::body(usage, results, warnings, self.model, cohere::Version::V2),
                )?;
            }
            Format::Jsonl => self.write_lines(&mut text)?,
            Format::Trec => self.write_trec(&mut text)?,
        }
        // All or nothing: a run that fails half-way leaves no half ranking.
        write_stdout(&text)
    }

    /// One item of Cohere's body; `logit` and `scored` are ours.
    fn cohere_result(&self, result: &Ranked) -> Value {
        let mut body = cohere::result(result, result.score().unwrap_or(0.0));
        self.add_extensions(&mut body, result);
        body
    }

    fn write_lines(&self, out: &mut Vec<u8>) -> io::Result<()> {
        for (place, result) in self.response.results.iter().enumerate() {
            let mut line = json!({ "rank": place + 1, "index": result.index });
            if let Some(id) = self.request.documents[result.index].id() {
                line["id"] = json!(id);
            }
            line["score"] = json!(result.score().unwrap_or(0.0));
            self.add_extensions(&mut line, result);
            if let Some(document) = &result.document {
                line["document"] = json!(document);
            }
            write_line(out, &line)?;
        }
        Ok(())
    }

    fn add_extensions(&self, body: &mut Value, result: &Ranked) {
        match result.logit {
            Some(logit) if self.options.raw_scores => body["logit"] = json!(logit),
            Some(_) => {}
            None => body["scored"] = json!(false),
        }
    }

    fn write_trec(&self, out: &mut Vec<u8>) -> anyhow::Result<()> {
        let query = trec_name("query identifier", &self.options.query_id)?;
        let lowest = self.response.results.iter().filter_map(|result| result.logit).fold(0.0_f32, f32::min);
        for (place, result) in self.response.results.iter().enumerate() {
            let id = self.request.documents[result.index].id().unwrap_or_else(|| result.index.to_string());
            let document = trec_name("document identifier", &id)?;
            // trec_eval sorts by score: what the deadline left out needs one below all others.
            let score = result.logit.unwrap_or(lowest - 1.0 - place as f32);
            writeln!(out, "{query} Q0 {document} {} {score} crossrank", place + 1)?;
        }
        Ok(())
    }
}

fn trec_name<'a>(what: &'static str, name: &'a str) -> Result<&'a str, InputError> {
    if name.is_empty() || name.contains(char::is_whitespace) {
        return Err(InputError::TrecName { what, found: name.to_owned() });
    }
    Ok(name)
}

/// `value` as one line of JSON.
pub(crate) fn write_line(out: &mut Vec<u8>, value: &impl Serialize) -> io::Result<()> {
    serde_json::to_writer(&mut *out, value)?;
    out.push(b'\n');
    Ok(())
}

/// `bytes` to standard output, at once.
///
/// # Errors
/// Errors of writing; `exit` takes a closed pipe for success.
pub(crate) fn write_stdout(bytes: &[u8]) -> anyhow::Result<()> {
    let mut stdout = io::stdout().lock();
    stdout.write_all(bytes).and_then(|()| stdout.flush()).context("cannot write to standard output")
}

/// A bar for a download, hidden by indicatif where standard error is no terminal.
pub(crate) fn bytes_bar() -> ProgressBar {
    let template = "{bar:40} {bytes}/{total_bytes} {bytes_per_sec}, {eta} left";
    let style = ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar());
    ProgressBar::new(0).with_style(style)
}

/// A line on standard error, which nobody may be reading.
pub(crate) fn say(line: impl std::fmt::Display) {
    let _ = writeln!(io::stderr().lock(), "{line}");
}

/// Rows in columns as wide as their widest cell, the last one as it is.
pub(crate) fn columns<const N: usize>(rows: &[[String; N]]) -> Vec<u8> {
    let width =
        |column: usize| rows.iter().map(|row| console::measure_text_width(&row[column])).max().unwrap_or(0);
    let widths: [usize; N] = std::array::from_fn(width);
    let mut text = String::new();
    for row in rows {
        for (cell, width) in row.iter().zip(widths) {
            text.push_str(&console::pad_str(cell, width, console::Alignment::Left, None));
            text.push_str("  ");
        }
        text.truncate(text.trim_end().len());
        text.push('\n');
    }
    text.into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_their_widest_cell() {
        let rows = [["a", "long", "x"], ["wide", "b", ""]].map(|row| row.map(str::to_owned));
        assert_eq!(String::from_utf8(columns(&rows)).unwrap(), "a     long  x\nwide  b\n");
    }

    #[test]
    fn trec_names_have_no_white_space() {
        assert!(trec_name("document identifier", "d 1").is_err());
        assert!(trec_name("document identifier", "").is_err());
        assert_eq!(trec_name("document identifier", "d1").unwrap(), "d1");
    }
}
