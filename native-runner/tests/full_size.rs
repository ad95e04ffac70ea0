//! Checkpoints of true size with random weights: exactness and memory. `./build.sh test --all` runs them;
//! they need Python with numpy, and torch and transformers for the reference.

// Clippy only knows functions marked as tests; those beside them may panic and print as well.
#![allow(clippy::unwrap_used, clippy::print_stdout)]

mod program;

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use program::{crossrank, json_lines, outcome};
use serde_json::json;
use tempfile::TempDir;

/// Runs a script of `tests/golden/model`; `None` if this Python lacks a package that it needs.
fn script(name: &str, arguments: &[&str]) -> Option<String> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../tests/golden/model").join(name);
    let python = std::env::var("CROSSRANK_PYTHON").unwrap_or("python3".to_owned());
    let output = Command::new(python).arg(path).args(arguments).output().ok()?;
    let problem = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() || problem.contains("ModuleNotFoundError"), "{name}: {problem}");
    output.status.success().then(|| String::from_utf8(output.stdout).unwrap())
}

/// A checkpoint of `shape`; `None`, saying so, where it is not asked for or cannot be made.
fn checkpoint(test: &str, shape: &str) -> Option<TempDir> {
    if std::env::var_os("CROSSRANK_HEAVY").is_none() {
        println!("skipped: {test}: heavy, ./build.sh test --all runs it");
        return None;
    }
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    if script("make_full_size.py", &[shape, folder.path().to_str().unwrap()]).is_none() {
        println!("skipped: {test}: Python has no numpy; install it or name another with CROSSRANK_PYTHON");
        return None;
    }
    Some(folder)
}

/// Pairs of different length, the longest beyond what is kept.
fn pairs(folder: &Path, words: &[usize]) -> PathBuf {
    let text = "berlin has many people and old museums on the river where children learn to swim ".repeat(60);
    let line = |&count: &usize| {
        let document: Vec<&str> = text.split_inclusive(' ').skip(count % 7).take(count).collect();
        json!(["how many people live in berlin", document.concat()]).to_string() + "\n"
    };
    let path = folder.join("pairs.jsonl");
    std::fs::write(&path, words.iter().map(line).collect::<String>()).unwrap();
    path
}

fn arguments<'a>(command: &'a str, pairs: &'a Path, model: &'a Path) -> [&'a str; 9] {
    let (pairs, model) = (pairs.to_str().unwrap(), model.to_str().unwrap());
    [command, "--pairs", pairs, "--model", model, "--device", "cpu", "--max-length", "512"]
}

/// Compares the program with transformers in f64 on the same token ids.
fn agrees_with_transformers(test: &str, shape: &str) {
    let Some(folder) = checkpoint(test, shape) else { return };
    let pairs = pairs(folder.path(), &[1, 5, 20, 60, 150, 400]);
    let run = |command| outcome(crossrank().args(arguments(command, &pairs, folder.path()))).stdout;
    let ids = folder.path().join("ids.jsonl");
    std::fs::write(&ids, run("tokenize")).unwrap();
    let (model, ids) = (folder.path().to_str().unwrap(), ids.to_str().unwrap());
    let Some(reference) = script("reference_logits.py", &[model, ids]) else {
        println!("skipped: {test}: Python has no torch or no transformers");
        return;
    };
    let logits = |text: &str| json_lines(text).iter().map(|line| line["logit"].as_f64().unwrap()).collect();
    let (found, expected): (Vec<f64>, Vec<f64>) = (logits(&run("score")), logits(&reference));
    assert_eq!((found.len(), expected.len()), (6, 6));
    let relative = |(found, expected): (&f64, &f64)| (found - expected).abs() / expected.abs().max(1.0);
    let worst = found.iter().zip(&expected).map(relative).fold(0.0, f64::max);
    println!("{shape}: largest relative difference {worst:.1e} of logits {expected:.2?}");
    // The promise of the f32 path.
    assert!(worst <= 2e-5, "{worst:e}");
}

#[test]
fn bge_m3_of_full_size_agrees_with_transformers() {
    agrees_with_transformers("bge_m3_of_full_size_agrees_with_transformers", "bge-m3");
}

#[test]
fn jina_v2_of_full_size_agrees_with_transformers() {
    agrees_with_transformers("jina_v2_of_full_size_agrees_with_transformers", "jina-v2");
}

#[test]
fn minilm_l12_of_full_size_agrees_with_transformers() {
    agrees_with_transformers("minilm_l12_of_full_size_agrees_with_transformers", "minilm-l12");
}

/// The peak of a process's resident memory in bytes, touched pages of mapped files included.
#[cfg(target_os = "linux")]
fn peak_bytes(command: &mut Command) -> u64 {
    let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
    let status = format!("/proc/{}/status", child.id());
    let mut peak = 0;
    while child.try_wait().unwrap().is_none() {
        let status = std::fs::read_to_string(&status).unwrap_or_default();
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")?.trim().strip_suffix(" kB"));
        peak = line.and_then(|kilobytes| kilobytes.trim().parse::<u64>().ok()).map_or(peak, |kb| kb * 1024);
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    assert!(child.wait().unwrap().success());
    peak
}

#[test]
#[cfg(target_os = "linux")]
fn two_gigabytes_of_weights_are_not_held_twice() {
    let Some(folder) = checkpoint("two_gigabytes_of_weights_are_not_held_twice", "bge-m3") else { return };
    let pairs = pairs(folder.path(), &[600; 8]);
    let mut command = Command::new(crossrank().get_program());
    let peak = peak_bytes(command.args(arguments("score", &pairs, folder.path())));
    let file = folder.path().join("model.safetensors").metadata().unwrap().len();
    let share = peak as f64 / file as f64;
    println!("peak of 8 x 512 tokens: {peak} bytes, {share:.2} times the file of {file} bytes");
    assert!(share <= 1.35, "{share}");
}
