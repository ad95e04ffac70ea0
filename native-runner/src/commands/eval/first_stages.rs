//! What finds the documents that are reranked.

use std::fs;
use std::path::Path;

use anyhow::{Context, ensure};
use crossrank::{Embedder, LoadOptions, ModelFiles};
use crossrank_eval::{
    Analyzer, Collection, Corpus, Reranked, Run, Search, Stage, VectorCache, bm25, dense, read_run,
    reciprocal_rank_fusion,
};
use indicatif::ProgressBar;
use serde_json::Value;

use super::arguments::FirstStage;
use super::{EvalArguments, stored};
use crate::input::InputError;

/// Every first stage that was asked for: its run read from its file, or `collection` searched.
pub(super) fn first_stages(
    arguments: &EvalArguments,
    collection: Option<(&Collection, &Analyzer)>,
) -> anyhow::Result<Vec<Stage>> {
    let candidates = arguments.candidates.as_deref().map(read_run).transpose()?;
    let mut searches = Searches { arguments, collection, candidates, bm25: None, dense: None };
    let mut stages: Vec<Stage> = Vec::new();
    for stage in &arguments.first_stage {
        let mut name = stage.name();
        // Files of one name in two folders are two stages.
        while stages.iter().any(|other| other.name == name) {
            name.push('\'');
        }
        let reranked = Reranked { run: searches.run(stage)?, ..Reranked::default() };
        stages.push(Stage { name, before: None, reranker: None, reranked });
    }
    Ok(stages)
}

/// Searches of one collection, each made once.
struct Searches<'a> {
    arguments: &'a EvalArguments,
    collection: Option<(&'a Collection, &'a Analyzer)>,
    candidates: Option<Run>,
    bm25: Option<Run>,
    dense: Option<Run>,
}

impl Searches<'_> {
    fn run(&mut self, stage: &FirstStage) -> anyhow::Result<Run> {
        match stage {
            FirstStage::Run(file) => Ok(read_run(file)?),
            FirstStage::Bm25 => self.bm25(),
            FirstStage::Dense => self.dense(),
            FirstStage::Hybrid => {
                let (lexical, dense) = (self.bm25()?, self.dense()?);
                Ok(reciprocal_rank_fusion(&[&lexical, &dense], self.arguments.top_k.get()))
            }
        }
    }

    fn bm25(&mut self) -> anyhow::Result<Run> {
        if let Some(run) = &self.bm25 {
            return Ok(run.clone());
        }
        let (collection, analyzer) = self.collection()?;
        let mut run = Run::new();
        for queries in collection.queries_by_language() {
            let analyzer = match self.arguments.language {
                Some(_) => *analyzer,
                None => Analyzer::detect(queries.values().map(String::as_str)),
            };
            let search = Search { queries: &queries, ..self.search(collection) };
            run.append(&mut bm25(&collection.corpus, &search, &analyzer)?);
        }
        Ok(self.bm25.insert(run).clone())
    }

    fn dense(&mut self) -> anyhow::Result<Run> {
        if let Some(run) = &self.dense {
            return Ok(run.clone());
        }
        let (collection, _) = self.collection()?;
        let hint = "pass the folder of a sentence encoder, for example all-MiniLM-L6-v2";
        let folder = self.arguments.dense_model.as_deref();
        let folder = folder.ok_or(InputError::Missing { flag: "--dense-model", hint })?;
        let (embedder, mut cache) = encoder(folder, &collection.corpus, self.arguments)?;
        // Hidden by indicatif where standard error is no terminal.
        let bar = ProgressBar::new_spinner().with_message("documents embedded");
        let on_documents = |done: usize| bar.set_message(format!("{done} documents embedded"));
        let search = self.search(collection);
        let run = dense(&collection.corpus, &search, &embedder, &mut cache, &on_documents);
        bar.finish_and_clear();
        Ok(self.dense.insert(run?).clone())
    }

    fn collection(&self) -> Result<(&Collection, &Analyzer), InputError> {
        let hint = "pass it for texts to search, or --first-stage run:FILE to measure a run";
        self.collection.ok_or(InputError::Missing { flag: "--dataset", hint })
    }

    fn search<'a>(&'a self, collection: &'a Collection) -> Search<'a> {
        let depth = self.arguments.top_k.get();
        Search { queries: &collection.queries, depth, candidates: self.candidates.as_ref() }
    }
}

/// A folder of sentence-transformers, and the vectors it gave `corpus` before; one that does not pool by the mean would
/// give other vectors here.
fn encoder(
    folder: &Path,
    corpus: &Corpus,
    arguments: &EvalArguments,
) -> anyhow::Result<(Embedder, VectorCache)> {
    let pooling = json(&folder.join("1_Pooling/config.json"))?;
    let is_mean = pooling.is_none_or(|pooling| pooling["pooling_mode_mean_tokens"] == true);
    ensure!(is_mean, InputError::Pooling { model: folder.display().to_string() });
    let max_tokens = json(&folder.join("sentence_bert_config.json"))?
        .and_then(|length| Some(length["max_seq_length"].as_u64()? as usize));
    let device = arguments.model.engine.device.clone();
    let files = ModelFiles::open_folder(folder)?;
    let (name, hash) = (files.name.clone(), stored::fingerprint(&files)?);
    let embedder = Embedder::load(files, &LoadOptions { device, max_tokens, ..LoadOptions::default() })?;
    let key = stored::key(&format!("{hash} {max_tokens:?}"), embedder.device());
    let cache = VectorCache::open(&stored::folder(arguments)?, &format!("{name}-{key}"), corpus)?;
    Ok((embedder, cache))
}

/// The JSON in `path`, if there is such a file.
fn json(path: &Path) -> anyhow::Result<Option<Value>> {
    match fs::read(path) {
        Ok(bytes) => Ok(Some(
            serde_json::from_slice(&bytes).with_context(|| format!("cannot read {}", path.display()))?,
        )),
        Err(_) => Ok(None),
    }
}
