//! Does the GPU compute what it should?

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
