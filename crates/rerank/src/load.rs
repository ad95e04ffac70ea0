//! The files of a model, and how it is loaded.

use std::borrow::Cow;

use crossrank_model::{Checkpoint, MemorySource, Precision, WeightSource};
use crossrank_tokenizer::WindowRule;

use crate::{DeviceChoice, Error, Languages};

/// What a model consists of: `config.json`, `tokenizer.json` and its weights.
pub struct ModelFiles {
    /// The model's name, as answers report it.
    pub name: String,
    /// `config.json`, as Hugging Face writes it.
    pub config_json: Cow<'static, [u8]>,
    /// `tokenizer.json`, as Hugging Face writes it.
    pub tokenizer_json: Cow<'static, [u8]>,
    /// The weights, located but not yet read.
    pub checkpoint: Checkpoint,
}

impl ModelFiles {
    /// The files of `folder`, whose last component becomes the model's name.
    ///
    /// # Errors
    /// [`Error::ModelFile`] naming the file that cannot be read, [`Error::Model`] for damaged weights.
    #[cfg(feature = "fs")]
    pub fn open_folder(folder: &std::path::Path) -> Result<Self, Error> {
        let read = |name: &str| {
            let path = folder.join(name);
            let file = path.display().to_string();
            std::fs::read(path).map(Cow::Owned).map_err(|source| Error::ModelFile { file, source })
        };
        let name = folder
            .canonicalize()
            .ok()
            .and_then(|path| Some(path.file_name()?.to_string_lossy().into_owned()));
        Ok(Self {
            name: name.unwrap_or_else(|| folder.display().to_string()),
            config_json: read("config.json")?,
            tokenizer_json: read("tokenizer.json")?,
            checkpoint: Checkpoint::open_folder(folder)?,
        })
    }

    /// Files that are already in memory: embedded in the program, or downloaded by the caller.
    ///
    /// # Errors
    /// [`Error::Model`] if `weights` is not a safetensors file.
    pub fn from_memory(
        name: impl Into<String>,
        config_json: impl Into<Cow<'static, [u8]>>,
        tokenizer_json: impl Into<Cow<'static, [u8]>>,
        weights: impl Into<Cow<'static, [u8]>>,
    ) -> Result<Self, Error> {
        let source: Box<dyn WeightSource> = Box::new(MemorySource(weights.into()));
        Ok(Self {
            name: name.into(),
            config_json: config_json.into(),
            tokenizer_json: tokenizer_json.into(),
            checkpoint: Checkpoint::open(vec![("model.safetensors".to_owned(), source)])?,
        })
    }
}

/// How a model is loaded.
#[derive(Debug, Clone, Default)]
pub struct LoadOptions {
    /// Where it runs.
    pub device: DeviceChoice,
    /// How weights are kept; f16 on a GPU that has it and f32 elsewhere without it.
    pub precision: Option<Precision>,
    /// Bytes of working memory beside the weights; 1 GiB without it.
    pub memory_budget_bytes: Option<u64>,
    /// How long documents are split by default; Cohere's rule without it.
    pub window: Option<WindowRule>,
    /// What the model was trained on.
    pub languages: Languages,
    /// Tokens of a pair at most, for models with a shorter context than positions.
    pub max_tokens: Option<usize>,
}
