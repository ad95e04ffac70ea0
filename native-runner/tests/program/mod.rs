//! Runs the real program, away from the environment of whoever runs the tests.

// Every test file is a program of its own and uses its share of this one.
#![allow(dead_code)]

use std::path::Path;

use assert_cmd::Command;
use serde_json::Value;

pub(crate) mod server;
pub(crate) mod tiny_model;

/// What the program said and how it ended.
pub(crate) struct Outcome {
    pub(crate) status: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

/// `crossrank` with none of its variables set, and with no network.
pub(crate) fn crossrank() -> Command {
    let mut command = Command::cargo_bin("crossrank").unwrap();
    for (name, _) in
        std::env::vars().filter(|(name, _)| name.starts_with("CROSSRANK_") || name.starts_with("HF_"))
    {
        command.env_remove(name);
    }
    // No test downloads; an empty cache makes them the same everywhere.
    command.env("HF_HOME", concat!(env!("CARGO_TARGET_TMPDIR"), "/empty-cache")).env("HF_HUB_OFFLINE", "1");
    // Mesa's Vulkan driver complains on standard error where it is not set.
    command.env("XDG_RUNTIME_DIR", env!("CARGO_TARGET_TMPDIR"));
    command
}

pub(crate) fn outcome(command: &mut Command) -> Outcome {
    let output = command.output().unwrap();
    Outcome {
        status: output.status.code().unwrap(),
        stdout: String::from_utf8(output.stdout).unwrap(),
        stderr: String::from_utf8(output.stderr).unwrap(),
    }
}

pub(crate) fn run(arguments: &[&str]) -> Outcome {
    outcome(crossrank().args(arguments))
}

/// Runs `arguments`, which must succeed, with `input` on standard input.
pub(crate) fn stdout(arguments: &[&str], input: impl Into<Vec<u8>>) -> String {
    let outcome = outcome(crossrank().args(arguments).write_stdin(input));
    assert_eq!(outcome.status, 0, "{arguments:?}: {}", outcome.stderr);
    outcome.stdout
}

/// Runs `arguments`, which must fail with `status` and say `words`, printing no data.
pub(crate) fn fails(arguments: &[&str], input: impl Into<Vec<u8>>, status: i32, words: &[&str]) -> Outcome {
    let outcome = outcome(crossrank().args(arguments).write_stdin(input));
    assert_eq!(outcome.status, status, "{arguments:?}: {}{}", outcome.stdout, outcome.stderr);
    assert_eq!(outcome.stdout, "", "{arguments:?} printed data");
    for words in words {
        assert!(outcome.stderr.contains(words), "{arguments:?}: {words:?} is not in {}", outcome.stderr);
    }
    assert!(!outcome.stderr.contains("panicked"), "{}", outcome.stderr);
    outcome
}

pub(crate) fn json_lines(text: &str) -> Vec<Value> {
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// `name` with `content` in `folder`, as an argument.
pub(crate) fn file(folder: &Path, name: &str, content: impl AsRef<[u8]>) -> String {
    let path = folder.join(name);
    std::fs::write(&path, content).unwrap();
    path.to_str().unwrap().to_owned()
}
