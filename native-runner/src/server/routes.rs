//! Paths, and the handlers behind them.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::{Request, State};
use axum::http::header::{AUTHORIZATION, CONTENT_TYPE, HeaderName, HeaderValue, RETRY_AFTER, USER_AGENT};
use axum::http::{Method, Uri};
use axum::middleware::from_fn_with_state;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use tower_http::cors::CorsLayer;

use super::Server;
use super::answer::Answer;
use super::asked::Parsed;
use super::body::{Dialect, RerankBody, ScoreBody};
use super::failure::Failure;
use super::{access, metrics, operations};
use crate::cohere::Version;
use crate::input::InputError;

type Shared = State<Arc<Server>>;

/// Paths of Cohere's v2, and what its clients make of a base URL that ends in a version already.
pub(super) const RERANK_V2: [&str; 3] = ["/v2/rerank", "/v1/v2/rerank", "/v2/v2/rerank"];
/// Paths of Cohere's v1, which are also Jina's and vLLM's.
pub(super) const RERANK_V1: [&str; 3] = ["/v1/rerank", "/v1/v1/rerank", "/v2/v1/rerank"];
/// Paths without a version: Infinity, TEI and its hosts, llama.cpp.
pub(super) const RERANK: [&str; 5] = ["/rerank", "/reranking", "/v1/reranking", "/invocations", "/"];
pub(super) const SCORE: [&str; 2] = ["/score", "/v1/score"];
/// Answers from what the server holds.
type Read = fn(&Server) -> Response;

/// Paths that are only read.
pub(super) const READ: [(&str, Read); 11] = [
    ("/", |server| server.ready().into_response()),
    ("/health", |server| server.ready().into_response()),
    ("/health/ready", |server| server.ready().into_response()),
    ("/ping", |server| server.ready().into_response()),
    ("/health/live", |server| server.live().into_response()),
    ("/info", |server| server.info().into_response()),
    ("/models", |server| server.models().into_response()),
    ("/v1/models", |server| server.models().into_response()),
    ("/metrics", operations::metrics),
    ("/openapi.json", |_| operations::openapi().into_response()),
    ("/docs", |_| operations::docs()),
];

async fn rerank(server: Arc<Server>, asked: Parsed<RerankBody>, dialect: Dialect) -> Result<Answer, Failure> {
    let asked = asked.asked(dialect, &server)?;
    server.rank(asked).await
}

async fn score(State(server): Shared, asked: Parsed<ScoreBody>) -> Result<Answer, Failure> {
    let pairs = asked.pairs(&server)?;
    server.score(pairs).await
}

async fn no_route(uri: Uri) -> Failure {
    Failure::Route { path: uri.path().to_owned() }
}

async fn no_method(request: Request) -> Failure {
    Failure::Method { path: request.uri().path().to_owned(), method: request.method().to_string() }
}

/// The service of every connection.
///
/// # Errors
/// An origin that is none.
pub(crate) fn app(server: &Arc<Server>) -> Result<Router, InputError> {
    let mut app = Router::new();
    let rerank_as = |dialect| {
        post(move |State(server): Shared, asked: Parsed<RerankBody>| rerank(server, asked, dialect))
    };
    for (paths, dialect) in [
        (&RERANK_V2[..], Dialect::Cohere(Version::V2)),
        (&RERANK_V1[..], Dialect::Cohere(Version::V1)),
        (&RERANK[..], Dialect::Plain),
    ] {
        app = paths.iter().fold(app, |app, path| app.route(path, rerank_as(dialect)));
    }
    app = SCORE.iter().fold(app, |app, path| app.route(path, post(score)));
    app = READ.iter().fold(app, |app, &(path, read)| {
        app.route(path, get(async move |State(server): Shared| read(&server)))
    });
    let app = app
        .fallback(no_route)
        .method_not_allowed_fallback(no_method)
        .layer(from_fn_with_state(Arc::clone(server), access::check))
        .layer(from_fn_with_state(Arc::clone(server), metrics::watch));
    let app = match cors(&server.arguments.access.cors_origins)? {
        Some(cors) => app.layer(cors),
        None => app,
    };
    Ok(app.with_state(Arc::clone(server)))
}

/// What a browser must be told before its page may call; none unless origins are named.
fn cors(origins: &[String]) -> Result<Option<CorsLayer>, InputError> {
    if origins.is_empty() {
        return Ok(None);
    }
    let origins: Vec<HeaderValue> = origins
        .iter()
        .map(|origin| {
            let problem =
                |_| InputError::Flag { flag: "--cors-origins", problem: format!("{origin} is no origin") };
            origin.parse().map_err(problem)
        })
        .collect::<Result<_, _>>()?;
    // Cohere's SDK sends these from a page.
    let fern = [
        "x-client-name",
        "x-fern-language",
        "x-fern-runtime",
        "x-fern-runtime-version",
        "x-fern-sdk-name",
        "x-fern-sdk-version",
        "request-timeout",
    ];
    let headers =
        fern.map(HeaderName::from_static).into_iter().chain([AUTHORIZATION, CONTENT_TYPE, USER_AGENT]);
    let cors = CorsLayer::new()
        .allow_origin(origins)
        .allow_methods([Method::GET, Method::POST])
        .allow_headers(headers.collect::<Vec<_>>())
        .expose_headers([RETRY_AFTER, HeaderName::from_static("server-timing")])
        .max_age(Duration::from_secs(600));
    Ok(Some(cors))
}
