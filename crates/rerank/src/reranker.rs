//! The engine: a model on a device, and the loop that runs requests through it.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crossrank_model::{CrossEncoder, ModelConfig, Precision};
use crossrank_tokenizer::{Limits, PairIds, PairTokenizer, WindowRule};
use rayon::prelude::*;
use web_time::Instant;

use crate::budget::Budget;
use crate::device::DeviceInfo;
use crate::pairs::{Documents, texts};
use crate::ranking::order;
use crate::run::Run;
use crate::{
    Control, Error, Languages, LoadOptions, ModelFiles, PairScore, Ranked, Request, Response, ScoreOptions,
    Usage, Warning,
};

/// Documents that are tokenized at a time where time is short.
const DOCUMENTS_AT_ONCE: usize = 32;

/// A cross-encoder that is ready to rank. Shared between threads by reference.
pub struct Reranker {
    pub(crate) model: CrossEncoder,
    pub(crate) tokenizer: PairTokenizer,
    pub(crate) summary: ModelSummary,
    pub(crate) budget: Budget,
    pub(crate) window: WindowRule,
    pub(crate) languages: Languages,
    /// Tokens per second of the latest forward passes, as f64 bits; 0 before the first.
    pub(crate) rate: AtomicU64,
}

/// What a loaded model is.
#[derive(Debug, Clone)]
pub struct ModelSummary {
    /// Its name.
    pub name: String,
    /// Its dimensions.
    pub config: ModelConfig,
    /// Tokens of the longest pair, special tokens included.
    pub max_tokens: usize,
    /// Bytes of its weight files.
    pub weight_bytes: u64,
    /// How its weights are kept.
    pub precision: Precision,
    /// Where it runs.
    pub device: DeviceInfo,
}

impl Reranker {
    /// Loads a model onto a device.
    ///
    /// # Errors
    /// [`Error::Model`] for a configuration or weights that are not supported or do not fit together,
    /// [`Error::Tokenizer`] and [`Error::TokenizerMismatch`], [`Error::DeviceUnavailable`],
    /// [`Error::ModelTooLarge`].
    pub fn load(files: ModelFiles, options: &LoadOptions) -> Result<Self, Error> {
        pollster::block_on(crate::load::load(files, options))
    }

    /// What was loaded.
    pub fn model(&self) -> &ModelSummary {
        &self.summary
    }

    /// Bytes of device memory in use, on devices that count them: a GPU.
    pub fn device_bytes_in_use(&self) -> Option<u64> {
        self.model.device_bytes_in_use()
    }

    /// Kernels that its GPU was given so far; 0 on a CPU.
    pub fn device_launches(&self) -> u64 {
        self.model.device_launches()
    }

    /// Ranks the documents of a request, best first.
    ///
    /// # Errors
    /// `invalid_input` errors for the request, [`Error::OutOfMemory`] when one pair alone exceeds the
    /// budget, [`Error::Model`] when the device fails.
    pub fn rerank(&self, request: &Request) -> Result<Response, Error> {
        self.rerank_with(request, &Control::default())
    }

    /// [`Self::rerank`], followed and stopped through `control`.
    ///
    /// # Errors
    /// As [`Self::rerank`], and [`Error::Cancelled`].
    pub fn rerank_with(&self, request: &Request, control: &Control<'_>) -> Result<Response, Error> {
        pollster::block_on(self.rerank_async(request, control))
    }

    /// [`Self::rerank_with`] for callers that must not block, as in a browser.
    ///
    /// # Errors
    /// As [`Self::rerank_with`].
    pub async fn rerank_async(&self, request: &Request, control: &Control<'_>) -> Result<Response, Error> {
        let started = Instant::now();
        request.validate()?;
        let texts = texts(request)?;
        let deadline = request.deadline_ms.map(|ms| started + Duration::from_millis(ms));
        // Under a deadline documents are tokenized as they are reached.
        let at_once = if deadline.is_some() { DOCUMENTS_AT_ONCE } else { texts.len() };
        let rule = request.window.unwrap_or(self.window);
        let mut documents = Documents::new(&self.tokenizer, request, &texts, rule, self.summary.max_tokens)?;
        let mut tokenizing = started.elapsed();
        let mut run = Run::new(self, deadline);
        loop {
            if run.is_idle() {
                let reading = Instant::now();
                run.add(documents.read(at_once)?);
                tokenizing += reading.elapsed();
            }
            if !run.step(control).await? {
                break;
            }
            if let Some(report) = control.on_partial {
                report(ranked(&documents.logits(&run.logits)));
            }
        }
        let logits = documents.logits(&run.logits);
        let mut warnings = documents.warnings();
        warnings.extend(self.language_mismatch(request, &texts));
        let (scored, total) = (logits.iter().flatten().count(), texts.len());
        if scored < total {
            warnings.push(Warning::DeadlineReached { scored, total });
        }
        let usage = Usage {
            search_units: documents.search_units(),
            tokenize_ms: milliseconds(tokenizing),
            elapsed_ms: milliseconds(started.elapsed()),
            ..run.usage()
        };
        Ok(Response { results: results(request, &logits), warnings, usage })
    }

