//! One request on its way through the model.

use std::time::Duration;

use crossrank_tokenizer::PairIds;
use tracing::trace_span;
use web_time::Instant;

use crate::batch_plan::Lane;
use crate::pairs::{Documents, Pairs};
use crate::ranking::order;
use crate::{
    Boost, CancelToken, Error, PairScore, Progress, Ranked, Request, Reranker, Response, ScoreOptions, Usage,
    Warning,
};

/// Documents or pairs that are tokenized at a time.
const TEXTS_AT_ONCE: usize = 32;

/// A request whose text becomes token ids, to be run by a [`crate::Scheduler`].
pub struct Job {
    source: Source,
    pairs: Vec<PairIds>,
    pub(crate) lane: Lane,
    /// What is added to the logit of every document; nothing where it is empty.
    boost: Vec<f32>,
    /// The logit of every pair that is scored, in input order.
    logits: Vec<Option<f32>>,
    started: Instant,
    deadline: Option<Instant>,
    cancel: CancelToken,
    pub(crate) error: Option<Error>,
    usage: Usage,
    tokenizing: Duration,
}

/// What pairs are read from.
enum Source {
    Documents(Box<Documents>),
    Pairs(Pairs),
}

impl Job {
    /// A request to rank documents. Its query is tokenized here, its documents by [`Self::tokenize_next`] or, when
    /// they are reached, by the scheduler.
    ///
    /// # Errors
    /// `invalid_input` errors for the request.
    pub fn ranking(reranker: &Reranker, request: &Request, cancel: CancelToken) -> Result<Self, Error> {
        let started = Instant::now();
        request.validate()?;
        let documents = Documents::new(reranker, request)?;
        let mut job = Self::new(Source::Documents(Box::new(documents)), started, cancel);
        job.boost = request.boost.as_ref().map(Boost::added).unwrap_or_default();
        job.deadline = request.deadline_ms.and_then(|ms| started.checked_add(Duration::from_millis(ms)));
        Ok(job)
    }

    /// A request to score pairs; long pairs are truncated, not split. Their queries are tokenized here, their texts as
    /// documents are.
    ///
    /// # Errors
    /// [`Error::Tokenizer`].
    pub fn scoring(
        reranker: &Reranker,
        pairs: &[(impl AsRef<str>, impl AsRef<str>)],
        options: &ScoreOptions,
        cancel: CancelToken,
    ) -> Result<Self, Error> {
        let started = Instant::now();
        Ok(Self::new(Source::Pairs(Pairs::new(reranker, pairs, options)?), started, cancel))
    }

    /// Tokenizes the next 32 texts on the threads of the current rayon pool, and says whether there are more. Under a
    /// deadline it does nothing: text is read when it is reached.
    ///
    /// # Errors
    /// [`Error::Tokenizer`], [`Error::Cancelled`], and `invalid_input` for a length that leaves no room for text.
    pub fn tokenize_next(&mut self, reranker: &Reranker) -> Result<bool, Error> {
        if self.deadline.is_some() {
            return Ok(false);
        }
        self.cancel.check()?;
        self.read(reranker)
    }

    fn new(source: Source, started: Instant, cancel: CancelToken) -> Self {
        Self {
            source,
            pairs: Vec::new(),
            lane: Lane::default(),
            boost: Vec::new(),
            logits: Vec::new(),
            started,
            deadline: None,
            cancel,
            error: None,
            usage: Usage::default(),
            tokenizing: started.elapsed(),
        }
    }

    /// What was left out of the model's input so far.
    pub fn warnings(&self) -> Vec<Warning> {
        self.documents().map(Documents::warnings).unwrap_or_default()
    }

    /// How far it has come.
    pub fn progress(&self) -> Progress {
        Progress { pairs_done: self.usage.pairs, pairs_total: self.pairs.len() }
    }

    /// The ranking so far, without documents.
    pub fn ranked(&self) -> Vec<Ranked> {
        let logits = self.logits();
        let mut order = order(&logits);
        if let Some(documents) = self.documents() {
            // The sort is stable: without a cascade it changes nothing.
            order.sort_by_cached_key(|&index| !documents.is_kept(index, &self.logits));
        }
        order.into_iter().map(|index| Ranked { index, logit: logits[index], document: None }).collect()
    }

    /// The answer to `request`, which this job was made of.
    pub fn response(&self, reranker: &Reranker, request: &Request) -> Response {
        let ranked = self.ranked();
        let mut warnings = self.warnings();
        let texts = self.documents().map(Documents::texts).unwrap_or_default();
        warnings.extend(reranker.language_mismatch(request, texts));
        let scored = self.documents().map_or(0, |documents| documents.scored(&self.logits));
        let total = ranked.len();
        if scored < total {
            warnings.push(Warning::DeadlineReached { scored, total });
        }
        Response { results: results(request, ranked), warnings, usage: self.usage() }
    }

