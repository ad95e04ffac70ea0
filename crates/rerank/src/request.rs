//! What is asked.

use crossrank_tokenizer::{Truncation, WindowRule};

use crate::{Document, Error};

/// Cohere's limit on the documents of one request.
const MAX_DOCUMENTS: usize = 10_000;

/// A query, its documents, and how to rank them. The names are Cohere's v2 rerank endpoint's where it has one.
#[derive(Debug, Clone)]
pub struct Request {
    /// What is searched for.
    pub query: String,
    /// The candidates, best of the first stage first.
    pub documents: Vec<Document>,
    /// Results to return; all without it.
    pub top_n: Option<usize>,
    /// The fields of object documents to read, in this order.
    pub rank_fields: Option<Vec<String>>,
    /// Tokens of a document that are read at most; 4,096 is Cohere's default.
    pub max_tokens_per_doc: usize,
    /// Windows of a document that are read at most; all without it.
    pub max_windows_per_doc: Option<usize>,
    /// Whether results carry their documents.
    pub return_documents: bool,
    /// Results with a lower score are left out.
    pub min_score: Option<f64>,
    /// Milliseconds until an answer is due; documents not reached follow the scored ones.
    pub deadline_ms: Option<u64>,
    /// How documents longer than the model's context are split; the model's own rule without it.
    pub window: Option<WindowRule>,
}

impl Request {
    /// A request with every option at its default.
    pub fn new(query: impl Into<String>, documents: Vec<Document>) -> Self {
        Self {
            query: query.into(),
            documents,
            top_n: None,
            rank_fields: None,
            max_tokens_per_doc: 4096,
            max_windows_per_doc: None,
            return_documents: false,
            min_score: None,
            deadline_ms: None,
            window: None,
        }
    }

    pub(crate) fn validate(&self) -> Result<(), Error> {
        if self.query.trim().is_empty() {
            return Err(Error::EmptyQuery);
        }
        if self.documents.is_empty() {
            return Err(Error::NoDocuments);
        }
        if self.documents.len() > MAX_DOCUMENTS {
            return Err(Error::TooManyDocuments { found: self.documents.len(), max: MAX_DOCUMENTS });
        }
        positive("top_n", self.top_n)?;
        positive("max_tokens_per_doc", Some(self.max_tokens_per_doc))?;
        positive("max_windows_per_doc", self.max_windows_per_doc)?;
        if self.rank_fields.as_ref().is_some_and(Vec::is_empty) {
            return Err(option("rank_fields", "[]", "at least one field, or leave it out"));
        }
        match self.min_score {
            Some(score) if !(0.0..=1.0).contains(&score) => {
                Err(option("min_score", score, "a score from 0 to 1"))
            }
            _ => Ok(()),
        }
    }
}

/// How [`crate::Reranker::compute_score`] fits pairs into the model's context.
#[derive(Debug, Clone)]
pub struct ScoreOptions {
    /// Tokens of a pair at most, special tokens included; the model's limit without it.
    pub max_length: Option<usize>,
    /// Which side gives way; Hugging Face's `longest_first` by default.
    pub truncation: Truncation,
}

impl Default for ScoreOptions {
    fn default() -> Self {
        Self { max_length: None, truncation: Truncation::LongestFirst }
    }
}

fn positive(name: &'static str, value: Option<usize>) -> Result<(), Error> {
    match value {
        Some(0) => Err(option(name, 0, "1 or more")),
        _ => Ok(()),
    }
}

pub(crate) fn option(option: &'static str, found: impl ToString, expected: &str) -> Error {
    Error::Option { option, found: found.to_string(), expected: expected.to_owned() }
}
