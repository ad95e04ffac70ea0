//! From `--dataset` to a folder: one of this machine, or a collection of BEIR by its name.

use std::path::Path;

use crossrank_eval::{Collection, Warnings};
use crossrank_hub::Dataset;

use super::EvalArguments;
use crate::model::{download, hub, origin};
use crate::output::say;

/// Opens a folder as it is; a name that is no folder is downloaded unless it is in the cache.
pub(super) fn open(
    dataset: &Path,
    arguments: &EvalArguments,
    warnings: &mut Warnings,
) -> anyhow::Result<Collection> {
    let (split, qrels) = (&arguments.split, arguments.qrels.as_deref());
    let is_path = dataset.is_dir() || dataset.components().count() > 1;
    let Some(name) = dataset.to_str().filter(|_| !is_path) else {
        return Ok(Collection::open(dataset, split, qrels, warnings)?);
    };
    let listed = Dataset::find(name, split)?;
    let hub = hub(&arguments.model.engine.network);
    let folder = match hub.cached(&listed) {
        Some(folder) => folder,
        None => {
            say(origin(&listed));
            download(&hub, &listed)?
        }
    };
    Ok(Collection { name: listed.name, ..Collection::open(&folder, split, qrels, warnings)? })
}
