//! A first stage's best, reranked; every score is stored as it comes.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::time::Instant;

use crossrank::{CancelToken, Control, Document, Ranked, Request, Reranker, WindowRule};

use crate::score_cache::{Cached, PairKey, ScoreCache};
use crate::{EvalError, Run, Scored};

/// How many documents are reranked, and how they are read.
#[derive(Debug, Clone, Copy)]
pub struct RerankOptions {
    /// Documents of each query.
    pub top_k: usize,
    /// Tokens of a document that are read at most.
    pub max_tokens_per_doc: usize,
    /// How long documents are split; the model's own rule without it.
    pub window: Option<WindowRule>,
}

/// What reranking gave, and what it took.
#[derive(Debug, Default)]
pub struct Reranked {
    /// Documents by logit; the first stage's order where logits are equal.
    pub run: Run,
    /// Milliseconds of every query: those of the model at the time its pairs were scored.
    pub milliseconds: Vec<f64>,
    /// Pairs in all.
    pub pairs: usize,
}

/// The texts of queries and documents, by identifier.
#[derive(Debug, Clone, Copy)]
pub struct Texts<'a> {
    /// Queries.
    pub queries: &'a BTreeMap<String, String>,
    /// Documents; one that is not here is not reranked.
    pub documents: &'a BTreeMap<String, String>,
}

/// Reranks the best of `first`. `on_pairs` is told how many pairs of how many are done.
///
/// # Errors
/// [`EvalError::Rerank`], [`EvalError::Write`].
pub fn rerank(
    first: &Run,
    texts: Texts<'_>,
    reranker: &Reranker,
    options: &RerankOptions,
    cache: &mut ScoreCache,
    on_pairs: &(dyn Fn(usize, usize) + Sync),
) -> Result<Reranked, EvalError> {
    let known = |scored: &&Scored| texts.documents.contains_key(&scored.document);
    let queries = texts.queries.iter().filter_map(|(id, text)| Some((id, text, first.get(id)?)));
    let jobs = queries.map(|(id, text, ranking)| {
        let documents =
            ranking.iter().filter(known).take(options.top_k).map(|scored| scored.document.as_str());
        (id, text, documents.collect::<Vec<_>>())
    });
    let jobs: Vec<_> = jobs.filter(|(.., documents)| !documents.is_empty()).collect();
    let total = jobs.iter().map(|(.., documents)| documents.len()).sum();
    let mut reranked = Reranked { pairs: total, ..Reranked::default() };
    let mut scorer = Scorer { reranker, options, cache };
    let mut done = 0;
    for (id, query, names) in jobs {
        let documents: Vec<&str> = names.iter().map(|name| texts.documents[*name].as_str()).collect();
        let scores = scorer.scores(query, &documents, &|pairs| on_pairs(done + pairs, total))?;
        done += documents.len();
        let scored = |(name, cached): (&&str, &Cached)| Scored {
            document: (*name).to_owned(),
            score: cached.logit.into(),
        };
        let mut ranking: Vec<Scored> = names.iter().zip(&scores).map(scored).collect();
        crate::trec::sort_stable(&mut ranking);
        reranked.run.insert(id.clone(), ranking);
        reranked.milliseconds.push(scores.iter().map(|cached| f64::from(cached.milliseconds)).sum());
    }
    Ok(reranked)
}

/// A model, how it reads documents, and what it has scored before.
struct Scorer<'a> {
    reranker: &'a Reranker,
    options: &'a RerankOptions,
    cache: &'a mut ScoreCache,
}

impl Scorer<'_> {
    /// The scores of one query's documents, in their order; those that are stored are not computed. `on_pairs` is
    /// told how many are there.
    fn scores(
        &mut self,
        query: &str,
        documents: &[&str],
        on_pairs: &(dyn Fn(usize) + Sync),
    ) -> Result<Vec<Cached>, EvalError> {
        let RerankOptions { max_tokens_per_doc, window, .. } = *self.options;
        let key = |document: &&str| PairKey::new(query, document, max_tokens_per_doc, window);
        let keys: Vec<PairKey> = documents.iter().map(key).collect();
        let pairs = keys.iter().copied().zip(documents.iter().copied());
        let missing: Vec<(PairKey, &str)> = pairs.filter(|(key, _)| self.cache.get(*key).is_none()).collect();
        let stored = documents.len() - missing.len();
        if !missing.is_empty() {
            self.compute(query, &missing, &|computed| on_pairs(stored + computed))?;
        }
        on_pairs(documents.len());
        let no_score = || EvalError::NoScore { query: query.to_owned() };
        keys.into_iter().map(|key| self.cache.get(key).ok_or_else(no_score)).collect()
    }

    /// Scores pairs and stores their scores after every forward pass.
    fn compute(
        &mut self,
        query: &str,
        pairs: &[(PairKey, &str)],
        on_pairs: &(dyn Fn(usize) + Sync),
    ) -> Result<(), EvalError> {
        let RerankOptions { max_tokens_per_doc, window, .. } = *self.options;
        let documents = pairs.iter().map(|(_, document)| Document::from(*document)).collect();
        let request = Request { max_tokens_per_doc, window, ..Request::new(query, documents) };
        let keys = pairs.iter().map(|(key, _)| *key).collect();
        let recorder = Recorder { keys, last: Instant::now(), cache: &mut *self.cache, failure: None };
        let (recorder, cancel) = (Mutex::new(recorder), CancelToken::default());
        let record = |ranking: Vec<Ranked>| {
            let Ok(mut recorder) = recorder.lock() else { return };
            match recorder.record(&ranking) {
                Ok(scored) => on_pairs(scored),
                Err(error) => {
                    recorder.failure = Some(error);
                    cancel.cancel();
                }
            }
        };
        let control = Control { cancel: cancel.clone(), on_partial: Some(&record), ..Control::default() };
        let response = self.reranker.rerank_with(&request, &control);
        match recorder.into_inner().ok().and_then(|recorder| recorder.failure) {
            Some(failure) => Err(failure),
            None => Ok(response.map(drop)?),
        }
    }
}

/// Stores scores after every forward pass.
struct Recorder<'a> {
    keys: Vec<PairKey>,
    last: Instant,
    cache: &'a mut ScoreCache,
    failure: Option<EvalError>,
}

impl Recorder<'_> {
    /// Stores what is new in `ranking`, each with an equal share of the time since the last pass with something
    /// new; gives the number of documents scored so far.
    fn record(&mut self, ranking: &[Ranked]) -> Result<usize, EvalError> {
        let scored: Vec<(PairKey, f32)> =
            ranking.iter().filter_map(|ranked| Some((self.keys[ranked.index], finite(ranked)?))).collect();
        let new: Vec<_> = scored.iter().filter(|(key, _)| self.cache.get(*key).is_none()).collect();
        if !new.is_empty() {
            let milliseconds = (self.last.elapsed().as_secs_f64() * 1e3 / new.len() as f64) as f32;
            let cached = |&&(key, logit): &&(PairKey, f32)| (key, Cached { logit, milliseconds });
            self.cache.add(&new.iter().map(cached).collect::<Vec<_>>())?;
            self.last = Instant::now();
        }
        Ok(scored.len())
    }
}

fn finite(ranked: &Ranked) -> Option<f32> {
    ranked.logit.filter(|logit| logit.is_finite())
}
