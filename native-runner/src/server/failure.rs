//! What is answered to a request that fails: one body that every client reads, one table of statuses.

use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::json;

use super::metrics::Outcome;
use crate::cohere::request_id;

/// Why a request fails.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    #[error(transparent)]
    Engine(#[from] crossrank::Error),
    #[error("the body is not what this route takes: {problem}")]
    Body { problem: String },
    #[error(
        "the body has more than {max} bytes; send fewer documents, or start the server with a larger --max-body-bytes"
    )]
    BodyTooLarge { max: usize },
    #[error(
        "the body did not arrive within {seconds} seconds; send it faster, or start the server with a larger --read-seconds"
    )]
    BodyTooSlow { seconds: u64 },
    #[error("the body must be JSON; send the header Content-Type: application/json")]
    MediaType,
    #[error("the text is too long where truncation is refused: {problem}")]
    InputTooLong { problem: String },
    #[error("no api key supplied; send the header Authorization: Bearer KEY")]
    NoKey,
    #[error("invalid api token; ask whoever runs this server for a key")]
    WrongKey,
    #[error("requests to the host {host:?} are not answered; start the server with --allowed-hosts {host}")]
    Host { host: String },
    #[error(
        "model '{model}' not found, this server has {loaded}; leave --strict-models out to have any name answered"
    )]
    Model { model: String, loaded: String },
    #[error("there is nothing at {path}; see /docs for what there is")]
    Route { path: String },
    #[error("{path} does not take {method}; see /docs")]
    Method { path: String, method: String },
    #[error("too much is waiting already; try again in {retry_after} seconds")]
    Overloaded { retry_after: u64 },
    #[error("the models are still being loaded; try again in a moment")]
    Loading,
    #[error("the server is shutting down; ask another one")]
    Draining,
}

impl Failure {
    /// What cannot happen unless this program has a bug.
    pub(crate) fn bug(problem: &dyn std::fmt::Display) -> Self {
        Self::Engine(crossrank::Error::Internal { problem: problem.to_string() })
    }

    /// The code, of the same table as the exit statuses of the command line.
    pub(crate) fn code(&self) -> &'static str {
        match self {
            Self::Engine(error) => error.code(),
            Self::Body { .. } => "invalid_body",
            Self::BodyTooLarge { .. } => "body_too_large",
            Self::BodyTooSlow { .. } => "body_too_slow",
            Self::MediaType => "unsupported_media_type",
            Self::InputTooLong { .. } => "input_too_long",
            Self::NoKey | Self::WrongKey => "unauthorized",
            Self::Host { .. } => "host_not_allowed",
            Self::Model { .. } => "model_not_found",
            Self::Route { .. } => "route_not_found",
            Self::Method { .. } => "method_not_allowed",
            Self::Overloaded { .. } => "overloaded",
            Self::Loading | Self::Draining => "not_ready",
        }
    }
}

/// The status and TEI's `error_type` of a code.
fn status(code: &str) -> (StatusCode, &'static str) {
    match code {
        "invalid_input" => (StatusCode::BAD_REQUEST, "Validation"),
        "invalid_body" => (StatusCode::UNPROCESSABLE_ENTITY, "Validation"),
        "input_too_long" => (StatusCode::UNPROCESSABLE_ENTITY, "Validation"),
        "body_too_large" | "out_of_memory" => (StatusCode::PAYLOAD_TOO_LARGE, "Validation"),
        "body_too_slow" => (StatusCode::REQUEST_TIMEOUT, "Validation"),
        "unsupported_media_type" => (StatusCode::UNSUPPORTED_MEDIA_TYPE, "Validation"),
        "unauthorized" => (StatusCode::UNAUTHORIZED, "Unauthorized"),
        "host_not_allowed" => (StatusCode::FORBIDDEN, "Validation"),
        "model_not_found" | "route_not_found" => (StatusCode::NOT_FOUND, "Validation"),
        "method_not_allowed" => (StatusCode::METHOD_NOT_ALLOWED, "Validation"),
        // LlamaIndex multiplies a 5xx to thirty requests, and no client a 429.
        "overloaded" => (StatusCode::TOO_MANY_REQUESTS, "Overloaded"),
        "not_ready" => (StatusCode::SERVICE_UNAVAILABLE, "Unhealthy"),
        _ => (StatusCode::INTERNAL_SERVER_ERROR, "Backend"),
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        let (code, message, id) = (self.code(), self.to_string(), request_id());
        let (status, error_type) = status(code);
        if status.is_server_error() {
            // Its message may quote what was sent.
            tracing::warn!(id, code, "failed");
        }
        // Cohere's clients read `message` and `id`, Jina's `detail`, TEI's `error` and `error_type`.
        let body = json!({
            "id": id, "message": message, "detail": message, "error": message, "error_type": error_type,
            "code": code, "request_id": id,
        });
        let mut response = (status, Json(body)).into_response();
        if let Self::Overloaded { retry_after } = self {
            response.headers_mut().insert(header::RETRY_AFTER, retry_after.into());
        }
        if status == StatusCode::UNAUTHORIZED {
            response.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response.extensions_mut().insert(Outcome { code, ..Outcome::default() });
        response
    }
}