    /// The logit of every pair, in input order; long pairs are truncated, not split.
    ///
    /// # Errors
    /// As [`Self::rerank`].
    pub fn compute_score(
        &self,
        pairs: &[(String, String)],
        options: &ScoreOptions,
    ) -> Result<Vec<PairScore>, Error> {
        pollster::block_on(self.compute_score_async(pairs, options, &Control::default()))
    }

    /// [`Self::compute_score`], followed and stopped through `control`, for callers that must not block.
    ///
    /// # Errors
    /// As [`Self::compute_score`], and [`Error::Cancelled`].
    pub async fn compute_score_async(
        &self,
        pairs: &[(String, String)],
        options: &ScoreOptions,
        control: &Control<'_>,
    ) -> Result<Vec<PairScore>, Error> {
        let pairs: Vec<PairIds> = pairs
            .par_iter()
            .map(|(query, document)| self.tokenize(query, document, options))
            .collect::<Result<_, _>>()?;
        let lengths: Vec<usize> = pairs.iter().map(|pair| pair.ids.len()).collect();
        let mut run = Run::new(self, None);
        run.add(pairs);
        while run.step(control).await? {}
        let scores = run.logits.iter().zip(lengths).enumerate();
        Ok(scores
            .filter_map(|(index, (logit, tokens))| logit.map(|logit| PairScore { index, logit, tokens }))
            .collect())
    }

    /// The token ids of one pair, special tokens included, cut to `options`.
    ///
    /// # Errors
    /// [`Error::Tokenizer`], and `invalid_input` for a length that leaves no room for text.
    pub fn tokenize(&self, query: &str, document: &str, options: &ScoreOptions) -> Result<PairIds, Error> {
        let max_length = options.max_length.unwrap_or(usize::MAX).min(self.summary.max_tokens);
        let limits = Limits { max_length, truncation: options.truncation, max_query_tokens: None };
        Ok(self.tokenizer.encode(query, document, &limits)?)
    }

    fn language_mismatch(&self, request: &Request, texts: &[String]) -> Option<Warning> {
        let texts = std::iter::once(&request.query).chain(texts).map(String::as_str);
        crate::language::mismatch(self.languages, texts).map(|found| Warning::LanguageMismatch { found })
    }

    /// Tokens per second of the latest forward pass; none before the first.
    pub(crate) fn rate(&self) -> Option<f64> {
        let rate = f64::from_bits(self.rate.load(Ordering::Relaxed));
        (rate > 0.0).then_some(rate)
    }

    pub(crate) fn set_rate(&self, tokens_per_second: f64) {
        self.rate.store(tokens_per_second.to_bits(), Ordering::Relaxed);
    }
}

/// The part of a ranking that the request asks for.
fn results(request: &Request, logits: &[Option<f32>]) -> Vec<Ranked> {
    let mut results = ranked(logits);
    if let Some(min_score) = request.min_score {
        results.retain(|result| result.score().is_none_or(|score| score >= min_score));
    }
    results.truncate(request.top_n.unwrap_or(usize::MAX));
    if request.return_documents {
        results.iter_mut().for_each(|result| result.document = Some(request.documents[result.index].clone()));
    }
    results
}

fn ranked(logits: &[Option<f32>]) -> Vec<Ranked> {
    order(logits).into_iter().map(|index| Ranked { index, logit: logits[index], document: None }).collect()
}

pub(crate) fn milliseconds(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e3
}