    /// The score of every pair, in input order.
    pub fn scores(&self) -> Vec<PairScore> {
        let scores = self.logits.iter().zip(&self.pairs).enumerate();
        let score = |(index, (logit, pair)): (usize, (&Option<f32>, &PairIds))| {
            logit.map(|logit| PairScore { index, logit, tokens: pair.ids.len() })
        };
        scores.filter_map(score).collect()
    }

    /// Counts and times so far.
    pub fn usage(&self) -> Usage {
        Usage {
            search_units: self.documents().map_or(0, Documents::search_units),
            tokenize_ms: milliseconds(self.tokenizing),
            elapsed_ms: milliseconds(self.started.elapsed()),
            ..self.usage.clone()
        }
    }

    /// Whether pairs wait and there is time for the next one; under a deadline more are read.
    pub(crate) fn has_work(&mut self, reranker: &Reranker) -> Result<bool, Error> {
        self.cancel.check()?;
        if let Some(error) = self.error.take() {
            return Err(error);
        }
        if self.lane.next_tokens().is_none() {
            self.read(reranker)?;
        }
        if self.lane.next_tokens().is_none() {
            self.keep_best();
        }
        let Some(next) = self.lane.next_tokens() else { return Ok(false) };
        let Some(deadline) = self.deadline else { return Ok(true) };
        let remaining = deadline.saturating_duration_since(Instant::now()).as_secs_f64();
        let tokens = (reranker.rate().unwrap_or(0.0) * remaining) as usize;
        // Half the time that is left: an estimate that is off by two is still in time.
        self.lane.longest_pass = tokens / 2;
        // The first pair is scored in any case: an answer that ranks nothing helps nobody.
        Ok(next <= tokens || self.usage.pairs == 0)
    }

    pub(crate) fn pair(&self, pair: usize) -> &PairIds {
        &self.pairs[pair]
    }

    /// Takes a logit of a pass.
    pub(crate) fn score(&mut self, pair: usize, logit: f32) {
        self.logits[pair] = Some(logit);
        self.usage.pairs += 1;
        self.usage.tokens += self.pairs[pair].ids.len();
    }

    /// Counts a pass that it had a part in.
    pub(crate) fn count_pass(&mut self, elapsed: Duration) {
        self.usage.batches += 1;
        self.usage.compute_ms += milliseconds(elapsed);
    }

    /// Tokenizes the next texts; whether there are more.
    fn read(&mut self, reranker: &Reranker) -> Result<bool, Error> {
        let _span = trace_span!("tokenize").entered();
        let started = Instant::now();
        let tokenizer = &reranker.tokenizer;
        let (pairs, has_more) = match &mut self.source {
            Source::Documents(documents) => (documents.read(tokenizer, TEXTS_AT_ONCE)?, documents.has_more()),
            Source::Pairs(pairs) => (pairs.read(tokenizer, TEXTS_AT_ONCE)?, pairs.has_more()),
        };
        self.add(pairs);
        self.tokenizing += started.elapsed();
        Ok(has_more)
    }

    /// All documents are scored by their beginnings: those that the cascade keeps are read whole.
    fn keep_best(&mut self) {
        let best = order(&self.logits());
        let Source::Documents(documents) = &mut self.source else { return };
        let pairs = documents.keep(&best);
        self.add(pairs);
    }

    fn documents(&self) -> Option<&Documents> {
        match &self.source {
            Source::Documents(documents) => Some(documents),
            Source::Pairs(_) => None,
        }
    }

    fn add(&mut self, pairs: Vec<PairIds>) {
        for pair in pairs {
            self.lane.push(self.pairs.len(), pair.ids.len());
            self.pairs.push(pair);
        }
        self.logits.resize(self.pairs.len(), None);
    }

    /// The logit of every document, or pair, in request order.
    fn logits(&self) -> Vec<Option<f32>> {
        let Some(documents) = self.documents() else { return self.logits.clone() };
        let mut logits = documents.logits(&self.logits);
        for (logit, added) in logits.iter_mut().zip(&self.boost) {
            *logit = logit.map(|logit| logit + added);
        }
        logits
    }
}

/// The part of a ranking that the request asks for.
fn results(request: &Request, mut results: Vec<Ranked>) -> Vec<Ranked> {
    if let Some(min_score) = request.min_score {
        results.retain(|result| result.score().is_none_or(|score| score >= min_score));
    }
    results.truncate(request.top_n.unwrap_or(usize::MAX));
    if request.return_documents {
        results.iter_mut().for_each(|result| result.document = Some(request.documents[result.index].clone()));
    }
    results
}

fn milliseconds(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e3
}
