//! What is asked.

use crossrank_tokenizer::{Truncation, WindowRule};
use serde::Deserialize;

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
    /// What another stage thinks of the documents; nothing is added without it.
    pub boost: Option<Boost>,
    /// Reads most documents by their beginning only; all are read whole without it.
    pub cascade: Option<Cascade>,
}

/// All documents are scored by their beginnings, then the best again, read whole, as all are without a cascade.
///
/// Those kept rank above the others, by the logits that they have without a cascade; the others follow by the
/// logits of their beginnings, which may be higher.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cascade {
    /// Tokens of a document that are read at first.
    #[serde(alias = "maxTokens")]
    pub max_tokens: usize,
    /// Documents that are read whole.
    pub keep: usize,
}

/// Scores of a first stage or of keywords, for terms that the model has not learnt. A document's logit becomes
/// `logit + weight * (score - mean) / deviation`, with the mean and the standard deviation of `scores`.
#[derive(Debug, Clone)]
pub struct Boost {
    /// A score for every document, in their order and on any scale.
    pub scores: Vec<f64>,
    /// What a score of one standard deviation above the mean adds to a logit.
    pub weight: f64,
}

impl Boost {
    /// What is added to each logit; equal scores add nothing.
    pub(crate) fn added(&self) -> Vec<f32> {
        let count = self.scores.len() as f64;
        let mean = self.scores.iter().sum::<f64>() / count;
        let deviation = (self.scores.iter().map(|score| (score - mean).powi(2)).sum::<f64>() / count).sqrt();
        let scale = if deviation > 0.0 { self.weight / deviation } else { 0.0 };
        self.scores.iter().map(|score| (scale * (score - mean)) as f32).collect()
    }

    fn validate(&self, documents: usize) -> Result<(), Error> {
        if self.scores.len() != documents {
            let expected = format!("one score for each of the {documents} documents");
            return Err(option("boost.scores", format!("of length {}", self.scores.len()), &expected));
        }
        match self.scores.iter().chain([&self.weight]).find(|number| !(-1e9..=1e9).contains(*number)) {
            Some(number) => Err(option("boost", number, "numbers from -1e9 to 1e9")),
            None => Ok(()),
        }
    }
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
            boost: None,
            cascade: None,
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
        positive("cascade.max_tokens", self.cascade.map(|cascade| cascade.max_tokens))?;
        positive("cascade.keep", self.cascade.map(|cascade| cascade.keep))?;
        if self.rank_fields.as_ref().is_some_and(Vec::is_empty) {
            return Err(option("rank_fields", "[]", "at least one field, or leave it out"));
        }
        if let Some(boost) = &self.boost {
            boost.validate(self.documents.len())?;
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_boost_adds_its_weight_for_a_standard_deviation() {
        // Mean 4, population standard deviation 2: the scale of the scores does not matter.
        for scale in [1.0, 1000.0] {
            let scores = [2.0, 6.0, 2.0, 6.0].map(|score| score * scale).to_vec();
            assert_eq!(Boost { scores, weight: 1.5 }.added(), [-1.5, 1.5, -1.5, 1.5]);
        }
        assert_eq!(Boost { scores: vec![7.0; 3], weight: 1.5 }.added(), [0.0; 3]);
    }

    #[test]
    fn a_boost_needs_a_finite_score_for_every_document() {
        let code = |scores: &[f64], weight| {
            let boost = Boost { scores: scores.to_vec(), weight };
            boost.validate(2).map_err(|error| error.code())
        };
        assert_eq!(code(&[1.0, 2.0], 1.0), Ok(()));
        for (scores, weight) in
            [(&[1.0][..], 1.0), (&[1.0, f64::NAN], 1.0), (&[1.0, 2.0], f64::INFINITY), (&[1e300, 1.0], 1.0)]
        {
            assert_eq!(code(scores, weight), Err("invalid_input"), "{scores:?} {weight}");
        }
    }
}
