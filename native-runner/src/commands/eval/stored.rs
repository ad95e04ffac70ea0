//! Where scores and vectors are kept, and under which names.

use std::path::PathBuf;

use anyhow::Context;
use crossrank::{Description, DeviceInfo, ModelFiles};
use sha2::{Digest, Sha256};

use super::EvalArguments;

/// The folder of `--cache`, or the user's own.
pub(super) fn folder(arguments: &EvalArguments) -> anyhow::Result<PathBuf> {
    if let Some(folder) = &arguments.cache {
        return Ok(folder.clone());
    }
    let set = std::env::var_os("XDG_CACHE_HOME").filter(|folder| !folder.is_empty()).map(PathBuf::from);
    let cache = set.or_else(|| Some(std::env::home_dir()?.join(".cache")));
    let cache = cache.context("there is no home folder to keep scores in; pass --cache DIR")?;
    Ok(cache.join("crossrank/scores"))
}

/// What a model's numbers depend on beside its input: `hash` of its files, and where it runs, since another device or
/// other vector instructions give other last digits.
pub(super) fn key(hash: &str, device: &DeviceInfo) -> String {
    let key = format!("{hash} {} {}", device.name, device.backend);
    hex(&Sha256::digest(key)[..8])
}

/// A hash of configuration, tokenizer and weights.
pub(super) fn fingerprint(files: &ModelFiles) -> anyhow::Result<String> {
    let mut hash = Sha256::new();
    if let Description::HuggingFace { config_json, tokenizer_json } = &files.description {
        hash.update(config_json);
        hash.update(tokenizer_json);
    }
    for (name, form, shape) in files.checkpoint.tensors() {
        hash.update(format!("{name} {form:?} {shape:?} "));
        hash.update(files.checkpoint.bytes(name).map_err(crossrank::Error::from)?);
    }
    Ok(hex(&hash.finalize()))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
