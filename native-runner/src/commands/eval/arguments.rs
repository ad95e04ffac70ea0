//! The flags of `crossrank eval`.

use std::path::PathBuf;
use std::str::FromStr;

use clap::builder::FalseyValueParser;
use clap::{Args, ValueEnum};

use crate::cli::{Dtype, ModelArguments};

/// Measure what reranking brings on your own data
///
/// Searches a collection, reranks what was found, and measures both by trec_eval's rules. A collection is a folder in the
/// BEIR layout: corpus.jsonl, queries.jsonl, qrels/test.tsv; queries may say their "language", and each then has rows of
/// its own. Scores and vectors are kept, so that a second run, and one after an interrupt, reuses them.
#[derive(Debug, Args)]
#[command(arg_required_else_help = true, after_long_help = EXAMPLES)]
pub(crate) struct EvalArguments {
    /// The collection's folder, or the name of one of BEIR's, such as scifact, nfcorpus or fiqa, which is downloaded;
    /// without it runs are measured against --qrels and nothing is reranked
    #[arg(long, env = "CROSSRANK_DATASET", value_name = "DIR|NAME")]
    pub(crate) dataset: Option<PathBuf>,
    /// Which of the collection's judgements: qrels/SPLIT.tsv
    #[arg(long, env = "CROSSRANK_SPLIT", default_value = "test")]
    pub(crate) split: String,
    /// Judgements in TREC's format or BEIR's, in the place of the collection's
    #[arg(long, env = "CROSSRANK_QRELS", value_name = "FILE", required_unless_present_any = ["dataset", "structured"])]
    pub(crate) qrels: Option<PathBuf>,
    /// What finds the documents that are reranked: bm25, dense, hybrid of the two, or run:FILE for a TREC run of yours
    #[arg(long, env = "CROSSRANK_FIRST_STAGE", value_delimiter = ',', default_value = "bm25")]
    pub(crate) first_stage: Vec<FirstStage>,
    /// The sentence encoder of dense and hybrid: a folder of sentence-transformers with mean pooling
    #[arg(long, env = "CROSSRANK_DENSE_MODEL", value_name = "DIR")]
    pub(crate) dense_model: Option<PathBuf>,
    /// A TREC run whose documents are the only ones that bm25 and dense rank
    #[arg(long, env = "CROSSRANK_CANDIDATES", value_name = "FILE")]
    pub(crate) candidates: Option<PathBuf>,
    /// The language whose rules bm25 cuts words by, as an ISO 639 code; each query's own, as detected, without it
    #[arg(long, env = "CROSSRANK_LANGUAGE", value_name = "CODE")]
    pub(crate) language: Option<String>,
    /// Documents of each query that are reranked
    #[arg(long, env = "CROSSRANK_TOP_K", value_name = "N", default_value = "100")]
    pub(crate) top_k: std::num::NonZeroUsize,
    /// Tokens of a document that are read at most
    #[arg(long, env = "CROSSRANK_MAX_TOKENS_PER_DOC", value_name = "N", default_value = "4096")]
    pub(crate) max_tokens_per_doc: std::num::NonZeroUsize,
    /// Measure the first stages only
    #[arg(long, env = "CROSSRANK_NO_RERANK", value_parser = FalseyValueParser::new())]
    pub(crate) no_rerank: bool,
    /// Where scores and vectors are kept; crossrank/scores in the user's cache without it
    #[arg(long, env = "CROSSRANK_CACHE", value_name = "DIR")]
    pub(crate) cache: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) sweeps: SweepArguments,
    #[command(flatten)]
    pub(crate) output: OutputArguments,
    #[command(flatten)]
    pub(crate) model: ModelArguments,
}

const EXAMPLES: &str = "Examples:
  crossrank eval --dataset scifact --top-k 20 --report scifact.html
  crossrank eval --dataset scifact --first-stage run:mine.trec --model bge-v2-m3 --sweep-k 10,20,50,100
  crossrank eval --qrels qrels.txt --first-stage run:a.trec,run:b.trec --format json";

#[derive(Debug, Args)]
#[command(next_help_heading = "Questions")]
pub(crate) struct SweepArguments {
    /// How deep to rerank: measures these depths, those up to --top-k
    #[arg(
        long,
        env = "CROSSRANK_SWEEP_K",
        value_name = "N,…",
        value_delimiter = ',',
        default_value = "5,10,20,50,100,200"
    )]
    pub(crate) sweep_k: Vec<usize>,
    /// What truncation costs: reranks with documents cut to each of these numbers of tokens
    #[arg(long, env = "CROSSRANK_SWEEP_LENGTH", value_name = "N,…", value_delimiter = ',')]
    pub(crate) sweep_length: Vec<std::num::NonZeroUsize>,
    /// What quantization costs: reranks with each of these dtypes
    #[arg(long, env = "CROSSRANK_SWEEP_DTYPE", value_delimiter = ',')]
    pub(crate) sweep_dtype: Vec<Dtype>,
    /// How alike the same facts score as prose, JSON, YAML and a Markdown table, in the place of a collection: JSON
    /// Lines of {"id", "query", "relevant", "prose", "record"}
    #[arg(long, env = "CROSSRANK_STRUCTURED", value_name = "FILE", conflicts_with = "dataset")]
    pub(crate) structured: Option<PathBuf>,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Results")]
pub(crate) struct OutputArguments {
    /// How measures are printed
    #[arg(long, env = "CROSSRANK_FORMAT", default_value = "table")]
    pub(crate) format: EvalFormat,
    /// Write a report with charts that needs no other file
    #[arg(long, env = "CROSSRANK_REPORT", value_name = "FILE.html")]
    pub(crate) report: Option<PathBuf>,
    /// Write every stage's ranking as a TREC run
    #[arg(long, env = "CROSSRANK_RUNS_OUT", value_name = "DIR")]
    pub(crate) runs_out: Option<PathBuf>,
}

/// How measures are printed.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum EvalFormat {
    /// Columns, and what they say in words
    Table,
    /// One JSON object
    Json,
}

/// What finds the documents that are reranked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum FirstStage {
    Bm25,
    Dense,
    Hybrid,
    Run(PathBuf),
}

impl FromStr for FirstStage {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.split_once(':') {
            Some(("run", file)) if !file.is_empty() => Ok(FirstStage::Run(file.into())),
            None if text == "bm25" => Ok(FirstStage::Bm25),
            None if text == "dense" => Ok(FirstStage::Dense),
            None if text == "hybrid" => Ok(FirstStage::Hybrid),
            _ => Err("expected bm25, dense, hybrid or run:FILE".to_owned()),
        }
    }
}

impl FirstStage {
    /// Its name in tables.
    pub(crate) fn name(&self) -> String {
        match self {
            FirstStage::Bm25 => "bm25".to_owned(),
            FirstStage::Dense => "dense".to_owned(),
            FirstStage::Hybrid => "hybrid".to_owned(),
            FirstStage::Run(file) => file
                .file_stem()
                .map_or_else(|| file.display().to_string(), |stem| stem.to_string_lossy().into_owned()),
        }
    }
}
