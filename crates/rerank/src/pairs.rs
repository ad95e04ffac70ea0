//! From a request's text to pairs of token ids: fields, truncation, windows.

use std::ops::Range;

use crossrank_tokenizer::{PairIds, PairTokenizer, WindowRule, windows};
use rayon::prelude::*;

use crate::{Error, Request, Warning};

/// Jina's `rerank` truncates the query to 512 tokens, its own two special tokens included.
const JINA_MAX_QUERY_TOKENS: usize = 510;
/// Cohere counts documents in pieces of 500 tokens, query included, and 100 pieces to a search unit.
const BILLED_TOKENS: usize = 500;
const BILLED_DOCUMENTS: usize = 100;

/// All pairs of a request: every document has one for each of its windows, in document order.
pub(crate) struct Pairs {
    pub(crate) pairs: Vec<PairIds>,
    /// The pairs of each document.
    pub(crate) of_document: Vec<Range<usize>>,
    pub(crate) warnings: Vec<Warning>,
    pub(crate) search_units: usize,
}

/// A document's text, in the form the model reads.
pub(crate) fn texts(request: &Request) -> Result<Vec<String>, Error> {
    let fields = request.rank_fields.as_deref();
    request.documents.iter().enumerate().map(|(index, document)| document.text(index, fields)).collect()
}

/// Tokenizes the query once and every document once, and lays windows over the long ones.
pub(crate) fn prepare(
    tokenizer: &PairTokenizer,
    request: &Request,
    texts: &[String],
    rule: WindowRule,
    max_tokens: usize,
) -> Result<Pairs, Error> {
    let mut warnings = Vec::new();
    let mut query = tokenizer.tokenize(&request.query)?;
    let query_tokens = max_query_tokens(rule, max_tokens - tokenizer.special_tokens());
    if query.len() > query_tokens {
        query.truncate(query_tokens);
        warnings.push(Warning::QueryTruncated { tokens: query_tokens });
    }
    let room = max_tokens - tokenizer.special_tokens() - query.len();
    let documents: Vec<Vec<u32>> =
        texts.par_iter().map(|text| tokenizer.tokenize(text)).collect::<Result<_, _>>()?;

    let (mut pairs, mut of_document) = (Vec::new(), Vec::new());
    let (mut truncated, mut billed) = (0, 0);
    for document in &documents {
        let read = document.len().min(request.max_tokens_per_doc);
        let windows = windows(read, room, rule);
        let covered = windows.iter().map(|window| window.end).max().unwrap_or(0);
        truncated += usize::from(covered < document.len());
        billed += (query.len() + covered).div_ceil(BILLED_TOKENS).max(1);
        let start = pairs.len();
        pairs.extend(windows.into_iter().map(|window| tokenizer.pair(&query, &document[window])));
        of_document.push(start..pairs.len());
    }
    if truncated > 0 {
        warnings.push(Warning::DocumentsTruncated { documents: truncated });
    }
    Ok(Pairs { pairs, of_document, warnings, search_units: billed.div_ceil(BILLED_DOCUMENTS) })
}

/// The query's share of the context: Jina's fixed one, else Cohere's half.
fn max_query_tokens(rule: WindowRule, room: usize) -> usize {
    match rule {
        WindowRule::Jina => JINA_MAX_QUERY_TOKENS.min(room / 2),
        WindowRule::Cohere | WindowRule::None => room / 2,
    }
}
