//! Requests run, and their answers in the shape of the API they came by.

use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Json;
use axum::http::{HeaderName, HeaderValue};
use axum::response::{IntoResponse, Response as HttpResponse};
use crossrank::{CancelToken, Job, PairScore, Request, Response, ScoreOptions, Usage};
use serde_json::{Value, json};

use super::Server;
use super::body::{Asked, Dialect, Pairs};
use super::engine::Engine;
use super::failure::Failure;
use super::metrics::Outcome;
use crate::cohere::{self, Version};

/// An answer, and what is counted of it.
pub(crate) struct Answer {
    body: Value,
    outcome: Outcome,
}

impl Server {
    /// Ranks documents.
    pub(crate) async fn rank(&self, mut asked: Asked) -> Result<Answer, Failure> {
        let (engine, substituted) = self.engine(asked.model.as_deref())?;
        let request = Arc::new(std::mem::replace(&mut asked.request, Request::new("", Vec::new())));
        let deadline =
            request.deadline_ms.and_then(|ms| Instant::now().checked_add(Duration::from_millis(ms)));
        let (whole, to_rank) = (asked.whole, Arc::clone(&request));
        let running = engine.run(
            asked.tokens,
            move |reranker, cancel| Ok(Job::ranking(reranker, &to_rank, cancel)?),
            move |job| refuse_cut(job, whole),
        );
        let job = match deadline {
            None => running.await?,
            Some(deadline) => match tokio::time::timeout_at(deadline.into(), running).await {
                Ok(job) => job?,
                // Nothing was scored in time: the first stage's order is the answer.
                Err(_) => Job::ranking(&engine.reranker, &request, CancelToken::default())?,
            },
        };
        // Under a deadline documents are read as they are reached.
        refuse_cut(&job, whole)?;
        let response = job.response(&engine.reranker, &request);
        let mut warnings = cohere::warnings(&response);
        warnings.extend(substituted);
        if asked.has_objects && asked.dialect == Dialect::Cohere(Version::V2) {
            warnings.push("objects_as_yaml: documents that are objects were read as YAML".to_owned());
        }
        let body = body(&asked, &request, &response, warnings, engine.name())?;
        Ok(Answer { body, outcome: outcome(engine, response.usage, request.documents.len()) })
    }

    /// Scores pairs, in vLLM's shape.
    pub(crate) async fn score(&self, asked: Pairs) -> Result<Answer, Failure> {
        let (engine, _) = self.engine(asked.model.as_deref())?;
        let (documents, raw) = (asked.pairs.len(), asked.raw_scores);
        let job = engine.run(
            asked.tokens,
            move |reranker, cancel| {
                Ok(Job::scoring(reranker, &asked.pairs, &ScoreOptions::default(), cancel)?)
            },
            |_| Ok(()),
        );
        let job = job.await?;
        let item = |pair: PairScore| {
            let score = number(if raw { pair.logit.into() } else { pair.score() })?;
            Ok(json!({ "index": pair.index, "object": "score", "score": score }))
        };
        let (usage, data) =
            (job.usage(), job.scores().into_iter().map(item).collect::<Result<Vec<_>, Failure>>()?);
        let body = json!({
            "id": cohere::request_id(), "object": "list", "model": engine.name(), "data": data,
            "usage": cohere::usage_body(usage.tokens),
        });
        Ok(Answer { body, outcome: outcome(engine, usage, documents) })
    }

    /// The model that answers to `name`, and a warning if it is another one.
    fn engine(&self, name: Option<&str>) -> Result<(&Engine, Option<String>), Failure> {
        let engines = self.loaded();
        let first = engines.first().ok_or(Failure::Loading)?;
        let Some(name) = name else { return Ok((first, None)) };
        if let Some(engine) = engines.iter().find(|engine| engine.is_called(name)) {
            return Ok((engine, None));
        }
        if self.arguments.strict_models {
            let loaded = engines.iter().map(Engine::name).collect::<Vec<_>>().join(", ");
            return Err(Failure::Model { model: name.to_owned(), loaded });
        }
        let warning = format!("model_substituted: {name} is not on this server; {} answered", first.name());
        Ok((first, Some(warning)))
    }
}

/// Refuses a job that reads less than all of the text, if it must be `whole`.
fn refuse_cut(job: &Job, whole: bool) -> Result<(), Failure> {
    match job.warnings().first() {
        Some(warning) if whole => Err(Failure::InputTooLong { problem: warning.to_string() }),
        _ => Ok(()),
    }
}

fn body(
    asked: &Asked,
    request: &Request,
    response: &Response,
    warnings: Vec<String>,
    model: &str,
) -> Result<Value, Failure> {
    let score = |result: &crossrank::Ranked| match result.logit {
        Some(logit) if asked.raw_scores => number(logit.into()),
        // What a deadline left out follows what was scored.
        _ => number(result.score().unwrap_or(0.0)),
    };
    let results = response.results.iter();
    if asked.bare {
        let item = |result: &crossrank::Ranked| {
            let mut item = json!({ "index": result.index, "score": score(result)? });
            if request.return_documents {
                item["text"] = json!(request.documents[result.index]);
            }
            Ok(item)
        };
        return results.map(item).collect();
    }
    let results =
        results.map(|result| Ok(cohere::result(result, score(result)?))).collect::<Result<_, Failure>>()?;
    let version = if asked.dialect == Dialect::Cohere(Version::V2) { Version::V2 } else { Version::V1 };
    Ok(cohere::body(&response.usage, results, warnings, model, version))
}

/// A score that JSON can hold.
fn number(score: f64) -> Result<f64, Failure> {
    match score.is_finite() {
        true => Ok(score),
        false => Err(Failure::bug(&format_args!("the model gave the score {score}"))),
    }
}

fn outcome(engine: &Engine, usage: Usage, documents: usize) -> Outcome {
    Outcome { code: "ok", model: engine.name().to_owned(), usage: Some(usage), documents }
}

impl IntoResponse for Answer {
    fn into_response(self) -> HttpResponse {
        let mut response = Json(self.body).into_response();
        let timing = self.outcome.stages().map(|(stage, ms)| format!("{stage};dur={ms:.1}")).join(", ");
        if let Ok(timing) = HeaderValue::try_from(timing) {
            response.headers_mut().insert(HeaderName::from_static("server-timing"), timing);
        }
        response.extensions_mut().insert(self.outcome);
        response
    }
}
