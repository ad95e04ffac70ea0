//! The same facts as prose, JSON, YAML and a Markdown table: how far apart does a reranker score them?

use std::fmt::Write;
use std::path::Path;

use crossrank::{Document, Request, Reranker};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::lines::Lines;
use crate::{EvalError, mean};

/// Scores that lie further apart than this fail.
const PASS_MARK: f64 = 0.2;

/// A query, and one document in two forms.
#[derive(Debug, Clone, Deserialize)]
pub struct Facts {
    /// Its name.
    pub id: String,
    /// What is searched for.
    pub query: String,
    /// Whether the facts answer the query; if not they are a near miss.
    pub relevant: bool,
    /// The facts as a paragraph.
    pub prose: String,
    /// The facts as a record.
    pub record: Map<String, Value>,
}

/// How facts in one form are scored.
#[derive(Debug, Clone, Serialize)]
pub struct FormRow {
    /// The form.
    pub form: &'static str,
    /// The mean score of facts that answer their query.
    pub relevant: f64,
    /// The mean score of near misses.
    pub near_miss: f64,
    /// The share of the former with a score above 0.5.
    pub above_half: f64,
}

/// How alike the forms are scored.
#[derive(Debug, Clone, Serialize)]
pub struct Structured {
    /// Every form.
    pub forms: Vec<FormRow>,
    /// The spread of each record's scores, its highest less its lowest: the mean.
    pub mean_spread: f64,
    /// The median.
    pub median_spread: f64,
    /// The greatest.
    pub greatest_spread: f64,
    /// Records whose spread is within the pass mark of 0.20.
    pub passed: usize,
    /// All records.
    pub records: usize,
}

/// Reads facts, one JSON object a line.
///
/// # Errors
/// [`EvalError::Line`], [`EvalError::Read`], [`EvalError::Empty`].
pub fn read_facts(path: &Path) -> Result<Vec<Facts>, EvalError> {
    let mut lines = Lines::open(path)?;
    let mut facts = Vec::new();
    while let Some(line) = lines.next_line()? {
        match serde_json::from_str(line) {
            Ok(record) => facts.push(record),
            Err(error) => {
                let problem =
                    format!("it is not an object with id, query, relevant, prose and record ({error})");
                return Err(lines.problem(problem));
            }
        }
    }
    if facts.is_empty() { Err(lines.empty("record")) } else { Ok(facts) }
}

/// Scores every record in every form.
///
/// # Errors
/// Those of the reranker.
pub fn structured(facts: &[Facts], reranker: &Reranker) -> Result<Structured, EvalError> {
    // One row for each record, in the order of `forms`.
    let scores: Vec<[f64; 4]> = facts.iter().map(|facts| score(facts, reranker)).collect::<Result<_, _>>()?;
    let names = ["prose", "JSON text", "object, read as YAML", "Markdown table"];
    let of_form = |form: usize, relevant: bool| {
        let own = facts.iter().zip(&scores).filter(move |(facts, _)| facts.relevant == relevant);
        own.map(move |(_, scores)| scores[form]).collect::<Vec<f64>>()
    };
    let row = |(form, name): (usize, &&'static str)| {
        let relevant = of_form(form, true);
        let above = relevant.iter().filter(|score| **score > 0.5).count();
        FormRow {
            form: name,
            relevant: mean(&relevant),
            near_miss: mean(&of_form(form, false)),
            above_half: above as f64 / relevant.len().max(1) as f64,
        }
    };
    let spread = |scores: &[f64; 4]| {
        let highest = scores.iter().copied().fold(f64::MIN, f64::max);
        highest - scores.iter().copied().fold(f64::MAX, f64::min)
    };
    let mut spreads: Vec<f64> = scores.iter().map(spread).collect();
    spreads.sort_unstable_by(f64::total_cmp);
    Ok(Structured {
        forms: names.iter().enumerate().map(row).collect(),
        mean_spread: mean(&spreads),
        median_spread: spreads.get(spreads.len() / 2).copied().unwrap_or(0.0),
        greatest_spread: spreads.last().copied().unwrap_or(0.0),
        passed: spreads.iter().filter(|spread| **spread <= PASS_MARK).count(),
        records: spreads.len(),
    })
}

fn score(facts: &Facts, reranker: &Reranker) -> Result<[f64; 4], EvalError> {
    let documents = vec![
        Document::from(facts.prose.as_str()),
        Document::Text(Value::Object(facts.record.clone()).to_string()),
        Document::Object(facts.record.clone()),
        Document::Text(markdown(&facts.record)),
    ];
    let response = reranker.rerank(&Request::new(facts.query.as_str(), documents))?;
    let mut scores = [0.0; 4];
    for result in &response.results {
        scores[result.index] = result.score().unwrap_or(0.0);
    }
    Ok(scores)
}

/// A table of two columns, names and values.
fn markdown(record: &Map<String, Value>) -> String {
    let mut table = "| field | value |\n|---|---|\n".to_owned();
    for (name, value) in record {
        let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        // Writing to a string does not fail.
        let _ = writeln!(table, "| {name} | {value} |");
    }
    table
}
