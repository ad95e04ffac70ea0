//! The engine: a model on a device, and the loop that runs requests through it.

use std::sync::atomic::{AtomicU64, Ordering};

use crossrank_model::{CrossEncoder, ModelConfig, Precision};
use crossrank_tokenizer::{Limits, PairIds, PairTokenizer, WindowRule};
use tracing::{Instrument, trace_span};

use crate::budget::Budget;
use crate::device::DeviceInfo;
use crate::{
    Control, Error, Job, Languages, LoadOptions, ModelFiles, PairScore, Request, Response, Scheduler,
    ScoreOptions, Warning,
};

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
        pollster::block_on(crate::load::load(files, options).instrument(trace_span!("load")))
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
        let answer = async {
            let job = Job::ranking(self, request, control.cancel.clone())?;
            Ok(self.run(job, control).await?.response(self, request))
        };
        answer.instrument(trace_span!("rerank")).await
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
        let scores = async {
            let job = Job::scoring(self, pairs, options, control.cancel.clone())?;
            Ok(self.run(job, control).await?.scores())
        };
        scores.instrument(trace_span!("score")).await
    }

    /// Runs one job alone.
    async fn run(&self, mut job: Job, control: &Control<'_>) -> Result<Job, Error> {
        while job.tokenize_next(self)? {
            control.wait().await;
        }
        let mut scheduler = Scheduler::new(self);
        scheduler.add(job, ());
        loop {
            let finished = match scheduler.step_async().await.pop() {
                Some(((), job)) => Some(job?),
                None => None,
            };
            for job in finished.iter().chain(scheduler.jobs()) {
                control.report(job);
            }
            control.wait().await;
            if let Some(job) = finished {
                return control.cancel.check().map(|()| job);
            }
        }
    }

    /// The token ids of one pair, special tokens included, cut to `options`.
    ///
    /// # Errors
    /// [`Error::Tokenizer`], and `invalid_input` for a length that leaves no room for text.
    pub fn tokenize(&self, query: &str, document: &str, options: &ScoreOptions) -> Result<PairIds, Error> {
        Ok(self.tokenizer.encode(query, document, &self.limits(options))?)
    }

    pub(crate) fn limits(&self, options: &ScoreOptions) -> Limits {
        let max_length = options.max_length.unwrap_or(usize::MAX).min(self.summary.max_tokens);
        Limits { max_length, truncation: options.truncation, max_query_tokens: None }
    }

    pub(crate) fn language_mismatch(&self, request: &Request, texts: &[String]) -> Option<Warning> {
        let texts = std::iter::once(&request.query).chain(texts).map(String::as_str);
        crate::language::mismatch(self.languages, texts).map(|found| Warning::LanguageMismatch { found })
    }

    /// Tokens per second of the latest forward pass; none before the first.
    pub fn rate(&self) -> Option<f64> {
        let rate = f64::from_bits(self.rate.load(Ordering::Relaxed));
        (rate > 0.0).then_some(rate)
    }

    pub(crate) fn set_rate(&self, tokens_per_second: f64) {
        self.rate.store(tokens_per_second.to_bits(), Ordering::Relaxed);
    }
}
