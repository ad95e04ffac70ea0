//! The threads of the module `crossrank_cpu_threads`: the browser's workers, each with this module over one memory.

use std::sync::{Condvar, Mutex, PoisonError};

use rayon::{ThreadBuilder, ThreadPoolBuilder};
use wasm_bindgen::prelude::wasm_bindgen;

use crate::error::JsError;

/// Threads that no worker runs yet.
static WAITING: Mutex<Vec<ThreadBuilder>> = Mutex::new(Vec::new());
static ADDED: Condvar = Condvar::new();

/// Computes from now on in `count` threads: this one, and `count - 1` workers that call [`run_thread`]; returns
/// when they do. For a worker: a page must not wait.
///
/// # Errors
/// `device_unavailable` if threads were started before.
#[wasm_bindgen(js_name = startThreads)]
pub fn start_threads(count: usize) -> Result<(), JsError> {
    let add = |thread| {
        WAITING.lock().unwrap_or_else(PoisonError::into_inner).push(thread);
        ADDED.notify_one();
        Ok(())
    };
    let pool = ThreadPoolBuilder::new().num_threads(count).use_current_thread().spawn_handler(add);
    pool.build_global().map_err(|error| JsError::device_unavailable(error.to_string()))
}

/// Gives this worker to the engine, until the worker ends.
#[wasm_bindgen(js_name = runThread)]
pub fn run_thread() {
    let waiting = WAITING.lock().unwrap_or_else(PoisonError::into_inner);
    let found = ADDED.wait_while(waiting, |threads| threads.is_empty());
    let thread = found.unwrap_or_else(PoisonError::into_inner).pop();
    if let Some(thread) = thread {
        thread.run();
    }
}
