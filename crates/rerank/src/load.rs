//! The files of a model, and how it is loaded.

use std::borrow::Cow;
use std::sync::atomic::AtomicU64;

use crossrank_model::{
    Checkpoint, CrossEncoder, Family, Layout, MemorySource, ModelConfig, ModelError, PackedPairs, Precision,
    WeightSource, WeightStream,
};
use crossrank_tokenizer::{PairTokenizer, WindowRule};
use tracing::{Instrument, trace_span};

use crate::budget::{Budget, DEFAULT_BYTES, can_allocate, weight_bytes};
use crate::description::Description;
use crate::device::{DeviceInfo, DeviceKind, OpenDevice};
use crate::guard::caught;
use crate::run::{PASS_TOKENS, is_out_of_memory};
use crate::{DeviceChoice, Error, Languages, ModelSummary, Reranker};

/// What a model consists of: `config.json`, `tokenizer.json` and safetensors, or one GGUF file.
pub struct ModelFiles {
    /// The model's name, as answers report it.
    pub name: String,
    /// Configuration and tokenizer.
    pub description: Description,
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
            description: Description::HuggingFace {
                config_json: read("config.json")?,
                tokenizer_json: read("tokenizer.json")?,
            },
            checkpoint: Checkpoint::open_folder(folder)?,
        })
    }

    /// The GGUF file `path`, whose name becomes the model's.
    ///
    /// # Errors
    /// [`Error::ModelFile`] if it cannot be read, [`Error::Model`] if it is damaged or no GGUF file.
    #[cfg(feature = "fs")]
    pub fn open_gguf(path: &std::path::Path) -> Result<Self, Error> {
        let file = path.display().to_string();
        let source = match crossrank_model::MappedFile::open(path) {
            Ok(map) => Box::new(map) as Box<dyn WeightSource>,
            Err(source) => return Err(Error::ModelFile { file, source }),
        };
        let mut checkpoint = Checkpoint::open(vec![(file.clone(), source)])?;
        let gguf = checkpoint.take_gguf().ok_or_else(|| {
            let source = std::io::Error::new(std::io::ErrorKind::InvalidData, "it is not a GGUF file");
            Error::ModelFile { file: file.clone(), source }
        })?;
        let name = path.file_stem().map_or(file, |stem| stem.to_string_lossy().into_owned());
        Ok(Self { name, description: Description::Gguf(gguf), checkpoint })
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
            description: Description::HuggingFace {
                config_json: config_json.into(),
                tokenizer_json: tokenizer_json.into(),
            },
            checkpoint: Checkpoint::open(vec![("model.safetensors".to_owned(), source)])?,
        })
    }
}

/// How a model is loaded.
#[derive(Debug, Clone, Default)]
pub struct LoadOptions {
    /// Where it runs.
    pub device: DeviceChoice,
    /// How weights are multiplied. Without it in f16 on a GPU that has it; on a CPU as integers where the file holds
    /// integers; in f32 elsewhere.
    pub precision: Option<Precision>,
    /// Bytes of working memory beside the weights; 1 GiB without it, 256 MiB in WebAssembly.
    pub memory_budget_bytes: Option<u64>,
    /// How long documents are split by default; without it by Jina's rule for checkpoints in Jina's layout, else
    /// by Cohere's.
    pub window: Option<WindowRule>,
    /// What the model was trained on.
    pub languages: Languages,
    /// Tokens of a pair at most, for models with a shorter context than positions.
    pub max_tokens: Option<usize>,
}

/// [`Reranker::load`] for callers that must not block.
pub(crate) async fn load(files: ModelFiles, options: &LoadOptions) -> Result<Reranker, Error> {
    let ModelFiles { name, description, checkpoint } = files;
    let described = trace_span!("tokenizer").in_scope(|| description.read())?;
    let opened = crate::device::open(&options.device).instrument(trace_span!("device")).await?;
    let prepared = Prepared::new(name, described, opened, options)?;
    let (config, precision, device) =
        (prepared.config.clone(), prepared.precision, prepared.opened.device.clone());
    let bytes = checkpoint.total_bytes();
    let model = async { CrossEncoder::load(config, checkpoint, precision, &device) };
    let model = model.instrument(trace_span!("weights"));
    prepared.with_weights(model, bytes).await
}

/// A reranker but for its weights.
pub(crate) struct Prepared {
    name: String,
    config: ModelConfig,
    tokenizer: PairTokenizer,
    max_tokens: usize,
    precision: Option<Precision>,
    opened: OpenDevice,
    options: LoadOptions,
}

