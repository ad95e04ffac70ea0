//! Watching and stopping a request that runs.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::{Error, Ranked};

/// Stops a request from another thread; looked at before every forward pass.
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

/// A caller's function that is told something after every forward pass.
pub type Observer<'a, T> = Option<&'a (dyn Fn(T) + Sync)>;

/// How a caller follows and stops a request.
#[derive(Default)]
pub struct Control<'a> {
    /// Stops the request within one forward pass.
    pub cancel: CancelToken,
    /// Told how far the request has come.
    pub on_progress: Observer<'a, Progress>,
    /// Given the ranking so far, without documents.
    pub on_partial: Observer<'a, Vec<Ranked>>,
}
