//! What reranking brings on a collection: first stages, trec_eval's measures, significance, a report.

mod analyzer;
mod bm25;
mod corpus;
mod error;
mod fusion;
mod lines;
mod metrics;
mod significance;
mod top;
mod trec;
mod warnings;

pub use analyzer::Analyzer;
pub use bm25::{Search, bm25};
pub use corpus::{Corpus, Text};
pub use error::EvalError;
pub use fusion::reciprocal_rank_fusion;
pub use metrics::{Judged, Metric, mean};
pub use significance::{bootstrap_interval, randomisation_test};
pub use trec::{Qrels, Run, Scored, read_qrels, read_run, sort, write_run};
pub use warnings::{Warning, Warnings};
