//! The WebAssembly surface of crossrank, the same for the module that computes on the CPU and the one that
//! computes on a GPU: it converts types and holds no logic. `web/src/wasm/surface.d.ts` says what it exports.
#![cfg(target_arch = "wasm32")]

mod engine;
mod error;
mod json;
mod open;
mod sha256;
mod watch;

pub use engine::Engine;
pub use open::{ModelStream, open_model};
pub use sha256::Sha256;

#[cfg(feature = "gpu")]
mod self_test {
    use wasm_bindgen::prelude::wasm_bindgen;

    use crate::error::JsError;
    use crate::open::{device, dtype};

    /// Runs a tiny model with known logits on the GPU that the browser gives.
    ///
    /// # Errors
    /// `device_unavailable` if there is none, or if its logits are wrong.
    #[wasm_bindgen(js_name = selfTest)]
    pub async fn self_test(precision: String) -> Result<(), JsError> {
        Ok(crossrank::self_test(&device(), dtype(&precision)?).await?)
    }
}
