//! From `--model` to a model that is ready: embedded, by name, by Hugging Face repository, a folder or a GGUF file.

use std::path::{Path, PathBuf};

use anyhow::Context;
use crossrank::{Languages, LoadOptions, ModelFiles, Reranker, WindowRule};
use crossrank_hub::{Dataset, Hub, HubError, ModelEntry, ModelList, Repository};

use crate::cli::{EngineArguments, ModelArguments, NetworkArguments};
use crate::output::say;

/// The name in models.json of the model that is part of this program.
pub(crate) const EMBEDDED: &str = "default";
const CONFIG: &[u8] = include_bytes!("../../models/default/config.json");
const TOKENIZER: &[u8] = include_bytes!("../../models/default/tokenizer.json");
const WEIGHTS: &[u8] = include_bytes!("../../models/default/model.safetensors");

/// A model's files, and what models.json says about it.
pub(crate) struct Located {
    pub(crate) files: ModelFiles,
    window: Option<WindowRule>,
    pub(crate) languages: Languages,
    max_tokens: Option<usize>,
}

/// Loads the model and sizes the thread pool.
///
/// # Errors
/// Those of [`load_named`], and of starting threads.
pub(crate) fn load(arguments: &ModelArguments) -> anyhow::Result<Reranker> {
    start_threads(&arguments.engine)?;
    load_named(&arguments.model, &arguments.engine)
}

/// Sizes the thread pool; once in a program.
///
/// # Errors
/// Those of starting threads.
pub(crate) fn start_threads(arguments: &EngineArguments) -> anyhow::Result<()> {
    let Some(threads) = arguments.threads else { return Ok(()) };
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads.get());
    pool.build_global().context("cannot start the threads")
}

/// Loads one of any number of models.
///
/// # Errors
/// Those of [`locate`] and of loading.
pub(crate) fn load_named(model: &str, arguments: &EngineArguments) -> anyhow::Result<Reranker> {
    load_located(locate(model, &arguments.network)?, arguments)
}

/// Loads a model that was found.
///
/// # Errors
/// Those of loading.
pub(crate) fn load_located(located: Located, arguments: &EngineArguments) -> anyhow::Result<Reranker> {
    let options = LoadOptions {
        device: arguments.device.clone(),
        precision: arguments.dtype.map(Into::into),
        memory_budget_bytes: arguments.memory_budget,
        window: located.window,
        languages: located.languages,
        max_tokens: located.max_tokens,
    };
    Ok(Reranker::load(located.files, &options)?)
}

/// Finds a model's files: a name of models.json, a folder or a GGUF file, then a Hugging Face repository, which
/// is downloaded unless it is in the cache.
///
/// # Errors
/// `model_not_found` with near names, and the errors of reading and downloading.
pub(crate) fn locate(model: &str, network: &NetworkArguments) -> anyhow::Result<Located> {
    let path = Path::new(model);
    if ModelList::embedded()?.find(model).is_none() {
        if path.is_dir() {
            return Ok(undescribed(ModelFiles::open_folder(path)?));
        }
        if is_gguf(path) {
            return Ok(undescribed(ModelFiles::open_gguf(path)?));
        }
    }
    let entry = find(model)?;
    let mut files = match entry.name.as_str() {
        EMBEDDED => ModelFiles::from_memory(EMBEDDED, CONFIG, TOKENIZER, WEIGHTS)?,
        _ => open(&fetch(&entry, network)?, &entry)?,
    };
    files.name.clone_from(&entry.name);
    Ok(described(files, &entry))
}

/// The entry of a name of models.json, or of any Hugging Face repository.
///
/// # Errors
/// `model_not_found` with near names.
pub(crate) fn find(model: &str) -> Result<ModelEntry, HubError> {
    match ModelList::embedded()?.find(model) {
        Some(entry) => Ok(entry.clone()),
        None => Hub::repo_entry(model),
    }
}

/// The hub that the environment names, within what the command line allows.
pub(crate) fn hub(network: &NetworkArguments) -> Hub {
    Hub::from_env().offline(network.offline)
}

/// The folder of a model in the Hugging Face cache; its licence is shown when it is downloaded for this.
fn fetch(entry: &ModelEntry, network: &NetworkArguments) -> anyhow::Result<PathBuf> {
    let hub = hub(network);
    if let Some(folder) = hub.cached(entry) {
        return Ok(folder);
    }
    say(licence(entry));
    download(&hub, entry)
}

/// Downloads what is not in the Hugging Face cache, behind a progress bar.
///
/// # Errors
/// Those of downloading.
pub(crate) fn download<'a>(hub: &Hub, wanted: impl Into<Repository<'a>>) -> anyhow::Result<PathBuf> {
    let bar = crate::output::bytes_bar();
    let folder = hub.pull(wanted, &|progress| {
        bar.set_length(progress.total);
        bar.set_position(progress.done);
        if let Some(file) = progress.unverified {
            let warning = format_args!("warning: {file} could not be checked, since its sha256 is not known");
            bar.suspend(|| say(warning));
        }
    });
    bar.finish_and_clear();
    Ok(folder?)
}

/// Where a model comes from and under which licence, for people.
pub(crate) fn licence(entry: &ModelEntry) -> String {
    let note = entry.licence_note.as_deref().map(|note| format!(" ({note})")).unwrap_or_default();
    format!("{} from {}, licence: {}{note}", entry.name, entry.repo, entry.licence)
}

/// Where a collection comes from, for people.
pub(crate) fn origin(dataset: &Dataset) -> String {
    format!("{} from {}, which states its licence", dataset.name, dataset.repo)
}

/// The files of a model in its folder.
fn open(folder: &Path, entry: &ModelEntry) -> Result<ModelFiles, crossrank::Error> {
    match entry.files.iter().find(|file| is_gguf(Path::new(&file.path))) {
        Some(file) => ModelFiles::open_gguf(&folder.join(&file.path)),
        None => ModelFiles::open_folder(folder),
    }
}

fn is_gguf(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "gguf")
}

/// Nothing but its files says what a model that lies here is.
fn undescribed(files: ModelFiles) -> Located {
    Located { window: None, files, languages: Languages::Multilingual, max_tokens: None }
}

fn described(files: ModelFiles, entry: &ModelEntry) -> Located {
    Located {
        files,
        // A repository without an entry in models.json may be Jina's, too: its layout tells.
        window: (entry.window == "jina").then_some(WindowRule::Jina),
        languages: if entry.languages == "en" { Languages::English } else { Languages::Multilingual },
        max_tokens: entry.max_tokens,
    }
}
