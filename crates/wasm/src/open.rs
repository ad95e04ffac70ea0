//! From the bytes of a model's files to an engine.

use crossrank::{Description, DeviceChoice, Languages, LoadOptions, Precision, WindowRule};
use serde::Deserialize;
use wasm_bindgen::JsValue;
use wasm_bindgen::prelude::wasm_bindgen;

use crate::engine::Engine;
use crate::error::JsError;
use crate::json::from_js;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct OpenOptions {
    name: String,
    dtype: Option<String>,
    max_tokens: Option<usize>,
    window: Option<String>,
    languages: Option<String>,
    memory_budget_bytes: Option<u64>,
}

/// A model whose weights are still arriving.
#[wasm_bindgen]
pub struct ModelStream(crossrank::ModelStream);

/// Opens the device of a model whose small files are there; without them the weights are one GGUF file.
///
/// # Errors
/// The codes of `crossrank::ModelStream::open`.
#[wasm_bindgen(js_name = openModel)]
pub async fn open_model(
    options: JsValue,
    config: Option<Vec<u8>>,
    tokenizer: Option<Vec<u8>>,
) -> Result<ModelStream, JsError> {
    let options: OpenOptions = from_js(&options)?;
    let description = match (config, tokenizer) {
        (Some(config), Some(tokenizer)) => {
            Some(Description::HuggingFace { config_json: config.into(), tokenizer_json: tokenizer.into() })
        }
        (None, None) => None,
        _ => {
            return Err(JsError::invalid_input("config.json and tokenizer.json go together; add both files"));
        }
    };
    let load = LoadOptions {
        device: device(),
        precision: options.dtype.as_deref().map(dtype).transpose()?,
        memory_budget_bytes: options.memory_budget_bytes,
        window: match options.window.as_deref() {
            Some("jina") => Some(WindowRule::Jina),
            Some(_) => Some(WindowRule::Cohere),
            None => None,
        },
        languages: match options.languages.as_deref() {
            Some("en") => Languages::English,
            _ => Languages::default(),
        },
        max_tokens: options.max_tokens,
    };
    Ok(ModelStream(crossrank::ModelStream::open(options.name, description, &load).await?))
}

#[wasm_bindgen]
impl ModelStream {
    /// Starts the next weight file.
    ///
    /// # Errors
    /// `integrity_mismatch` if the file before it is not complete.
    #[wasm_bindgen(js_name = beginFile)]
    pub fn begin_file(&mut self, name: String, bytes: f64) -> Result<(), JsError> {
        Ok(self.0.begin_file(name, bytes as u64)?)
    }

    /// Takes the next bytes of the file.
    ///
    /// # Errors
    /// The codes of `crossrank::ModelStream::push`.
    pub fn push(&mut self, chunk: &[u8]) -> Result<(), JsError> {
        Ok(self.0.push(chunk)?)
    }

    /// Bytes of weights kept so far.
    #[wasm_bindgen(js_name = keptBytes)]
    pub fn kept_bytes(&self) -> f64 {
        self.0.kept_bytes() as f64
    }

    /// The model that can score.
    ///
    /// # Errors
    /// The codes of `crossrank::ModelStream::finish`.
    pub async fn finish(self) -> Result<Engine, JsError> {
        Ok(Engine::new(self.0.finish().await?))
    }
}

/// The one device of this module.
pub(crate) fn device() -> DeviceChoice {
    match cfg!(feature = "gpu") {
        // Whichever adapter the browser gives: the caller has looked at it.
        true => DeviceChoice::Adapter(String::new()),
        false => DeviceChoice::Cpu,
    }
}

/// # Errors
/// `invalid_input` for a name that is none.
pub(crate) fn dtype(name: &str) -> Result<Precision, JsError> {
    match name {
        "f32" => Ok(Precision::F32),
        "f16" => Ok(Precision::F16),
        "q8" => Ok(Precision::Q8),
        "q4" => Ok(Precision::Q4),
        _ => Err(JsError::invalid_input(format!("dtype {name:?} is not possible; pass f32, f16, q8 or q4"))),
    }
}
