//! `crossrank convert`: a quantized copy of a model.

use std::fs;

use anyhow::Context;
use crossrank::Description;
use crossrank_model::ModelConfig;

use crate::cli::ConvertArguments;
use crate::input::InputError;
use crate::output::{say, write_stdout};

pub(crate) fn run(arguments: &ConvertArguments) -> anyhow::Result<()> {
    let out = arguments.out.as_path();
    let weights = out.join("model.safetensors");
    if weights.exists() {
        return Err(InputError::Exists { path: weights.display().to_string() }.into());
    }
    let files = crate::model::locate(&arguments.model, &arguments.network)?.files;
    let Description::HuggingFace { config_json, tokenizer_json } = &files.description else {
        return Err(InputError::Gguf { model: arguments.model.clone() }.into());
    };
    // Refused here rather than when the copy is loaded.
    ModelConfig::from_json(config_json).map_err(crossrank::Error::from)?;
    fs::create_dir_all(out).with_context(|| format!("cannot create {}", out.display()))?;
    // Under another name until it is whole: a copy that was interrupted does not load.
    let partial = out.join("model.safetensors.partial");
    let precision = arguments.quantize.into();
    let report = crate::quantized_copy::write(&files.checkpoint, &files.name, precision, &partial)?;
    for (name, bytes) in [("config.json", config_json), ("tokenizer.json", tokenizer_json)] {
        fs::write(out.join(name), bytes).with_context(|| format!("cannot write {name}"))?;
    }
    fs::rename(&partial, &weights).with_context(|| format!("cannot rename {}", partial.display()))?;
    let bytes = fs::metadata(&weights).map_or(0, |file| file.len());
    say(format_args!(
        "{} matrices quantized, {} tensors kept in f32, {:.1} MB where there were {:.1} MB",
        report.quantized,
        report.kept,
        bytes as f64 / 1e6,
        files.checkpoint.total_bytes() as f64 / 1e6
    ));
    for name in report.too_narrow {
        say(format_args!("kept in f32: {name}, whose width is not a multiple of 32"));
    }
    write_stdout(format!("{}\n", out.display()).as_bytes())
}
