//! The WebAssembly surface of crossrank, the same for the module that computes on the CPU and the one that
//! computes on a GPU: it converts types and holds no logic. `web/src/wasm/surface.d.ts` says what it exports.
#![cfg(target_arch = "wasm32")]

mod engine;
mod error;
mod json;
mod open;
#[cfg(feature = "gpu")]
mod self_test;
mod sha256;
#[cfg(feature = "threads")]
mod threads;
mod watch;

pub use engine::Engine;
pub use open::{ModelStream, open_model};
#[cfg(feature = "gpu")]
pub use self_test::self_test;
pub use sha256::Sha256;
#[cfg(feature = "threads")]
pub use threads::{run_thread, start_threads};
