//! BM25 over a corpus that streams by twice: once for its statistics, once for its scores.
//!
//! All queries are known beforehand, so no index is built: memory holds the terms of the queries and the best
//! documents of each, whatever the size of the corpus.

use std::collections::{BTreeMap, HashMap};

use rayon::prelude::*;

use crate::top::Top;
use crate::{Analyzer, Corpus, EvalError, Run, Text, Warnings};

/// Anserini's parameters.
const K1: f64 = 0.9;
const B: f64 = 0.4;

/// What is searched: which queries, in which language, how deep.
#[derive(Debug, Clone, Copy)]
pub struct Search<'a> {
    /// Texts of queries by identifier.
    pub queries: &'a BTreeMap<String, String>,
    /// Documents that each query keeps.
    pub depth: usize,
    /// The only documents to rank for each query, if they are given; their own order counts where scores are equal.
    pub candidates: Option<&'a Run>,
}

/// The terms of all queries.
struct Terms {
    ids: HashMap<String, usize>,
    /// For each term the queries that have it, once for every time it stands there.
    queries: Vec<Vec<usize>>,
}

/// What scores depend on beside the document itself.
#[derive(Default)]
struct Statistics {
    documents: f64,
    terms: f64,
    /// Documents with each term.
    frequencies: Vec<f64>,
}

/// A document's length, and how often it has which terms of the queries.
struct Counted {
    length: f64,
    counts: BTreeMap<usize, f64>,
}

/// Ranks `corpus` for every query by BM25 with Lucene's inverse document frequency.
///
/// # Errors
/// Those of reading the corpus.
pub fn bm25(corpus: &Corpus, search: &Search<'_>, analyzer: &Analyzer) -> Result<Run, EvalError> {
    let terms = Terms::new(search.queries, analyzer);
    let mut statistics = Statistics { frequencies: vec![0.0; terms.queries.len()], ..Statistics::default() };
    // What is odd about the corpus is counted when texts are looked up.
    corpus.for_each_chunk(&mut Warnings::default(), |chunk| {
        for document in terms.count(chunk, analyzer) {
            statistics.documents += 1.0;
            statistics.terms += document.length;
            document.counts.keys().for_each(|term| statistics.frequencies[*term] += 1.0);
        }
        Ok(())
    })?;
    let names: Vec<&String> = search.queries.keys().collect();
    let allowed = search.candidates.map(|candidates| queries_of_documents(candidates, &names));
    let mut tops: Vec<Top> = names.iter().map(|_| Top::new(search.depth)).collect();
    corpus.for_each_chunk(&mut Warnings::default(), |chunk| {
        for (text, document) in chunk.iter().zip(terms.count(chunk, analyzer)) {
            let mut scores = terms.scores(&document, &statistics);
            if let Some(allowed) = &allowed {
                let queries = allowed.get(text.id.as_str()).map_or(&[][..], Vec::as_slice);
                scores =
                    queries.iter().map(|query| (*query, scores.get(query).copied().unwrap_or(0.0))).collect();
            }
            scores.into_iter().for_each(|(query, score)| tops[query].offer(&text.id, score));
        }
        Ok(())
    })?;
    Ok(search.run(tops))
}

impl Search<'_> {
    /// The best documents of every query, in the order of `queries`, as a run.
    pub(crate) fn run(&self, tops: Vec<Top>) -> Run {
        let named = self.queries.keys().zip(tops).map(|(query, top)| {
            let mut ranking = top.into_ranking();
            if let Some(candidates) = self.candidates.and_then(|candidates| candidates.get(query)) {
                let places =
                    candidates.iter().enumerate().map(|(place, scored)| (scored.document.as_str(), place));
                let places: HashMap<&str, usize> = places.collect();
                ranking.sort_by_key(|scored| places.get(scored.document.as_str()).copied());
                crate::trec::sort_stable(&mut ranking);
            }
            (query.clone(), ranking)
        });
        named.filter(|(_, ranking)| !ranking.is_empty()).collect()
    }
}

/// For each document that is a candidate, the places of its queries in `names`.
pub(crate) fn queries_of_documents<'a>(
    candidates: &'a Run,
    names: &[&String],
) -> HashMap<&'a str, Vec<usize>> {
    let mut queries: HashMap<&str, Vec<usize>> = HashMap::new();
    for (place, ranking) in
        names.iter().enumerate().filter_map(|(place, name)| Some((place, candidates.get(*name)?)))
    {
        for scored in ranking {
            queries.entry(&scored.document).or_default().push(place);
        }
    }
    queries
}

impl Terms {
    fn new(queries: &BTreeMap<String, String>, analyzer: &Analyzer) -> Self {
        let mut terms = Self { ids: HashMap::new(), queries: Vec::new() };
        for (query, text) in queries.values().enumerate() {
            for term in analyzer.terms(text) {
                let next = terms.ids.len();
                let id = *terms.ids.entry(term).or_insert(next);
                if id == next {
                    terms.queries.push(Vec::new());
                }
                terms.queries[id].push(query);
            }
        }
        terms
    }

    fn count(&self, chunk: &[Text], analyzer: &Analyzer) -> Vec<Counted> {
        let count = |text: &Text| {
            let terms = analyzer.terms(&text.text);
            let mut counts = BTreeMap::new();
            for term in terms.iter().filter_map(|term| self.ids.get(term)) {
                *counts.entry(*term).or_insert(0.0) += 1.0;
            }
            Counted { length: terms.len() as f64, counts }
        };
        chunk.par_iter().map(count).collect()
    }

    /// The scores of a document for the queries that share a term with it.
    fn scores(&self, document: &Counted, statistics: &Statistics) -> BTreeMap<usize, f64> {
        let average = statistics.terms / statistics.documents;
        let norm = K1 * (1.0 - B + B * document.length / average);
        let mut scores = BTreeMap::new();
        for (&term, count) in &document.counts {
            let frequency = statistics.frequencies[term];
            let weight = (1.0 + (statistics.documents - frequency + 0.5) / (frequency + 0.5)).ln();
            let score = weight * count / (count + norm);
            self.queries[term].iter().for_each(|query| *scores.entry(*query).or_insert(0.0) += score);
        }
        scores
    }
}
