//! Rules that hold across crates: dependencies point one way, and each one has its reason in docs.

// Clippy only knows functions marked as tests; those beside them may panic as well.
#![allow(clippy::unwrap_used)]

use std::process::Command;

use serde_json::Value;

/// What each crate may use of the others.
const ALLOWED: [(&str, &[&str]); 8] = [
    ("crossrank-tokenizer", &[]),
    ("crossrank-kernels", &[]),
    ("crossrank-model", &["crossrank-kernels"]),
    ("crossrank", &["crossrank-model", "crossrank-tokenizer"]),
    ("crossrank-eval", &["crossrank"]),
    ("crossrank-hub", &[]),
    ("crossrank-wasm", &["crossrank"]),
    ("crossrank-cli", &["crossrank", "crossrank-eval", "crossrank-hub", "crossrank-model"]),
];

/// Dependencies that belong to some crates only.
const RESERVED: [(&str, &[&str]); 7] = [
    ("anyhow", &["crossrank-cli"]),
    ("axum", &["crossrank-cli"]),
    ("hyper", &["crossrank-cli"]),
    ("tokio", &["crossrank-cli"]),
    ("ureq", &["crossrank-hub"]),
    ("tokenizers", &["crossrank-tokenizer"]),
    ("wasm-bindgen", &["crossrank-wasm"]),
];

/// (crate, dependency, whether only its tests use it), for every direct dependency.
fn dependencies() -> Vec<(String, String, bool)> {
    let mut cargo = Command::new(env!("CARGO"));
    cargo.args(["metadata", "--no-deps", "--offline", "--format-version=1"]);
    let output = cargo.current_dir(env!("CARGO_MANIFEST_DIR")).output().unwrap();
    let metadata: Value = serde_json::from_slice(&output.stdout).unwrap();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let of_package = |package: &Value| {
        let name = text(&package["name"]);
        let dependency = |found: &Value| (name.clone(), text(&found["name"]), found["kind"] == "dev");
        package["dependencies"].as_array().unwrap().iter().map(dependency).collect::<Vec<_>>()
    };
    metadata["packages"].as_array().unwrap().iter().flat_map(of_package).collect()
}

#[test]
fn dependencies_point_one_way() {
    for (package, dependency, only_tests) in dependencies() {
        let (_, allowed) = ALLOWED.iter().find(|(name, _)| *name == package).unwrap();
        let ours = dependency.starts_with("crossrank");
        assert!(!ours || only_tests || allowed.contains(&dependency.as_str()), "{package} uses {dependency}");
        let reserved = RESERVED.iter().find(|(name, _)| *name == dependency);
        let has_it = reserved.is_none_or(|(_, packages)| packages.contains(&package.as_str()));
        assert!(has_it || only_tests, "{dependency} does not belong in {package}");
    }
}

#[test]
fn every_dependency_has_its_reason() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/dependencies.md");
    let reasons = std::fs::read_to_string(path).unwrap();
    let named = |name: &str| {
        let row =
            |line: &str| line.split('|').nth(1).is_some_and(|cell| cell.split(',').any(|n| n.trim() == name));
        reasons.lines().any(row)
    };
    for (package, dependency, _) in dependencies() {
        assert!(
            dependency.starts_with("crossrank") || named(&dependency),
            "{dependency} of {package} has no line"
        );
    }
}
