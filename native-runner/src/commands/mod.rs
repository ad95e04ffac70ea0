//! One file per command; each has a `run` that reads, calls the library, and writes.

pub(crate) mod bench;
pub(crate) mod completions;
pub(crate) mod convert;
pub(crate) mod devices;
pub(crate) mod eval;
pub(crate) mod models;
pub(crate) mod pull;
pub(crate) mod rerank;
pub(crate) mod score;
pub(crate) mod tokenize;
pub(crate) mod verify;
