//! From a request's text to pairs of token ids: fields, truncation, windows.

use std::ops::Range;

use crossrank_tokenizer::{PairIds, PairTokenizer, WindowRule, windows};
use rayon::prelude::*;

use crate::{Error, Request, Reranker, Warning};

/// Jina's `rerank` truncates the query to 512 tokens, its own two special tokens included.
const JINA_MAX_QUERY_TOKENS: usize = 510;
/// Cohere counts documents in pieces of 500 tokens, query included, and 100 pieces to a search unit.
const BILLED_TOKENS: usize = 500;
const BILLED_DOCUMENTS: usize = 100;

/// The documents' texts, in the form the model reads.
fn texts(request: &Request) -> Result<Vec<String>, Error> {
    let fields = request.rank_fields.as_deref();
    request.documents.iter().enumerate().map(|(index, document)| document.text(index, fields)).collect()
}

/// The documents of a request, turned into pairs as they are read: one pair for each window of a document.
pub(crate) struct Documents {
    texts: Vec<String>,
    query: Vec<u32>,
    rule: WindowRule,
    /// Tokens that the context leaves for a document beside the query.
    room: usize,
    max_tokens_per_doc: usize,
    max_windows_per_doc: usize,
    /// The pairs of each document read so far, as places in the order of all pairs.
    pairs_of: Vec<Range<usize>>,
    query_warning: Option<Warning>,
    truncated: usize,
    billed: usize,
}

impl Documents {
    /// Tokenizes the query, once for all documents.
    pub(crate) fn new(reranker: &Reranker, request: &Request) -> Result<Self, Error> {
        let (tokenizer, rule) = (&reranker.tokenizer, request.window.unwrap_or(reranker.window));
        let context = reranker.summary.max_tokens - tokenizer.special_tokens();
        let texts = texts(request)?;
        let mut query = tokenizer.tokenize(&request.query)?;
        let tokens = max_query_tokens(rule, context);
        let query_warning = (query.len() > tokens).then_some(Warning::QueryTruncated { tokens });
        query.truncate(tokens);
        Ok(Self {
            room: context - query.len(),
            query,
            rule,
            max_tokens_per_doc: request.max_tokens_per_doc,
            max_windows_per_doc: request.max_windows_per_doc.unwrap_or(usize::MAX),
            pairs_of: Vec::with_capacity(texts.len()),
            texts,
            query_warning,
            truncated: 0,
            billed: 0,
        })
    }

    /// What the model reads of each document, before tokens are counted.
    pub(crate) fn texts(&self) -> &[String] {
        &self.texts
    }

    /// The pairs of the next documents, at most `count`; none at the end.
    pub(crate) fn read(&mut self, tokenizer: &PairTokenizer, count: usize) -> Result<Vec<PairIds>, Error> {
        let unread = &self.texts[self.pairs_of.len()..];
        let texts = &unread[..count.min(unread.len())];
        let documents: Vec<Vec<u32>> =
            texts.par_iter().map(|text| tokenizer.tokenize(text)).collect::<Result<_, _>>()?;
        let mut pairs = Vec::new();
        let mut start = self.pairs_of.last().map_or(0, |pairs| pairs.end);
        for document in &documents {
            let mut windows = windows(document.len().min(self.max_tokens_per_doc), self.room, self.rule);
            windows.truncate(self.max_windows_per_doc);
            let covered = windows.iter().map(|window| window.end).max().unwrap_or(0);
            self.truncated += usize::from(covered < document.len());
            self.billed += (self.query.len() + covered).div_ceil(BILLED_TOKENS).max(1);
            self.pairs_of.push(start..start + windows.len());
            start += windows.len();
            pairs.extend(windows.into_iter().map(|window| tokenizer.pair(&self.query, &document[window])));
        }
        Ok(pairs)
    }

    /// What was left out of the model's input so far.
    pub(crate) fn warnings(&self) -> Vec<Warning> {
        let documents = self.truncated;
        let truncated = (documents > 0).then_some(Warning::DocumentsTruncated { documents });
        self.query_warning.iter().cloned().chain(truncated).collect()
    }

    /// Cohere's billing units of the documents read so far.
    pub(crate) fn search_units(&self) -> usize {
        self.billed.div_ceil(BILLED_DOCUMENTS)
    }

    /// The logit of every document of the request from those of the pairs: its best window's, and none
    /// until all its windows are scored.
    pub(crate) fn logits(&self, of_pairs: &[Option<f32>]) -> Vec<Option<f32>> {
        let best = |windows: &Range<usize>| {
            let scored: Option<Vec<f32>> = of_pairs[windows.clone()].iter().copied().collect();
            scored?.into_iter().max_by(f32::total_cmp)
        };
        let mut logits: Vec<Option<f32>> = self.pairs_of.iter().map(best).collect();
        logits.resize(self.texts.len(), None);
        logits
    }
}

/// The query's share of the context: Jina's fixed one, else Cohere's half.
fn max_query_tokens(rule: WindowRule, room: usize) -> usize {
    match rule {
        WindowRule::Jina => JINA_MAX_QUERY_TOKENS.min(room / 2),
        WindowRule::Cohere | WindowRule::None => room / 2,
    }
}
