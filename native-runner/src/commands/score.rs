//! `crossrank score`: pairs in, one line for each out, in input order and as they come.

use crossrank::{PairScore, Reranker, ScoreOptions};
use serde_json::{Value, json};

use crate::cli::{ModelArguments, PairArguments, PairFormat, ScoreArguments};
use crate::input::PairReader;
use crate::output::{write_line, write_stdout};

pub(crate) fn run(arguments: &ScoreArguments) -> anyhow::Result<()> {
    let PairFormat::Jsonl = arguments.format;
    write_for_pairs(&arguments.pairs, &arguments.model, |reranker, options, pairs, first| {
        let line = |pair: PairScore| {
            let score = if arguments.raw_scores { pair.logit.into() } else { pair.score() };
            json!({ "index": first + pair.index, "score": score, "logit": pair.logit, "tokens": pair.tokens })
        };
        Ok(reranker.compute_score(pairs, options)?.into_iter().map(line).collect())
    })
}

/// Reads pairs as a stream and writes the lines that `lines` makes of each chunk; it is given the chunk and
/// the place of its first pair in the input.
pub(super) fn write_for_pairs(
    input: &PairArguments,
    model: &ModelArguments,
    lines: impl Fn(&Reranker, &ScoreOptions, &[(String, String)], usize) -> anyhow::Result<Vec<Value>>,
) -> anyhow::Result<()> {
    let mut reader = PairReader::open(&input.pairs)?;
    let reranker = crate::model::load(model)?;
    let options = ScoreOptions { max_length: input.max_length, truncation: input.truncation.into() };
    let mut first = 0;
    loop {
        let pairs = reader.next_chunk()?;
        if pairs.is_empty() {
            return Ok(());
        }
        let mut text = Vec::new();
        for line in lines(&reranker, &options, &pairs, first)? {
            write_line(&mut text, &line)?;
        }
        write_stdout(&text)?;
        first += pairs.len();
    }
}
