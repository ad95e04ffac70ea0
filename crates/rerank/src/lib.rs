//! Rerank search results with a cross-encoder that reads query and document together.
//!
//! ```no_run
//! use crossrank::{LoadOptions, ModelFiles, Request, Reranker};
//!
//! let files = ModelFiles::open_folder("path/to/bge-reranker-v2-m3".as_ref())?;
//! let reranker = Reranker::load(files, &LoadOptions::default())?;
//! let documents = vec!["Berlin has 3.5 million inhabitants.".into(), "Berlin has many museums.".into()];
//! let response = reranker.rerank(&Request::new("How many people live in Berlin?", documents))?;
//! for result in response.results {
//!     println!("{} {:?}", result.index, result.score());
//! }
//! # Ok::<(), crossrank::Error>(())
//! ```

mod batch_plan;
mod budget;
mod control;
mod description;
mod device;
mod document;
#[cfg(not(target_family = "wasm"))]
mod embedder;
mod error;
mod guard;
mod job;
mod language;
mod load;
mod pairs;
mod ranking;
mod request;
mod reranker;
mod response;
mod run;
mod stream;

pub use control::{CancelToken, Control, Observer, Pause, Progress};
pub use crossrank_model::Precision;
pub use crossrank_tokenizer::{PairIds, Truncation, WindowRule};
pub use description::Description;
#[cfg(not(target_family = "wasm"))]
pub use device::devices;
pub use device::{DeviceChoice, DeviceInfo, DeviceKind, self_test};
pub use document::Document;
#[cfg(not(target_family = "wasm"))]
pub use embedder::Embedder;
pub use error::Error;
pub use job::Job;
pub use language::Languages;
pub use load::{LoadOptions, ModelFiles};
pub use ranking::sigmoid;
pub use request::{Boost, Cascade, Request, ScoreOptions};
pub use reranker::{ModelSummary, Reranker};
pub use response::{PairScore, Ranked, Response, Usage, Warning};
pub use run::Scheduler;
pub use stream::ModelStream;
