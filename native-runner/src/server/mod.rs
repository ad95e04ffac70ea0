//! `crossrank serve`: the rerank APIs of Cohere, Jina and TEI over HTTP.
//!
//! [`listen`] takes connections, [`routes`] leads requests past [`access`] to a handler of three lines: what is
//! [`asked`] is read and its [`body`] parsed, an [`engine`] runs it, [`answer`] or [`failure`] is sent and counted in
//! [`metrics`].

mod access;
mod answer;
mod asked;
mod body;
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
use crate::input::InputError;
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

/// Serves until a signal to end.
///
/// # Errors
/// Flags that are not possible, an address that cannot be listened on, and those of loading models.
pub(crate) fn run(arguments: ServeArguments) -> anyhow::Result<()> {
    start_log(&arguments)?;
    crate::model::start_threads(&arguments.engine)?;
    let access = Access::new(&arguments)?;
    let (engines, metrics, draining) = (OnceLock::new(), Metrics::new(), AtomicBool::new(false));
    let server = Arc::new(Server { engines, access, metrics, arguments, draining });
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let runtime = runtime.context("cannot start the threads of the server")?;
    let ended = runtime.block_on(listen::serve(server));
    // A download that still runs is not waited for.
    runtime.shutdown_background();
    ended
}

fn start_log(arguments: &ServeArguments) -> Result<(), InputError> {
    let problem = |error| InputError::Flag { flag: "--log", problem: format!("{error}") };
    let filter = EnvFilter::try_new(&arguments.log).map_err(problem)?;
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    match arguments.log_format {
        LogFormat::Text => log.with_target(false).with_ansi(false).init(),
        LogFormat::Json => log.json().flatten_event(true).with_target(false).init(),
    }
    // A panic's message may quote the text that was read: its place is enough to find a bug.
    std::panic::set_hook(Box::new(|panic| {
        let place = panic.location().map(ToString::to_string).unwrap_or_default();
        tracing::error!(place, "a bug of this program; please report it");
    }));
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
