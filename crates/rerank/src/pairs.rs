//! From a request's text to pairs of token ids: fields, truncation, windows.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use crossrank_tokenizer::{Limits, PairIds, PairTokenizer, WindowRule, windows};
use rayon::prelude::*;

use crate::{Cascade, Error, Request, Reranker, ScoreOptions, Warning};

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
    cascade: Option<Cascade>,
    /// Of a cascade, the windows of documents of which the beginning alone was read.
    unread: BTreeMap<usize, Vec<PairIds>>,
    /// The pairs of each document read so far, as places in the order of all pairs.
    pairs_of: Vec<Range<usize>>,
    /// The pairs of those documents that a cascade read whole.
    kept: BTreeMap<usize, Range<usize>>,
    /// Pairs made so far.
    pairs: usize,
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
        let tokens = max_query_tokens(rule, context);
        let mut query = tokenizer.tokenize_up_to(&request.query, tokens)?;
        let query_warning = (query.len() > tokens).then_some(Warning::QueryTruncated { tokens });
        query.truncate(tokens);
        Ok(Self {
            room: context - query.len(),
            query,
            rule,
            max_tokens_per_doc: request.max_tokens_per_doc,
            max_windows_per_doc: request.max_windows_per_doc.unwrap_or(usize::MAX),
            cascade: request.cascade,
            unread: BTreeMap::new(),
            pairs_of: Vec::with_capacity(texts.len()),
            kept: BTreeMap::new(),
            pairs: 0,
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
        let (texts, max_tokens) = (next(&self.texts, self.pairs_of.len(), count), self.max_tokens());
        let documents = texts.par_iter().map(|text| tokenizer.tokenize_up_to(text, max_tokens));
        let documents: Vec<Vec<u32>> = documents.collect::<Result<_, _>>()?;
        let mut pairs = Vec::new();
        for document in &documents {
            let mut windows = windows(document.len().min(self.max_tokens_per_doc), self.room, self.rule);
            windows.truncate(self.max_windows_per_doc);
            let covered = windows.iter().map(|window| window.end).max().unwrap_or(0);
            self.truncated += usize::from(covered < document.len());
            self.billed += (self.query.len() + covered).div_ceil(BILLED_TOKENS).max(1);
            let pair = |window: Range<usize>| tokenizer.pair(&self.query, &document[window]);
            let first = self.cascade.map_or(usize::MAX, |cascade| cascade.max_tokens);
            let mut read: Vec<PairIds> = windows.into_iter().map(pair).collect();
            if first < covered {
                let beginning = vec![pair(0..first.min(self.room))];
                self.unread.insert(self.pairs_of.len(), std::mem::replace(&mut read, beginning));
            }
            let places = self.places(read.len());
            self.pairs_of.push(places);
            pairs.append(&mut read);
        }
        Ok(pairs)
    }

    /// Tokens of a document that can be read at most.
    fn max_tokens(&self) -> usize {
        let windows = if self.rule == WindowRule::None { 1 } else { self.max_windows_per_doc };
        self.max_tokens_per_doc.min(self.room.saturating_mul(windows))
    }

    /// Documents that are not read yet.
    pub(crate) fn has_more(&self) -> bool {
        self.pairs_of.len() < self.texts.len()
    }

    /// The pairs of the first of `best` that the cascade keeps, read whole; once.
    pub(crate) fn keep(&mut self, best: &[usize]) -> Vec<PairIds> {
        let Some(Cascade { keep, .. }) = self.cascade.take() else { return Vec::new() };
        let mut pairs = Vec::new();
        for &document in &best[..keep.min(best.len())] {
            let places = match self.unread.remove(&document) {
                Some(mut whole) => {
                    let places = self.places(whole.len());
                    pairs.append(&mut whole);
                    places
                }
                None => self.pairs_of[document].clone(),
            };
            self.kept.insert(document, places);
        }
        self.unread.clear();
        pairs
    }

    /// Whether a document has all the logits that it is to have.
    fn is_scored(&self, document: usize, of_pairs: &[Option<f32>]) -> bool {
        let windows = self.kept.get(&document).or(self.pairs_of.get(document));
        windows.is_some_and(|windows| best(windows, of_pairs).is_some())
    }

    /// Documents that have.
    pub(crate) fn scored(&self, of_pairs: &[Option<f32>]) -> usize {
        (0..self.texts.len()).filter(|&document| self.is_scored(document, of_pairs)).count()
    }

    /// Whether a cascade has kept a document and it has its logits.
    pub(crate) fn is_kept(&self, document: usize, of_pairs: &[Option<f32>]) -> bool {
        self.kept.contains_key(&document) && self.is_scored(document, of_pairs)
    }

    /// The places of the next `count` pairs.
    fn places(&mut self, count: usize) -> Range<usize> {
        self.pairs += count;
        self.pairs - count..self.pairs
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
        let logit = |(document, windows)| {
            let whole = self.kept.get(&document).and_then(|windows| best(windows, of_pairs));
            whole.or_else(|| best(windows, of_pairs))
        };
        let mut logits: Vec<Option<f32>> = self.pairs_of.iter().enumerate().map(logit).collect();
        logits.resize(self.texts.len(), None);
        logits
    }
}

