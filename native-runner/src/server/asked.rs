//! What is asked: bodies of every API in one shape, and what the engine makes of them.

use std::error::Error as _;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::body::{Body, to_bytes};
use axum::extract::{FromRequest, Request as HttpRequest};
use axum::http::{HeaderMap, header};
use crossrank::{Boost, Cascade, Document, Request, WindowRule};
use http_body_util::LengthLimitError;
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::Server;
use super::failure::Failure;
use crate::cohere::Version;

/// Whose endpoint a request came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Dialect {
    Cohere(Version),
    /// `/rerank`, where TEI's clients send `texts` and all others `documents`.
    Plain,
}

/// A body that was read and parsed.
pub(crate) struct Parsed<T> {
    body: T,
    bytes: usize,
    arrived: Instant,
    /// Milliseconds of the header `Request-Timeout`, which is in seconds.
    timeout_ms: Option<u64>,
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
    pub(crate) model: Option<String>,
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

impl Parsed<RerankBody> {
    /// The engine's request, and how to answer it.
    pub(crate) fn asked(self, dialect: Dialect, server: &Server) -> Result<Asked, Failure> {
        let Self { body, bytes, arrived, timeout_ms } = self;
        let bare = dialect == Dialect::Plain && body.documents.is_none() && body.texts.is_some();
        let texts = body.texts.unwrap_or_default().into_iter().map(Document::Text).collect();
        let documents = body.documents.unwrap_or(texts);
        check_count(documents.len(), server)?;
        let has_objects = documents.iter().any(|document| matches!(document, Document::Object(_)));
        // vLLM's 0 is all; Cohere's least is 1, and the engine refuses 0.
        let given = |count: Option<usize>| count.filter(|count| *count > 0 || dialect != Dialect::Plain);
        // Cohere's v1 reads the field `text` unless fields are named.
        let is_v2 = dialect == Dialect::Cohere(Version::V2);
        let text_only = (has_objects && !is_v2).then(|| vec!["text".to_owned()]);
        let whole = body.truncate == Some(false) || body.truncation == Some(false);
        let mut request = Request::new(body.query.unwrap_or_default(), documents);
        request.top_n = given(body.top_n);
        request.rank_fields = body.rank_fields.or(text_only);
        request.max_tokens_per_doc = given(body.max_tokens_per_doc).unwrap_or(request.max_tokens_per_doc);
        request.max_windows_per_doc = given(body.max_chunks_per_doc);
        request.return_documents = body.return_documents.or(body.return_text).unwrap_or(false);
        request.min_score = body.min_score;
        request.boost =
            body.boost.map(|boost| Boost { scores: boost.scores, weight: boost.weight.unwrap_or(1.0) });
        request.cascade = body.cascade;
        let deadline_ms = body.deadline_ms.or(timeout_ms).or(server.arguments.limits.deadline_ms);
        // The time that the body took to arrive has gone.
        request.deadline_ms = deadline_ms.map(|ms| ms.saturating_sub(arrived.elapsed().as_millis() as u64));
        request.window = whole.then_some(WindowRule::None);
        Ok(Asked {
            tokens: tokens(bytes, request.documents.len(), &request.query, request.max_tokens_per_doc),
            model: body.model,
            raw_scores: body.raw_scores.unwrap_or(false),
            request,
            dialect,
            bare,
            whole,
            has_objects,
        })
    }
}

/// Pairs to score.
pub(crate) struct Pairs {
    pub(crate) pairs: Vec<(String, String)>,
    pub(crate) model: Option<String>,
    pub(crate) raw_scores: bool,
    pub(crate) tokens: usize,
}

impl Parsed<ScoreBody> {
    /// The pairs to score.
    pub(crate) fn pairs(self, server: &Server) -> Result<Pairs, Failure> {
        let body = self.body;
        let many = |texts: Option<OneOrMany>| match texts {
            Some(OneOrMany::Many(texts)) => texts,
            Some(OneOrMany::One(text)) => vec![text],
            None => Vec::new(),
        };
        let (mut queries, documents) = (many(body.queries), many(body.documents));
        if documents.is_empty() {
            return Err(crossrank::Error::NoDocuments.into());
        }
        if let ([query], false) = (queries.as_slice(), documents.len() == 1) {
            queries = vec![query.clone(); documents.len()];
        }
        if queries.len() != documents.len() {
            let problem = format!(
                "{} queries for {} documents; pass one query, or one for each document",
                queries.len(),
                documents.len()
            );
            return Err(Failure::Body { problem });
        }
        check_count(documents.len(), server)?;
        Ok(Pairs {
            pairs: queries.into_iter().zip(documents).collect(),
            model: body.model,
            raw_scores: body.raw_scores.unwrap_or(false),
            tokens: self.bytes / BYTES_PER_TOKEN,
        })
    }
}

/// Of English text; others have fewer.
const BYTES_PER_TOKEN: usize = 4;

/// About as many tokens as a ranking goes through the model with, its query beside every document.
fn tokens(bytes: usize, documents: usize, query: &str, max_tokens_per_doc: usize) -> usize {
    let read = (bytes / BYTES_PER_TOKEN).min(documents.saturating_mul(max_tokens_per_doc));
    read.saturating_add(documents * (query.len() / BYTES_PER_TOKEN))
}

fn check_count(found: usize, server: &Server) -> Result<(), Failure> {
    let max = server.arguments.limits.max_documents;
    if found > max { Err(crossrank::Error::TooManyDocuments { found, max }.into()) } else { Ok(()) }
}

impl<T: DeserializeOwned> FromRequest<Arc<Server>> for Parsed<T> {
    type Rejection = Failure;

    async fn from_request(request: HttpRequest, server: &Arc<Server>) -> Result<Self, Failure> {
        let (arrived, limits) = (Instant::now(), &server.arguments.limits);
        let (parts, body) = request.into_parts();
        if !is_json(&parts.headers) {
            return Err(Failure::MediaType);
        }
        let bytes = read(body, limits.max_body_bytes, limits.read_seconds).await?;
        let mut json = serde_json::Deserializer::from_slice(&bytes);
        let body =
            serde_path_to_error::deserialize(&mut json).map_err(|error| problem(&error.to_string()))?;
        json.end().map_err(|error| problem(&error.to_string()))?;
        Ok(Self { body, bytes: bytes.len(), arrived, timeout_ms: timeout_ms(&parts.headers) })
    }
}

fn problem(problem: &str) -> Failure {
    Failure::Body { problem: problem.to_owned() }
}

async fn read(body: Body, max: usize, seconds: u64) -> Result<axum::body::Bytes, Failure> {
    match tokio::time::timeout(Duration::from_secs(seconds), to_bytes(body, max)).await {
        Ok(Ok(bytes)) => Ok(bytes),
        Ok(Err(error)) => {
            let is_length = error.source().is_some_and(|source| source.is::<LengthLimitError>());
            Err(if is_length { Failure::BodyTooLarge { max } } else { problem(&error.to_string()) })
        }
        Err(_) => Err(Failure::BodyTooSlow { seconds }),
    }
}

/// A page of another origin can send anything else without asking first.
fn is_json(headers: &HeaderMap) -> bool {
    let kind = headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    let kind = kind.split(';').next().unwrap_or_default().trim();
    kind.eq_ignore_ascii_case("application/json")
}

fn timeout_ms(headers: &HeaderMap) -> Option<u64> {
    let seconds: f64 = headers.get("request-timeout")?.to_str().ok()?.trim().parse().ok()?;
    (seconds.is_finite() && seconds > 0.0).then_some((seconds * 1e3) as u64)
}
