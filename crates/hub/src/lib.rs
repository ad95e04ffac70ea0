//! The models and collections that have a name, and their files on this machine.
//!
//! Files lie where Python's `huggingface_hub` puts them, so each program finds what the other downloaded.

mod cache;
mod client;
mod dataset;
mod download;
mod error;
mod hub;
mod list;
mod pull;
mod reference;
mod repository;

pub use dataset::Dataset;
pub use error::HubError;
pub use hub::{Hub, Progress};
pub use list::{ModelEntry, ModelFile, ModelList};
pub use reference::{ReferenceScore, ReferenceScores};
pub use repository::Repository;
