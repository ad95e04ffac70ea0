//! Every model, dtype and length that reranks the first stages.

use std::path::PathBuf;

use anyhow::Context;
use crossrank::{Description, Languages, ModelFiles, Reranker};
use crossrank_eval::{
    EvalError, RerankOptions, Reranked, RerankerInfo, Run, ScoreCache, Stage, Texts, rerank,
};
use indicatif::{ProgressBar, ProgressStyle};
use sha2::{Digest, Sha256};

use super::EvalArguments;
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
        let (hash, languages) = (fingerprint(&located.files)?, located.languages);
        let reranker = load_located(located, &engine)?;
        let summary = reranker.model();
        // Another device or other vector instructions give other last digits.
        let scores = format!("{hash} {} {}", summary.device.name, summary.device.backend);
        let name =
            format!("{}-{}-{}", summary.name, summary.precision.name(), hex(&Sha256::digest(scores)[..8]));
        let folder = match &arguments.cache {
            Some(folder) => folder.clone(),
            None => default_cache().context("there is no home folder to keep scores in; pass --cache DIR")?,
        };
        Ok(Self { reranker, languages, cache: ScoreCache::open(&folder, &name)? })
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

fn default_cache() -> Option<PathBuf> {
    let set = std::env::var_os("XDG_CACHE_HOME").filter(|folder| !folder.is_empty()).map(PathBuf::from);
    let cache = set.or_else(|| Some(std::env::home_dir()?.join(".cache")))?;
    Some(cache.join("crossrank/scores"))
}

/// A hash of what decides a model's scores: configuration, tokenizer and weights.
fn fingerprint(files: &ModelFiles) -> anyhow::Result<String> {
    let mut hash = Sha256::new();
    if let Description::HuggingFace { config_json, tokenizer_json } = &files.description {
        hash.update(config_json);
        hash.update(tokenizer_json);
    }
    for (name, form, shape) in files.checkpoint.tensors() {
        hash.update(format!("{name} {form:?} {shape:?} "));
        hash.update(files.checkpoint.bytes(name).map_err(crossrank::Error::from)?);
    }
    Ok(hex(&hash.finalize()))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
