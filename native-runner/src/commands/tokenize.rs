//! `crossrank tokenize`: pairs in, their token ids out.

use serde_json::json;

use super::score::options;
use crate::cli::TokenizeArguments;
use crate::input::PairReader;
use crate::output::{write_line, write_stdout};

pub(crate) fn run(arguments: &TokenizeArguments) -> anyhow::Result<()> {
    let mut reader = PairReader::open(&arguments.pairs.pairs)?;
    let reranker = crate::model::load(&arguments.model)?;
    let options = options(&arguments.pairs);
    let mut index = 0;
    loop {
        let pairs = reader.next_chunk()?;
        if pairs.is_empty() {
            return Ok(());
        }
        let mut text = Vec::new();
        for (query, document) in &pairs {
            let pair = reranker.tokenize(query, document, &options)?;
            write_line(&mut text, &json!({ "index": index, "ids": pair.ids, "type_ids": pair.type_ids }))?;
            index += 1;
        }
        write_stdout(&text)?;
    }
}
