//! `crossrank eval --structured`: the same facts in four forms.

use std::path::Path;

use crossrank_eval::{Structured, read_facts, structured};

use super::EvalArguments;
use super::arguments::EvalFormat;
use crate::output::{columns, write_line, write_stdout};

pub(super) fn run(arguments: &EvalArguments, file: &Path) -> anyhow::Result<()> {
    let facts = read_facts(file)?;
    let reranker = crate::model::load(&arguments.model)?;
    let measured = structured(&facts, &reranker)?;
    let mut text = Vec::new();
    match arguments.output.format {
        EvalFormat::Json => write_line(&mut text, &measured)?,
        EvalFormat::Table => text = table(&measured),
    }
    write_stdout(&text)
}

fn table(measured: &Structured) -> Vec<u8> {
    let heading = ["form", "relevant", "near miss", "above 0.5"].map(str::to_owned);
    let rows = measured.forms.iter().map(|row| {
        let above = format!("{:.0} %", 100.0 * row.above_half);
        [row.form.to_owned(), format!("{:.3}", row.relevant), format!("{:.3}", row.near_miss), above]
    });
    let mut text = columns(&std::iter::once(heading).chain(rows).collect::<Vec<_>>());
    let Structured { mean_spread, median_spread, greatest_spread, passed, records, .. } = measured;
    text.extend(
        format!(
            "\nThe four scores of a record lie {mean_spread:.3} apart in the mean, {median_spread:.3} in the median, \
             {greatest_spread:.3} at most; {passed} of {records} are within the pass mark of 0.20.\n"
        )
        .bytes(),
    );
    text
}
