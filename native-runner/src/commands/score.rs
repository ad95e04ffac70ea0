//! `crossrank score`: pairs in, one line for each out, in input order and as they come.

use crossrank::ScoreOptions;
use serde_json::json;

use crate::cli::{PairArguments, PairFormat, ScoreArguments};
use crate::input::PairReader;
use crate::output::{write_line, write_stdout};

pub(crate) fn run(arguments: &ScoreArguments) -> anyhow::Result<()> {
    let PairFormat::Jsonl = arguments.format;
    let mut reader = PairReader::open(&arguments.pairs.pairs)?;
    let reranker = crate::model::load(&arguments.model)?;
    let options = options(&arguments.pairs);
    let mut first = 0;
    loop {
        let pairs = reader.next_chunk()?;
        if pairs.is_empty() {
            return Ok(());
        }
        let mut text = Vec::new();
        for pair in reranker.compute_score(&pairs, &options)? {
            let score = if arguments.raw_scores { pair.logit.into() } else { pair.score() };
            let line = json!({ "index": first + pair.index, "score": score, "logit": pair.logit, "tokens": pair.tokens });
            write_line(&mut text, &line)?;
        }
        write_stdout(&text)?;
        first += pairs.len();
    }
}

/// How pairs are fitted into the model's context.
pub(super) fn options(arguments: &PairArguments) -> ScoreOptions {
    ScoreOptions { max_length: arguments.max_length, truncation: arguments.truncation.into() }
}
