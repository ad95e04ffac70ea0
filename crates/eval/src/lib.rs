//! What reranking brings on a collection: first stages, trec_eval's measures, significance, a report.

mod analyzer;
mod bm25;
mod calibration;
mod collection;
mod corpus;
mod depth;
mod error;
mod evaluation;
mod findings;
mod fusion;
mod lines;
mod metrics;
mod report;
mod rerank;
mod score_cache;
mod significance;
mod top;
mod trec;
mod warnings;

pub use analyzer::Analyzer;
pub use bm25::{Search, bm25};
pub use calibration::{Bin, Calibration, Threshold};
pub use collection::Collection;
pub use corpus::{Corpus, Text};
pub use depth::{Depth, depth_finding, depths};
pub use error::EvalError;
pub use evaluation::{About, Comparison, Evaluation, RerankerInfo, Row, Speed, Stage, metrics};
pub use findings::{circumstances, threshold_finding, verdict};
pub use fusion::reciprocal_rank_fusion;
pub use metrics::{Judged, Metric, kendall_tau, mean};
pub use report::report;
pub use rerank::{RerankOptions, Reranked, Texts, rerank};
pub use score_cache::{Cached, PairKey, ScoreCache};
pub use significance::{bootstrap_interval, randomisation_test};
pub use trec::{Qrels, Run, Scored, read_qrels, read_run, sort, write_run};
pub use warnings::{Warning, Warnings};
