//! Bodies of every API in one shape, and what the engine makes of them. Knows nothing of HTTP: fuzz/ reads it, too.

use std::sync::Arc;

use crossrank::{Boost, Cascade, Document, Request, WindowRule};
use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::cohere::Version;

/// Whose endpoint a request came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Dialect {
    Cohere(Version),
    /// `/rerank`, where TEI's clients send `texts` and all others `documents`.
    Plain,
}

/// A request to rank, with what is no business of the engine.
pub(crate) struct Asked {
    pub(crate) request: Request,
    pub(crate) model: Option<String>,
    pub(crate) dialect: Dialect,
    /// TEI's bare array is asked for.
    pub(crate) bare: bool,
    pub(crate) raw_scores: bool,
    /// Refuse text that does not fit.
    pub(crate) whole: bool,
    pub(crate) has_objects: bool,
    /// An estimate, made before text is tokenized.
    pub(crate) tokens: usize,
}

/// Pairs to score.
pub(crate) struct Pairs {
    pub(crate) pairs: Vec<(Arc<str>, String)>,
    pub(crate) model: Option<String>,
    pub(crate) raw_scores: bool,
    /// An estimate, made before text is tokenized.
    pub(crate) tokens: usize,
}

/// The union of Cohere's v1 and v2, Jina's, vLLM's, Infinity's and TEI's bodies; `null` is absent, unknown
/// fields are ignored. `min_score`, `deadline_ms`, `boost` and `cascade` are ours.
#[derive(Deserialize)]
pub(crate) struct RerankBody {
    model: Option<String>,
    query: Option<String>,
    documents: Option<Vec<Document>>,
    texts: Option<Vec<String>>,
    top_n: Option<usize>,
    rank_fields: Option<Vec<String>>,
    max_tokens_per_doc: Option<usize>,
    max_chunks_per_doc: Option<usize>,
    return_documents: Option<bool>,
    return_text: Option<bool>,
    raw_scores: Option<bool>,
    truncate: Option<bool>,
    truncation: Option<bool>,
    min_score: Option<f64>,
    deadline_ms: Option<u64>,
    boost: Option<BoostBody>,
    cascade: Option<Cascade>,
}

#[derive(Deserialize)]
struct BoostBody {
    scores: Vec<f64>,
    weight: Option<f64>,
}

/// vLLM's body of `/score`: one query for all documents, or one for each.
#[derive(Deserialize)]
pub(crate) struct ScoreBody {
    model: Option<String>,
    #[serde(alias = "text_1", alias = "data_1", alias = "query")]
    queries: Option<OneOrMany>,
    #[serde(alias = "text_2", alias = "data_2", alias = "items")]
    documents: Option<OneOrMany>,
    raw_scores: Option<bool>,
}

#[derive(Deserialize)]
#[serde(untagged, expecting = "expected a string or an array of strings")]
enum OneOrMany {
    One(String),
    Many(Vec<String>),
}

/// A body of JSON, or what is wrong with it and where.
pub(crate) fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, String> {
    let mut json = serde_json::Deserializer::from_slice(bytes);
    let body = serde_path_to_error::deserialize(&mut json).map_err(|error| error.to_string())?;
    json.end().map_err(|error| error.to_string())?;
    Ok(body)
}

impl RerankBody {
    /// The engine's request, and how to answer it; the body had so many `bytes`.
    pub(crate) fn asked(self, dialect: Dialect, bytes: usize) -> Asked {
        let bare = dialect == Dialect::Plain && self.documents.is_none() && self.texts.is_some();
        let texts = self.texts.unwrap_or_default().into_iter().map(Document::Text).collect();
        let documents = self.documents.unwrap_or(texts);
        let has_objects = documents.iter().any(|document| matches!(document, Document::Object(_)));
        // vLLM's 0 is all; Cohere's least is 1, and the engine refuses 0.
        let given = |count: Option<usize>| count.filter(|count| *count > 0 || dialect != Dialect::Plain);
        // Cohere's v1 reads the field `text` unless fields are named.
        let is_v2 = dialect == Dialect::Cohere(Version::V2);
        let text_only = (has_objects && !is_v2).then(|| vec!["text".to_owned()]);
        let whole = self.truncate == Some(false) || self.truncation == Some(false);
        let mut request = Request::new(self.query.unwrap_or_default(), documents);
        request.top_n = given(self.top_n);
        request.rank_fields = self.rank_fields.or(text_only);
        request.max_tokens_per_doc = given(self.max_tokens_per_doc).unwrap_or(request.max_tokens_per_doc);
        request.max_windows_per_doc = self.max_chunks_per_doc;
        request.return_documents = self.return_documents.or(self.return_text).unwrap_or(false);
        request.min_score = self.min_score;
        request.boost =
            self.boost.map(|boost| Boost { scores: boost.scores, weight: boost.weight.unwrap_or(1.0) });
        request.cascade = self.cascade;
        request.deadline_ms = self.deadline_ms;
        request.window = whole.then_some(WindowRule::None);
        let count = request.documents.len();
        let read = (bytes / BYTES_PER_TOKEN).min(count.saturating_mul(request.max_tokens_per_doc));
        Asked {
            tokens: read.saturating_add(tokens_beside(&request.query, count)),
            model: self.model,
            raw_scores: self.raw_scores.unwrap_or(false),
            request,
            dialect,
            bare,
            whole,
            has_objects,
        }
    }
}

impl ScoreBody {
    /// The pairs to score, of a body of so many `bytes`, or why queries and documents do not fit together.
    pub(crate) fn pairs(self, bytes: usize) -> Result<Pairs, String> {
        let many = |texts: Option<OneOrMany>| match texts {
            Some(OneOrMany::Many(texts)) => texts,
            Some(OneOrMany::One(text)) => vec![text],
            None => Vec::new(),
        };
        let documents = many(self.documents);
        // Shared, not copied: a long query beside many documents would fill the memory.
        let mut queries: Vec<Arc<str>> = many(self.queries).into_iter().map(Arc::from).collect();
        let mut tokens = bytes / BYTES_PER_TOKEN;
        if let [query] = queries.as_slice() {
            tokens = tokens.saturating_add(tokens_beside(query, documents.len()));
            queries = vec![Arc::clone(query); documents.len()];
        }
        if queries.len() != documents.len() {
            return Err(format!(
                "{} queries for {} documents; pass one query, or one for each document",
                queries.len(),
                documents.len()
            ));
        }
        Ok(Pairs {
            pairs: queries.into_iter().zip(documents).collect(),
            model: self.model,
            raw_scores: self.raw_scores.unwrap_or(false),
            tokens,
        })
    }
}

/// Of English text; others have fewer.
const BYTES_PER_TOKEN: usize = 4;

/// About as many tokens as a query is read with, beside every one of the documents.
fn tokens_beside(query: &str, documents: usize) -> usize {
    documents.saturating_mul(query.len() / BYTES_PER_TOKEN)
}
