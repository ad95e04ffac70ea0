//! Judgements and runs: TREC's formats, and BEIR's table of judgements.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::Path;

use crate::lines::Lines;
use crate::{EvalError, Warnings};

/// Grades by query and document; 1 and more is relevant.
pub type Qrels = BTreeMap<String, BTreeMap<String, i32>>;

/// Documents by query, best first.
pub type Run = BTreeMap<String, Vec<Scored>>;

/// A document with the score that places it.
#[derive(Debug, Clone, PartialEq)]
pub struct Scored {
    /// The document's identifier.
    pub document: String,
    /// The higher the better; never NaN.
    pub score: f64,
}

/// Orders as trec_eval does: by score in single precision, ties by identifier, the greater one first.
pub fn sort(ranking: &mut [Scored]) {
    ranking.sort_by(|a, b| {
        let by_score = (b.score as f32).total_cmp(&(a.score as f32));
        by_score.then_with(|| b.document.cmp(&a.document))
    });
}

/// Orders by score; documents with equal scores stay in the order they have. Equal scores become distinct by their
/// last digit, so that trec_eval keeps that order, too.
pub(crate) fn sort_stable(ranking: &mut [Scored]) {
    ranking.sort_by(|a, b| (b.score as f32).total_cmp(&(a.score as f32)));
    let mut above = f32::INFINITY;
    for scored in ranking {
        above = (scored.score as f32).min(above.next_down());
        scored.score = above.into();
    }
}

/// Reads judgements: `query iteration document grade`, or BEIR's `query-id corpus-id score` under its heading.
///
/// # Errors
/// [`EvalError::Line`] for a line of another shape, a grade that is no whole number, or two grades of one pair;
/// [`EvalError::Read`], [`EvalError::Empty`].
pub fn read_qrels(path: &Path, warnings: &mut Warnings) -> Result<Qrels, EvalError> {
    let mut lines = Lines::open(path)?;
    let mut qrels = Qrels::new();
    let mut first = true;
    while let Some(line) = lines.next_line()? {
        let is_first = std::mem::take(&mut first);
        let (query, document, grade) = match judgement(line) {
            Ok(judgement) => judgement,
            Err(_) if is_first && line.to_ascii_lowercase().starts_with("query") => continue,
            Err(problem) => return Err(lines.problem(problem)),
        };
        let previous = qrels.entry(query.to_owned()).or_default().insert(document.to_owned(), grade);
        match previous {
            Some(other) if other != grade => {
                let problem = format!("{query} and {document} have the grade {grade} and, before, {other}");
                return Err(lines.problem(problem));
            }
            Some(_) => warnings.add("a judgement stands twice", document),
            None => {}
        }
    }
    if qrels.is_empty() {
        return Err(lines.empty("judgement"));
    }
    for (query, _) in qrels.iter().filter(|(_, grades)| grades.values().all(|grade| *grade < 1)) {
        warnings.add("a query has no relevant document and counts 0", query);
    }
    Ok(qrels)
}

fn judgement(line: &str) -> Result<(&str, &str, i32), String> {
    // BEIR's identifiers may hold spaces; its table has tabs.
    let cells: Vec<&str> =
        if line.contains('\t') { line.split('\t').collect() } else { line.split_whitespace().collect() };
    let (query, document, grade) = match cells[..] {
        [query, document, grade] | [query, _, document, grade] => (query, document, grade),
        _ => {
            return Err(
                "a judgement is `query iteration document grade` or `query document grade`".to_owned()
            );
        }
    };
    let whole = grade.trim().parse().map_err(|_| format!("the grade {grade:?} is not a whole number"))?;
    Ok((query, document, whole))
}

/// Reads a run, `query Q0 document rank score tag`; the score orders, the rank does not.
///
/// # Errors
/// [`EvalError::Line`] for a line of another shape, a score that is not finite, or a document that stands twice;
/// [`EvalError::Read`], [`EvalError::Empty`].
pub fn read_run(path: &Path) -> Result<Run, EvalError> {
    let mut lines = Lines::open(path)?;
    let mut run = Run::new();
    let mut seen = std::collections::HashSet::new();
    while let Some(line) = lines.next_line()? {
        let (query, document, score) = match retrieved(line) {
            Ok(retrieved) => retrieved,
            Err(problem) => return Err(lines.problem(problem)),
        };
        if !seen.insert((query.to_owned(), document.to_owned())) {
            let problem = format!("{document} stands twice for {query}; a run holds a document once");
            return Err(lines.problem(problem));
        }
        run.entry(query.to_owned()).or_default().push(Scored { document: document.to_owned(), score });
    }
    if run.is_empty() {
        return Err(lines.empty("retrieved document"));
    }
    run.values_mut().for_each(|ranking| sort(ranking));
    Ok(run)
}

fn retrieved(line: &str) -> Result<(&str, &str, f64), String> {
    let cells: Vec<&str> = line.split_whitespace().collect();
    let [query, _, document, _, score, _] = cells[..] else {
        return Err("a line of a run is `query Q0 document rank score tag`".to_owned());
    };
    match score.parse::<f64>() {
        Ok(number) if number.is_finite() => Ok((query, document, number)),
        _ => Err(format!("the score {score:?} cannot order documents; a score is a finite number")),
    }
}

/// Writes a run with every digit of its scores, so that printing makes no ties.
///
/// # Errors
/// [`EvalError::TrecName`], [`EvalError::Write`].
pub fn write_run(path: &Path, run: &Run, tag: &str) -> Result<(), EvalError> {
    let write_error = |source| EvalError::Write { name: path.display().to_string(), source };
    let mut text = Vec::new();
    for (query, ranking) in run {
        for (place, Scored { document, score }) in ranking.iter().enumerate() {
            let (query, document) = (name(query)?, name(document)?);
            writeln!(text, "{query} Q0 {document} {} {score} {tag}", place + 1).map_err(write_error)?;
        }
    }
    std::fs::write(path, text).map_err(write_error)
}

fn name(id: &str) -> Result<&str, EvalError> {
    if id.contains(char::is_whitespace) { Err(EvalError::TrecName { id: id.to_owned() }) } else { Ok(id) }
}
