//! What is asked: a body that arrived within limits and time, parsed, and the engine's request of it.

use std::error::Error as _;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::body::{Body, to_bytes};
use axum::extract::{FromRequest, Request as HttpRequest};
use axum::http::{HeaderMap, header};
use http_body_util::LengthLimitError;
use serde::de::DeserializeOwned;
use tokio::task::spawn_blocking;

use super::Server;
use super::body::{Asked, Dialect, Pairs, RerankBody, ScoreBody, parse};
use super::failure::Failure;

/// Bytes that are parsed where connections are served; more would keep these waiting.
const PARSED_IN_PLACE: usize = 64 << 10;

/// A body that was read and parsed.
pub(crate) struct Parsed<T> {
    body: T,
    bytes: usize,
    arrived: Instant,
    /// Milliseconds of the header `Request-Timeout`, which is in seconds.
    timeout_ms: Option<u64>,
}

impl Parsed<RerankBody> {
    /// The engine's request, and how to answer it.
    pub(crate) fn asked(self, dialect: Dialect, server: &Server) -> Result<Asked, Failure> {
        let mut asked = self.body.asked(dialect, self.bytes);
        check_count(asked.request.documents.len(), server)?;
        let deadline_ms =
            asked.request.deadline_ms.or(self.timeout_ms).or(server.arguments.limits.deadline_ms);
        // The time that the body took to arrive has gone.
        let elapsed_ms = self.arrived.elapsed().as_millis() as u64;
        asked.request.deadline_ms = deadline_ms.map(|ms| ms.saturating_sub(elapsed_ms));
        Ok(asked)
    }
}

impl Parsed<ScoreBody> {
    /// The pairs to score.
    pub(crate) fn pairs(self, server: &Server) -> Result<Pairs, Failure> {
        let pairs = self.body.pairs(self.bytes).map_err(|problem| Failure::Body { problem })?;
        if pairs.pairs.is_empty() {
            return Err(crossrank::Error::NoDocuments.into());
        }
        check_count(pairs.pairs.len(), server)?;
        Ok(pairs)
    }
}

fn check_count(found: usize, server: &Server) -> Result<(), Failure> {
    let max = server.arguments.limits.max_documents;
    if found > max { Err(crossrank::Error::TooManyDocuments { found, max }.into()) } else { Ok(()) }
}

impl<T: DeserializeOwned + Send + 'static> FromRequest<Arc<Server>> for Parsed<T> {
    type Rejection = Failure;

    async fn from_request(request: HttpRequest, server: &Arc<Server>) -> Result<Self, Failure> {
        let (arrived, limits) = (Instant::now(), &server.arguments.limits);
        let (parts, body) = request.into_parts();
        if !is_json(&parts.headers) {
            return Err(Failure::MediaType);
        }
        let json = read(body, limits.max_body_bytes, limits.read_seconds).await?;
        let bytes = json.len();
        let body = match bytes > PARSED_IN_PLACE {
            true => spawn_blocking(move || parse(&json)).await.map_err(|panic| Failure::bug(&panic))?,
            false => parse(&json),
        };
        let body = body.map_err(|problem| Failure::Body { problem })?;
        Ok(Self { body, bytes, arrived, timeout_ms: timeout_ms(&parts.headers) })
    }
}

async fn read(body: Body, max: usize, seconds: u64) -> Result<axum::body::Bytes, Failure> {
    match tokio::time::timeout(Duration::from_secs(seconds), to_bytes(body, max)).await {
        Ok(Ok(bytes)) => Ok(bytes),
        Ok(Err(error)) => {
            let is_length = error.source().is_some_and(|source| source.is::<LengthLimitError>());
            let broken = || Failure::Body { problem: error.to_string() };
            Err(if is_length { Failure::BodyTooLarge { max } } else { broken() })
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
