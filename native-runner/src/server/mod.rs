//! `crossrank serve`: the rerank APIs of Cohere, Jina and TEI over HTTP.
//!
//! [`listen`] takes connections, [`routes`] leads requests past [`access`] to a handler of three lines: a body
//! of [`asked`] is parsed, an [`engine`] runs it, [`answer`] or [`failure`] is sent and counted in [`metrics`].

mod access;
mod answer;
mod asked;
mod engine;
mod failure;
mod listen;
mod metrics;
mod operations;
mod routes;
#[cfg(test)]
mod tests;

use std::sync::atomic::AtomicBool;
use std::sync::{Arc, OnceLock};

use anyhow::Context;
use tracing_subscriber::EnvFilter;

use crate::cli::{LogFormat, ServeArguments};
use access::Access;
use engine::Engine;
use metrics::Metrics;

/// What every handler sees.
pub(crate) struct Server {
    /// Unset until they are loaded.
    engines: OnceLock<Vec<Engine>>,
    access: Access,
    metrics: Metrics,
    arguments: ServeArguments,
    draining: AtomicBool,
}

pub(crate) fn run(arguments: ServeArguments) -> anyhow::Result<()> {
    start_log(&arguments)?;
    crate::model::start_threads(&arguments.engine)?;
    let access = Access::new(&arguments)?;
    let (engines, metrics, draining) = (OnceLock::new(), Metrics::new(), AtomicBool::new(false));
    let server = Arc::new(Server { engines, access, metrics, arguments, draining });
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    runtime.context("cannot start the threads of the server")?.block_on(listen::serve(server))
}

fn start_log(arguments: &ServeArguments) -> anyhow::Result<()> {
    let filter = EnvFilter::try_new(&arguments.log).context("--log is no filter of tracing-subscriber")?;
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    match arguments.log_format {
        LogFormat::Text => log.with_target(false).with_ansi(false).init(),
        LogFormat::Json => log.json().flatten_event(true).with_target(false).init(),
    }
    Ok(())
}

impl Server {
    /// Loads every model of the command line, one after the other.
    fn load(&self) -> anyhow::Result<()> {
        let load = |model: &String| {
            let reranker = crate::model::load_named(model, &self.arguments.engine)?;
            Engine::start(model, reranker, self.arguments.limits.queue_tokens)
        };
        let engines = self.arguments.model.iter().map(load).collect::<anyhow::Result<Vec<_>>>()?;
        let _ = self.engines.set(engines);
        Ok(())
    }

    fn loaded(&self) -> &[Engine] {
        self.engines.get().map_or(&[], Vec::as_slice)
    }
}