impl Prepared {
    pub(crate) fn new(
        name: String,
        (config, tokenizer): (ModelConfig, PairTokenizer),
        opened: OpenDevice,
        options: &LoadOptions,
    ) -> Result<Self, Error> {
        check(&config, &tokenizer, &opened.info)?;
        let max_tokens = options.max_tokens.unwrap_or(usize::MAX).min(config.max_tokens());
        if max_tokens < tokenizer.special_tokens() + 2 {
            return Err(crate::request::option("max_tokens", max_tokens, "room for a query and a document"));
        }
        let precision = precision(&opened.info, options)?;
        let needed = weight_bytes(&config, precision.unwrap_or(Precision::F32));
        if opened.info.kind == DeviceKind::Cpu && !can_allocate(needed) {
            return Err(Error::ModelTooLarge { needed });
        }
        Ok(Self { name, config, tokenizer, max_tokens, precision, opened, options: options.clone() })
    }

    /// Takes the weights as they come.
    pub(crate) fn weight_stream(&self) -> WeightStream {
        WeightStream::new(self.config.clone(), self.precision, &self.opened.device)
    }

    pub(crate) async fn with_weights(
        self,
        model: impl Future<Output = Result<CrossEncoder, ModelError>>,
        weight_bytes: u64,
    ) -> Result<Reranker, Error> {
        let Self { name, config, tokenizer, max_tokens, precision: asked, opened, options } = self;
        let model = match caught(opened.info.kind, model).await {
            Err(error) if is_out_of_memory(&error) => {
                let needed = crate::budget::weight_bytes(&config, asked.unwrap_or(Precision::F32));
                return Err(Error::ModelTooLarge { needed });
            }
            result => result?,
        };
        if opened.info.kind == DeviceKind::Gpu {
            caught(opened.info.kind, warm_up(&model, max_tokens)).await?;
        }
        let precision = model.precision();
        let own_window = if model.layout() == Layout::Flash { WindowRule::Jina } else { WindowRule::Cohere };
        Ok(Reranker {
            model,
            tokenizer,
            budget: Budget {
                bytes: options.memory_budget_bytes.unwrap_or(DEFAULT_BYTES),
                buffer_bytes: opened.info.max_buffer_bytes.unwrap_or(u64::MAX),
            },
            summary: ModelSummary { name, config, max_tokens, weight_bytes, precision, device: opened.info },
            window: options.window.unwrap_or(own_window),
            languages: options.languages,
            rate: AtomicU64::new(0),
        })
    }
}

/// How weights are kept: as asked for, else in the smallest floats that a GPU computes with; a CPU looks at the file.
fn precision(device: &DeviceInfo, options: &LoadOptions) -> Result<Option<Precision>, Error> {
    let default = match device.kind {
        DeviceKind::Cpu => None,
        DeviceKind::Gpu | DeviceKind::Software if device.f16 => Some(Precision::F16),
        DeviceKind::Gpu | DeviceKind::Software => Some(Precision::F32),
    };
    match options.precision.or(default) {
        Some(Precision::F16) if !device.f16 => Err(Error::DeviceUnavailable {
            device: device.name.clone(),
            problem: "it does not compute in f16; use dtype f32".to_owned(),
        }),
        precision => Ok(precision),
    }
}

/// Has a GPU's driver compile what passes of any length run, so that the first request need not wait for it: products choose
/// one of three tiles by their rows.
async fn warm_up(model: &CrossEncoder, max_tokens: usize) -> Result<(), ModelError> {
    for tokens in [PASS_TOKENS, PASS_TOKENS / 4, 16] {
        let length = tokens.min(max_tokens);
        let mut pairs = PackedPairs::default();
        (0..tokens / length).for_each(|_| pairs.push(&vec![0; length], &vec![0; length]));
        model.forward(&pairs).await?;
    }
    Ok(())
}

/// Refuses a tokenizer or a device that does not go with the model.
pub(crate) fn check(
    config: &ModelConfig,
    tokenizer: &PairTokenizer,
    device: &DeviceInfo,
) -> Result<(), Error> {
    if device.kind != DeviceKind::Cpu {
        config.check_for_gpu()?;
    }
    check_tokenizer(tokenizer, config)
}

fn check_tokenizer(tokenizer: &PairTokenizer, config: &ModelConfig) -> Result<(), Error> {
    let mismatch = |problem| Err(Error::TokenizerMismatch { problem });
    if tokenizer.vocab_size() > config.vocab_size {
        let (found, expected) = (tokenizer.vocab_size(), config.vocab_size);
        return mismatch(format!("it has {found} tokens, the model's vocabulary {expected}"));
    }
    let types = if config.family == Family::Bert { 2 } else { 1 };
    if config.type_vocab_size < types {
        return mismatch(format!("the model has {} token types", config.type_vocab_size));
    }
    match tokenizer.pad_id() {
        Some(id) if id != config.pad_token_id => {
            mismatch(format!("its padding token is {id}, the model's {}", config.pad_token_id))
        }
        _ => Ok(()),
    }
}
