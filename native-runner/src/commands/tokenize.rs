//! `crossrank tokenize`: pairs in, their token ids out.

use serde_json::json;

use super::score::write_for_pairs;
use crate::cli::TokenizeArguments;

pub(crate) fn run(arguments: &TokenizeArguments) -> anyhow::Result<()> {
    write_for_pairs(&arguments.pairs, &arguments.model, |reranker, options, pairs, first| {
        let line = |(index, (query, document)): (usize, &(String, String))| {
            let pair = reranker.tokenize(query, document, options)?;
            Ok(json!({ "index": first + index, "ids": pair.ids, "type_ids": pair.type_ids }))
        };
        pairs.iter().enumerate().map(line).collect()
    })
}
