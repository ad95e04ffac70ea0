//! What can be wrong with a collection, a run or the store of scores.

use std::io;

/// An error of reading a collection or of evaluating on it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EvalError {
    /// A file could not be read.
    #[error("cannot read {name}")]
    Read {
        /// The file.
        name: String,
        /// The cause.
        #[source]
        source: io::Error,
    },
    /// A file could not be written.
    #[error("cannot write {name}")]
    Write {
        /// The file.
        name: String,
        /// The cause.
        #[source]
        source: io::Error,
    },
    /// A line that is not what the format asks for.
    #[error("line {line} of {name}: {problem}")]
    Line {
        /// The file.
        name: String,
        /// The line, from 1.
        line: usize,
        /// What is wrong and what is expected.
        problem: String,
    },
    /// A file without anything in it.
    #[error("{name} holds no {what}; is it the right file?")]
    Empty {
        /// The file.
        name: String,
        /// What it should hold.
        what: &'static str,
    },
    /// A language that has no code.
    #[error("language {found:?} is not known; pass an ISO 639 code, such as en, es, de, zh")]
    Language {
        /// As asked for.
        found: String,
    },
    /// An option outside its range.
    #[error("{option} {found} is not possible; pass {expected}")]
    Option {
        /// The option's name.
        option: &'static str,
        /// Its value.
        found: String,
        /// What is possible.
        expected: &'static str,
    },
    /// An identifier that a TREC file cannot hold.
    #[error("identifier {id:?} cannot stand in a TREC run; use identifiers without white space")]
    TrecName {
        /// The identifier.
        id: String,
    },
    /// Another process writes to the same store of scores.
    #[error("{name} is in use by another run; wait for it, or pass another --cache folder")]
    CacheBusy {
        /// The file.
        name: String,
    },
    /// A model whose output is not a number.
    #[error("the model's score is not a number for a document of the query {query:?}; try --dtype f32")]
    NoScore {
        /// The query.
        query: String,
    },
    /// The reranker failed.
    #[error(transparent)]
    Rerank(#[from] crossrank::Error),
}

impl EvalError {
    /// The error's code, stable across versions; those of [`crossrank::Error`] for the reranker's.
    pub fn code(&self) -> &'static str {
        match self {
            EvalError::Rerank(error) => error.code(),
            EvalError::Write { source, .. } | EvalError::Read { source, .. }
                if matches!(source.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded) =>
            {
                "storage_full"
            }
            EvalError::NoScore { .. } => "integrity_mismatch",
            _ => "invalid_input",
        }
    }
}
