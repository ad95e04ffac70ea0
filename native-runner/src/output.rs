//! A ranking as a table, as Cohere's JSON, as JSON Lines, or as a TREC run.

mod table;

use std::hash::{BuildHasher, RandomState};
use std::io::{self, IsTerminal, Write};

use anyhow::Context;
use crossrank::{Document, Ranked, Request, Response};
use indicatif::{ProgressBar, ProgressStyle};
use serde::Serialize;
use serde_json::{Value, json};

use crate::cli::{Format, ResultArguments};
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
            Format::Json => write_line(&mut text, &self.cohere_body())?,
            Format::Jsonl => self.write_lines(&mut text)?,
            Format::Trec => self.write_trec(&mut text)?,
        }
        // All or nothing: a run that fails half-way leaves no half ranking.
        write_stdout(&text)
    }

    /// The body of Cohere's v2 rerank endpoint; `model`, `document`, `logit` and `scored` are ours.
    fn cohere_body(&self) -> Value {
        let Response { results, warnings, usage } = self.response;
        let results: Vec<Value> = results.iter().map(|result| self.cohere_result(result)).collect();
        let mut meta = json!({
            "api_version": { "version": "2", "is_experimental": false },
            "billed_units": { "search_units": usage.search_units },
            "tokens": { "input_tokens": usage.tokens },
        });
        if !warnings.is_empty() {
            let warnings = warnings.iter().map(|warning| format!("{}: {warning}", warning.code()));
            meta["warnings"] = warnings.collect();
        }
        json!({ "id": request_id(), "model": self.model, "results": results, "meta": meta })
    }

    fn cohere_result(&self, result: &Ranked) -> Value {
        let mut body = json!({ "index": result.index, "relevance_score": result.score().unwrap_or(0.0) });
        self.add_extensions(&mut body, result);
        if let Some(Document::Text(text)) = &result.document {
            body["document"] = json!({ "text": text });
        }
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
        if let Some(document) = &result.document {
            body["document"] = json!(document);
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

/// A random UUID (version 4); the standard library's hash keys are random.
fn request_id() -> String {
    let random = || RandomState::new().hash_one(std::process::id());
    let (high, low) = (random() & !0xF000 | 0x4000, random() & !(0b11 << 62) | 0b10 << 62);
    format!(
        "{:08x}-{:04x}-{:04x}-{:04x}-{:012x}",
        high >> 32,
        high >> 16 & 0xFFFF,
        high & 0xFFFF,
        low >> 48,
        low & 0xFFFF_FFFF_FFFF
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn request_ids_are_version_4_uuids_and_differ() {
        let (one, other) = (request_id(), request_id());
        assert_ne!(one, other);
        assert_eq!(one.split('-').map(str::len).collect::<Vec<_>>(), [8, 4, 4, 4, 12]);
        assert_eq!(one.as_bytes()[14], b'4');
        assert!(b"89ab".contains(&one.as_bytes()[19]));
    }

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
