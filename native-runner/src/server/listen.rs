//! Connections: accepted, read within time, and drained when the process is asked to end.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use anyhow::Context;
use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;

use super::{Server, routes};
use crate::output::write_stdout;

/// Time to read what came before the signal, on a machine that is busy, too.
const LAST_LOOK: Duration = Duration::from_millis(250);

/// Serves until a signal to end.
///
/// # Errors
/// An address that cannot be listened on, and those of loading models.
pub(crate) async fn serve(server: Arc<Server>) -> anyhow::Result<()> {
    let address = (server.arguments.host, server.arguments.port);
    let listener = TcpListener::bind(address).await;
    let listener = listener.with_context(|| format!("cannot listen on {}:{}", address.0, address.1))?;
    let url = format!("http://{}", listener.local_addr()?);
    let app = routes::app(&server)?;
    let connections = GracefulShutdown::new();
    let loading = tokio::task::spawn_blocking({
        let server = Arc::clone(&server);
        move || server.load()
    });
    let loaded = async {
        loading.await.context("loading a model")??;
        tracing::info!(url, "ready");
        write_stdout(format!("{url}\n").as_bytes())?;
        std::future::pending::<anyhow::Result<()>>().await
    };
    tokio::select! {
        // In this order: clients that have connected are accepted before a signal is looked at.
        biased;
        failed = loaded => failed?,
        () = accept(&listener, &app, &server, &connections) => {}
        signal = ended() => signal?,
    }
    // Refused from here on, so that a load balancer asks another replica.
    drop(listener);
    server.draining.store(true, Ordering::Relaxed);
    tracing::info!(connections = connections.count(), "draining");
    // A connection that was not read from would be closed at once, whatever has come on it.
    tokio::time::sleep(LAST_LOOK).await;
    let patience = Duration::from_secs(server.arguments.limits.drain_seconds);
    if tokio::time::timeout(patience, connections.shutdown()).await.is_err() {
        tracing::warn!("ended with requests unanswered; --drain-seconds is the time they have");
    }
    Ok(())
}

/// Takes connections for ever.
async fn accept(listener: &TcpListener, app: &Router, server: &Server, connections: &GracefulShutdown) {
    let slots = Arc::new(Semaphore::new(server.arguments.limits.max_connections.get()));
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new())
        .header_read_timeout(Duration::from_secs(server.arguments.limits.read_seconds));
    loop {
        // What comes above the limit waits in the system's backlog.
        let Ok(slot) = Arc::clone(&slots).acquire_owned().await else { return };
        let stream = match listener.accept().await {
            Ok((stream, _)) => stream,
            // The process is out of files, or the client has gone already.
            Err(error) => {
                tracing::warn!(%error, "cannot accept a connection");
                tokio::time::sleep(Duration::from_millis(50)).await;
                continue;
            }
        };
        let connection = connection(&http, stream, app);
        let connection = connections.watch(connection);
        tokio::spawn(async move {
            // A client that breaks off is no error of ours.
            let _ = connection.await;
            drop(slot);
        });
    }
}

type Connection = http1::Connection<TokioIo<TcpStream>, TowerToHyperService<Router>>;

fn connection(http: &http1::Builder, stream: TcpStream, app: &Router) -> Connection {
    // Answers are small: without this they wait for the client's acknowledgement.
    let _ = stream.set_nodelay(true);
    http.serve_connection(TokioIo::new(stream), TowerToHyperService::new(app.clone()))
}

/// SIGTERM or an interrupt.
async fn ended() -> anyhow::Result<()> {
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        let mut terminate = signal(SignalKind::terminate()).context("cannot wait for SIGTERM")?;
        tokio::select! {
            _ = terminate.recv() => Ok(()),
            interrupt = tokio::signal::ctrl_c() => interrupt.context("cannot wait for an interrupt"),
        }
    }
    #[cfg(not(unix))]
    tokio::signal::ctrl_c().await.context("cannot wait for an interrupt")
}
