//! `crossrank convert` writes folders that load and score like what they came from.

// Clippy only knows functions marked as tests; those beside them may panic and print as well.
#![allow(clippy::unwrap_used, clippy::print_stdout)]

mod program;

use program::tiny_model::TinyModel;
use program::{fails, json_lines, stdout};
use safetensors::SafeTensors;
use safetensors::tensor::Dtype;

const PAIRS: &str =
    "[\"how many people live in the city ?\",\"berlin has many people .\"]\n[\"the museum\",\"berlin\"]\n";

fn logits(model: &str) -> Vec<f64> {
    logits_with(&["--model", model])
}

fn logits_with(flags: &[&str]) -> Vec<f64> {
    let lines = json_lines(&stdout(&[&["score", "--pairs", "-"], flags].concat(), PAIRS));
    lines.iter().map(|line| line["logit"].as_f64().unwrap()).collect()
}

fn convert(model: &str, form: &str, out: &std::path::Path) -> String {
    let out = out.to_str().unwrap().to_owned();
    assert_eq!(stdout(&["convert", model, "--quantize", form, "--out", &out], ""), format!("{out}\n"));
    out
}

fn assert_close(found: &[f64], expected: &[f64], tolerance: f64) {
    for (found, expected) in found.iter().zip(expected) {
        assert!((found - expected).abs() <= tolerance, "{found} for {expected}");
    }
}

#[test]
fn a_q8_copy_scores_like_its_source_and_q4_a_little_less() {
    let (model, folder) = (TinyModel::new(), tempfile::tempdir().unwrap());
    let expected = logits(model.path());
    // Measured 0.004 and 0.09 on these random weights, of logits around 1.
    assert_close(&logits(&convert(model.path(), "q8", &folder.path().join("q8"))), &expected, 0.02);
    assert_close(&logits(&convert(model.path(), "q4", &folder.path().join("q4"))), &expected, 0.3);
}

#[test]
fn a_gpu_has_the_weights_of_a_q4_copy() {
    const ADAPTER: &str = "llvmpipe";
    if !stdout(&["devices"], "").contains(ADAPTER) {
        println!(
            "skipped: a_gpu_has_the_weights_of_a_q4_copy: no Vulkan adapter named {ADAPTER} (install mesa-vulkan-drivers)"
        );
        return;
    }
    let (model, folder) = (TinyModel::new(), tempfile::tempdir().unwrap());
    let copy = convert(model.path(), "q4", folder.path());
    let expected = logits_with(&["--model", &copy, "--device", "cpu", "--dtype", "f32"]);
    // The CPU rounds activations when it is asked for q4, a GPU does not.
    assert_close(&logits_with(&["--model", &copy, "--device", ADAPTER, "--dtype", "q4"]), &expected, 1e-5);
}

#[test]
fn a_copy_holds_the_documented_tensors() {
    let (model, folder) = (TinyModel::new(), tempfile::tempdir().unwrap());
    let out = convert(model.path(), "q4", folder.path());
    let bytes = std::fs::read(folder.path().join("model.safetensors")).unwrap();
    let (_, header) = SafeTensors::read_metadata(&bytes).unwrap();
    let metadata = header.metadata().as_ref().unwrap();
    assert_eq!(metadata["crossrank_format"], "1");
    let file = SafeTensors::deserialize(&bytes).unwrap();
    let tensor = |name: &str| file.tensor(name).map(|view| (view.dtype(), view.shape().to_vec())).unwrap();
    assert_eq!(tensor("bert.encoder.layer.0.output.dense.weight"), (Dtype::U8, vec![32, 32]));
    assert_eq!(tensor("bert.encoder.layer.0.output.dense.weight_scale"), (Dtype::F16, vec![32, 2]));
    assert_eq!(tensor("bert.embeddings.word_embeddings.weight"), (Dtype::U8, vec![16, 16]));
    assert_eq!(tensor("bert.embeddings.position_embeddings.weight"), (Dtype::F32, vec![64, 32]));
    assert_eq!(tensor("classifier.weight"), (Dtype::F32, vec![1, 32]));
    assert_eq!(
        std::fs::read(model.file("tokenizer.json")).unwrap(),
        std::fs::read(format!("{out}/tokenizer.json")).unwrap()
    );
    assert!(!folder.path().join("model.safetensors.partial").exists());
}

#[test]
fn a_copy_of_a_copy_in_the_same_form_loses_nothing() {
    let (model, folder) = (TinyModel::new(), tempfile::tempdir().unwrap());
    for form in ["q8", "q4"] {
        let once = convert(model.path(), form, &folder.path().join(form));
        let twice = convert(&once, form, &folder.path().join(format!("{form}-again")));
        assert_eq!(logits(&once), logits(&twice));
    }
}

#[test]
fn does_not_overwrite_a_model() {
    let model = TinyModel::new();
    let before = std::fs::read(model.file("model.safetensors")).unwrap();
    let arguments = ["convert", "default", "--quantize", "q8", "--out", model.path()];
    fails(&arguments, "", 2, &["model.safetensors exists already; choose another folder"]);
    assert_eq!(std::fs::read(model.file("model.safetensors")).unwrap(), before);
}

#[test]
fn a_model_that_does_not_load_is_not_copied() {
    let (model, folder) = (TinyModel::with_weights(|bytes| bytes[8] ^= 1), tempfile::tempdir().unwrap());
    let out = folder.path().join("out");
    let arguments = ["convert", model.path(), "--quantize", "q8", "--out", out.to_str().unwrap()];
    fails(&arguments, "", 3, &["error[integrity_mismatch]"]);
    assert!(!out.exists());
}

#[test]
fn a_gguf_file_is_a_model_that_scores_and_is_not_converted() {
    let gguf = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/golden/gguf/xlmr-q8_0.gguf");
    let found = logits(gguf);
    assert_eq!(found.len(), 2);
    let exact = json_lines(&stdout(&["score", "--pairs", "-", "--model", gguf, "--dtype", "f32"], PAIRS));
    let exact: Vec<f64> = exact.iter().map(|line| line["logit"].as_f64().unwrap()).collect();
    // Activations in 7 bits; these random weights, with attention as peaked as it gets, magnify them.
    assert_close(&found, &exact, 0.5);
    assert_ne!(found, exact);
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("out");
    let convert = ["convert", gguf, "--quantize", "q4", "--out", out.to_str().unwrap()];
    fails(&convert, "", 2, &["error[invalid_input]", "a GGUF file cannot be converted"]);
    assert!(!out.exists());
}
