//! Watching and stopping a request that runs.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::{Error, Job, Ranked};

/// Stops a request from another thread; looked at before every forward pass, and between texts to tokenize.
#[derive(Debug, Clone, Default)]
pub struct CancelToken(Arc<AtomicBool>);

impl CancelToken {
    /// Asks the request to stop.
    pub fn cancel(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    pub(crate) fn check(&self) -> Result<(), Error> {
        if self.0.load(Ordering::Relaxed) { Err(Error::Cancelled) } else { Ok(()) }
    }
}

/// How far a request has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// Pairs scored.
    pub pairs_done: usize,
    /// Pairs in all; under a deadline those of the documents read so far.
    pub pairs_total: usize,
}

/// Types of a caller's functions.
#[cfg(not(target_family = "wasm"))]
mod callbacks {
    type Wait = std::pin::Pin<Box<dyn Future<Output = ()> + Send>>;
    pub(super) type Observer<'a, T> = Option<&'a (dyn Fn(T) + Sync)>;
    pub(super) type Pause<'a> = Option<&'a (dyn Fn() -> Wait + Sync)>;
}
/// The same in a browser, whose values stay on their thread.
#[cfg(target_family = "wasm")]
mod callbacks {
    type Wait = std::pin::Pin<Box<dyn Future<Output = ()>>>;
    pub(super) type Observer<'a, T> = Option<&'a dyn Fn(T)>;
    pub(super) type Pause<'a> = Option<&'a dyn Fn() -> Wait>;
}

/// A caller's function that is told something after every forward pass.
pub type Observer<'a, T> = callbacks::Observer<'a, T>;

/// A caller's function that is awaited after every forward pass and between texts to tokenize, so that a thread
/// that runs requests and events in turn gets to its events: among them the one that cancels.
pub type Pause<'a> = callbacks::Pause<'a>;

/// How a caller follows and stops a request.
#[derive(Default)]
pub struct Control<'a> {
    /// Stops the request within one forward pass.
    pub cancel: CancelToken,
    /// Told how far the request has come.
    pub on_progress: Observer<'a, Progress>,
    /// Given the ranking so far, without documents.
    pub on_partial: Observer<'a, Vec<Ranked>>,
    /// Awaited after every forward pass and between texts to tokenize.
    pub pause: Pause<'a>,
}

impl Control<'_> {
    pub(crate) async fn wait(&self) {
        if let Some(pause) = self.pause {
            pause().await;
        }
    }

    pub(crate) fn report(&self, job: &Job) {
        if let Some(report) = self.on_progress {
            report(job.progress());
        }
        if let Some(report) = self.on_partial {
            report(job.ranked());
        }
    }
}
