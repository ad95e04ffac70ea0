//! What is answered.

use std::fmt;

use crate::{Document, ranking::sigmoid};

/// The ranking, and what it took.
#[derive(Debug, Clone)]
pub struct Response {
    /// Best first; documents that the deadline left unscored follow in request order.
    pub results: Vec<Ranked>,
    /// What the caller should know about this answer.
    pub warnings: Vec<Warning>,
    /// Counts and times.
    pub usage: Usage,
}

/// One document's place in the ranking.
#[derive(Debug, Clone, PartialEq)]
pub struct Ranked {
    /// Its place in the request.
    pub index: usize,
    /// The model's raw output, the number that is sorted by; `None` if the deadline came first.
    pub logit: Option<f32>,
    /// The document, if asked for.
    pub document: Option<Document>,
}

impl Ranked {
    /// The sigmoid of the logit, in 0..=1; `None` if the deadline came first.
    pub fn score(&self) -> Option<f64> {
        self.logit.map(sigmoid)
    }
}

/// One pair's score, from [`crate::Reranker::compute_score`].
#[derive(Debug, Clone, PartialEq)]
pub struct PairScore {
    /// Its place in the input.
    pub index: usize,
    /// The model's raw output.
    pub logit: f32,
    /// Tokens that were read, special tokens included.
    pub tokens: usize,
}

impl PairScore {
    /// The sigmoid of the logit, in 0..=1.
    pub fn score(&self) -> f64 {
        sigmoid(self.logit)
    }
}

/// Something about an answer that a caller may want to act on.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Warning {
    /// The text is not in a language the model was trained on.
    LanguageMismatch {
        /// What the text looks like: a language or a script.
        found: String,
    },
    /// The deadline came before every document was scored.
    DeadlineReached {
        /// Documents scored.
        scored: usize,
        /// Documents in the request.
        total: usize,
    },
    /// The query was longer than its share of the model's context and lost its end.
    QueryTruncated {
        /// Tokens that were read.
        tokens: usize,
    },
    /// Documents were longer than `max_tokens_per_doc`, or than the context without windows.
    DocumentsTruncated {
        /// How many.
        documents: usize,
    },
}

impl Warning {
    /// The warning's code, stable across versions.
    pub fn code(&self) -> &'static str {
        match self {
            Warning::LanguageMismatch { .. } => "language_mismatch",
            Warning::DeadlineReached { .. } => "deadline_reached",
            Warning::QueryTruncated { .. } => "query_truncated",
            Warning::DocumentsTruncated { .. } => "documents_truncated",
        }
    }
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Warning::LanguageMismatch { found } => write!(
                f,
                "the text looks like {found}, which this English model was not trained on; use a multilingual model"
            ),
            Warning::DeadlineReached { scored, total } => {
                write!(
                    f,
                    "the deadline came after {scored} of {total} documents; the others keep their order"
                )
            }
            Warning::QueryTruncated { tokens } => {
                write!(f, "only the first {tokens} tokens of the query were read")
            }
            Warning::DocumentsTruncated { documents } => {
                write!(
                    f,
                    "{documents} documents were not read to their end; raise max_tokens_per_doc to read more"
                )
            }
        }
    }
}

/// What a request took.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Usage {
    /// Tokens that went through the model, special tokens included.
    pub tokens: usize,
    /// Pairs that went through the model: a document has one for each of its windows.
    pub pairs: usize,
    /// Forward passes.
    pub batches: usize,
    /// Cohere's billing unit: a query with up to 100 documents of up to 500 tokens.
    pub search_units: usize,
    /// Milliseconds of turning text into tokens.
    pub tokenize_ms: f64,
    /// Milliseconds of the forward passes.
    pub compute_ms: f64,
    /// Milliseconds of the whole request.
    pub elapsed_ms: f64,
}