/// Pairs of texts to score, turned into token ids as they are read; long ones are truncated.
pub(crate) struct Pairs {
    /// Token ids of each query, with its text.
    texts: Vec<(Arc<[u32]>, String)>,
    limits: Limits,
    /// Pairs read so far.
    read: usize,
}

impl Pairs {
    /// Tokenizes each query once, however many texts in a row it stands beside.
    pub(crate) fn new(
        reranker: &Reranker,
        pairs: &[(impl AsRef<str>, impl AsRef<str>)],
        options: &ScoreOptions,
    ) -> Result<Self, Error> {
        let mut last: Option<(&str, Arc<[u32]>)> = None;
        let mut texts = Vec::with_capacity(pairs.len());
        for (query, text) in pairs {
            let query = query.as_ref();
            let ids = match &last {
                // A long query that is shared is not compared with itself.
                Some((same, ids)) if std::ptr::eq(*same, query) || *same == query => Arc::clone(ids),
                _ => Arc::from(reranker.tokenizer.tokenize(query)?),
            };
            last = Some((query, Arc::clone(&ids)));
            texts.push((ids, text.as_ref().to_owned()));
        }
        Ok(Self { texts, limits: reranker.limits(options), read: 0 })
    }

    /// The next pairs, at most `count`; none at the end.
    pub(crate) fn read(&mut self, tokenizer: &PairTokenizer, count: usize) -> Result<Vec<PairIds>, Error> {
        let texts = next(&self.texts, self.read, count);
        let pairs = texts.par_iter().map(|(query, text)| tokenizer.encode_behind(query, text, &self.limits));
        let pairs: Vec<PairIds> = pairs.collect::<Result<_, _>>()?;
        self.read += pairs.len();
        Ok(pairs)
    }

    /// Pairs that are not read yet.
    pub(crate) fn has_more(&self) -> bool {
        self.read < self.texts.len()
    }
}

/// At most `count` of `all` behind the first `read`.
fn next<T>(all: &[T], read: usize, count: usize) -> &[T] {
    let unread = &all[read..];
    &unread[..count.min(unread.len())]
}

/// The best logit of a document's windows, once all of them have one.
fn best(windows: &Range<usize>, of_pairs: &[Option<f32>]) -> Option<f32> {
    let scored: Option<Vec<f32>> = of_pairs[windows.clone()].iter().copied().collect();
    scored?.into_iter().max_by(f32::total_cmp)
}

/// The query's share of the context: Jina's fixed one, else Cohere's half.
fn max_query_tokens(rule: WindowRule, room: usize) -> usize {
    match rule {
        WindowRule::Jina => JINA_MAX_QUERY_TOKENS.min(room / 2),
        WindowRule::Cohere | WindowRule::None => room / 2,
    }
}
