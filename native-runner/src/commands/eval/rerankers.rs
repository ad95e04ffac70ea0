//! Every model, dtype and length that reranks the first stages.

use crossrank::{Languages, Reranker};
use crossrank_eval::{
    EvalError, RerankOptions, Reranked, RerankerInfo, Run, ScoreCache, Stage, Texts, rerank,
};
use indicatif::{ProgressBar, ProgressStyle};

use super::{EvalArguments, stored};
use crate::cli::{Dtype, EngineArguments};
use crate::model::{load_located, locate};

/// The first stages, and behind them every reranker on each of them.
pub(super) fn add(
    arguments: &EvalArguments,
    mut stages: Vec<Stage>,
    texts: Texts<'_>,
) -> anyhow::Result<Vec<Stage>> {
    let first = stages.len();
    let dtypes: Vec<Option<Dtype>> = match &arguments.sweeps.sweep_dtype[..] {
        [] => vec![arguments.model.engine.dtype],
        dtypes => dtypes.iter().copied().map(Some).collect(),
    };
    let lengths = match &arguments.sweeps.sweep_length[..] {
        [] => &[arguments.max_tokens_per_doc],
        lengths => lengths,
    };
    let top_k = arguments.top_k.get();
    for dtype in &dtypes {
        let mut loaded = Loaded::open(arguments, *dtype)?;
        for (before, length) in
            (0..first).flat_map(|before| lengths.iter().map(move |length| (before, length)))
        {
            let mut name = format!("{} > {}", stages[before].name, loaded.reranker.model().name);
            if dtypes.len() > 1 {
                name = format!("{name} {}", loaded.reranker.model().precision.name());
            }
            if lengths.len() > 1 {
                name = format!("{name}, {length} tokens");
            }
            let options = RerankOptions { top_k, max_tokens_per_doc: length.get(), window: None };
            let reranked = loaded.rerank(&name, &stages[before].reranked.run, texts, &options)?;
            let reranker = Some(loaded.info(length.get()));
            stages.push(Stage { name, before: Some(before), reranker, reranked });
        }
    }
    Ok(stages)
}

/// A model, and what it has scored before.
struct Loaded {
    reranker: Reranker,
    languages: Languages,
    cache: ScoreCache,
}

impl Loaded {
    fn open(arguments: &EvalArguments, dtype: Option<Dtype>) -> anyhow::Result<Self> {
        let engine = EngineArguments { dtype, ..arguments.model.engine.clone() };
        let located = locate(&arguments.model.model, &engine.network)?;
        let (hash, languages) = (stored::fingerprint(&located.files)?, located.languages);
        let reranker = load_located(located, &engine)?;
        let summary = reranker.model();
        let key = stored::key(&hash, &summary.device);
        let name = format!("{}-{}-{key}", summary.name, summary.precision.name());
        let cache = ScoreCache::open(&stored::folder(arguments)?, &name)?;
        Ok(Self { reranker, languages, cache })
    }

    fn info(&self, max_tokens_per_doc: usize) -> RerankerInfo {
        let summary = self.reranker.model();
        RerankerInfo {
            model: summary.name.clone(),
            dtype: summary.precision.name(),
            device: format!("{} {}", summary.device.name, summary.device.backend),
            threads: rayon::current_num_threads(),
            english_only: self.languages == Languages::English,
            max_tokens_per_doc,
        }
    }

    /// Reranks behind a bar with the time that is left, hidden by indicatif where standard error is no terminal.
    fn rerank(
        &mut self,
        name: &str,
        first: &Run,
        texts: Texts<'_>,
        options: &RerankOptions,
    ) -> Result<Reranked, EvalError> {
        let template = "{msg} {bar:30} {pos}/{len} pairs, {eta} left";
        let style = ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar());
        let bar = ProgressBar::new(0).with_style(style).with_message(name.to_owned());
        let on_pairs = |done: usize, total: usize| {
            bar.set_length(total as u64);
            bar.set_position(done as u64);
        };
        let reranked = rerank(first, texts, &self.reranker, options, &mut self.cache, &on_pairs);
        bar.finish_and_clear();
        reranked
    }
}
