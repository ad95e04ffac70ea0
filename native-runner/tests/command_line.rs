//! Help, environment variables, completions, lists, pipes.

// Clippy only knows functions marked as tests; those beside them may panic and print as well.
#![allow(clippy::unwrap_used, clippy::print_stdout)]

mod program;

use std::io::{BufRead, BufReader, Write};
use std::process::{Command, Stdio};

use program::tiny_model::TinyModel;
use program::{crossrank, fails, json_lines, outcome, run, stdout};

fn help(arguments: &[&str]) -> String {
    let outcome = outcome(crossrank().args(arguments).env("COLUMNS", "100"));
    assert_eq!(outcome.status, 0, "{}", outcome.stderr);
    outcome.stdout
}

/// Compares `text` with the file of that name, which `UPDATE_HELP=1` writes anew for a review.
fn assert_reviewed(name: &str, text: &str) {
    let path = format!("{}/tests/help/{name}.txt", env!("CARGO_MANIFEST_DIR"));
    if std::env::var_os("UPDATE_HELP").is_some() {
        std::fs::write(&path, text).unwrap();
    }
    let reviewed = std::fs::read_to_string(&path).unwrap().replace("\r\n", "\n");
    assert_eq!(text, reviewed, "the help changed: run with UPDATE_HELP=1 and review {path}");
}

#[test]
fn help_is_as_reviewed() {
    assert_reviewed("crossrank", &help(&["--help"]));
    for command in [
        "rerank",
        "score",
        "serve",
        "tokenize",
        "bench",
        "eval",
        "verify",
        "models",
        "pull",
        "convert",
        "devices",
        "completions",
    ] {
        assert_reviewed(command, &help(&[command, "--help"]));
    }
}

#[test]
fn every_option_has_an_environment_variable() {
    for command in [
        "rerank", "score", "serve", "tokenize", "bench", "eval", "verify", "models", "pull", "convert",
        "devices",
    ] {
        let help = help(&[command, "--help"]);
        let is_option = |line: &&str| line.trim_start().starts_with('-') && line.contains("--");
        let options = help.lines().filter(is_option).filter(|line| !line.contains("--help")).count();
        let variables = help.matches("[env: CROSSRANK_").count();
        assert!(options > 0 && variables >= options, "{command}: {help}");
    }
}

#[test]
fn the_environment_sets_options_and_the_command_line_wins() {
    let documents = "Berlin has museums.\nBerlin has 3.5 million inhabitants.\n";
    let mut command = crossrank();
    let query = ("CROSSRANK_QUERY", "How many people live in Berlin?");
    command.env(query.0, query.1).env("CROSSRANK_TOP_N", "1").env("CROSSRANK_RAW_SCORES", "yes");
    command.args(["rerank", "--documents", "-"]).write_stdin(documents);
    let lines = json_lines(&outcome(&mut command).stdout);
    assert_eq!((lines.len(), lines[0]["index"].as_u64(), lines[0]["logit"].is_number()), (1, Some(1), true));
    command.args(["--top-n", "2"]);
    assert_eq!(json_lines(&outcome(&mut command).stdout).len(), 2);
    command.env("CROSSRANK_RAW_SCORES", "0");
    assert!(json_lines(&outcome(&mut command).stdout)[0].get("logit").is_none());
}

#[test]
fn a_model_runs_from_its_folder_in_any_number_of_threads() {
    let model = TinyModel::new();
    let scores = |threads| {
        let arguments = ["score", "--pairs", "-", "--threads", threads, "--model", model.path()];
        stdout(&arguments, "[\"how many\",\"berlin has many people\"]")
    };
    assert_eq!(scores("1"), scores("2"));
}

#[test]
fn bench_tells_the_share_of_a_peak() {
    let model = TinyModel::new();
    let bench = ["bench", "--pairs", "-", "--rounds", "2", "--model", model.path()];
    let pair = "[\"how many\",\"berlin has many people\"]";
    let found = &json_lines(&stdout(&[&bench[..], &["--peak-tflops", "0.5"]].concat(), pair))[0];
    let [percent, rate] = ["percent_of_peak", "gflop_per_s"].map(|name| found[name].as_f64().unwrap());
    // A GFLOP per second is 0.2 % of 500.
    assert!(rate > 0.0 && (percent / rate - 0.2).abs() < 1e-9, "{found}");
    assert!(json_lines(&stdout(&bench, pair))[0]["percent_of_peak"].is_null());
    for peak in ["0", "nan", "inf", "fast"] {
        fails(&[&bench[..], &["--peak-tflops", peak]].concat(), pair, 2, &["--peak-tflops <N>", "it "]);
    }
}

#[test]
fn completions_name_the_commands() {
    for shell in ["bash", "zsh", "fish", "powershell", "elvish"] {
        let script = stdout(&["completions", shell], "");
        assert!(script.contains("rank-fields") && script.contains("tokenize"), "{shell}");
    }
    fails(&["completions", "tcsh"], "", 2, &["possible values: bash"]);
}

#[test]
fn models_lists_names_licences_and_sizes() {
    let table = stdout(&["models"], "");
    for words in ["default", "jina-v2", "bge-v2-m3", "bge-base", "bge-large", "CC-BY-NC-4.0", "Apache-2.0"] {
        assert!(table.contains(words), "{words} is not in {table}");
    }
    let list: serde_json::Value = serde_json::from_str(&stdout(&["models", "--format", "json"], "")).unwrap();
    assert!(list.as_array().unwrap().iter().any(|model| model["name"] == "default"));
}

#[test]
fn devices_lists_the_cpu() {
    let table = stdout(&["devices"], "");
    assert!(table.lines().nth(1).unwrap().starts_with("cpu"), "{table}");
    let list: serde_json::Value =
        serde_json::from_str(&stdout(&["devices", "--format", "json"], "")).unwrap();
    assert_eq!((&list[0]["name"], &list[0]["kind"]), (&"cpu".into(), &"cpu".into()));
}

#[test]
fn nothing_is_said_in_color_or_on_a_bar_where_there_is_no_terminal() {
    let sample = run(&["rerank", "--sample"]);
    assert!(!sample.stdout.contains('\u{1b}') && !sample.stderr.contains('\u{1b}'));
    assert_eq!(sample.stderr.lines().count(), 1, "{}", sample.stderr);
}

/// The program with pipes that a test holds itself.
fn piped(arguments: &[&str]) -> std::process::Child {
    let like = crossrank();
    let mut command = Command::new(like.get_program());
    command.envs(like.get_envs().filter_map(|(name, value)| Some((name, value?))));
    command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command.spawn().unwrap()
}

#[test]
fn a_reader_that_leaves_early_is_no_error() {
    let model = TinyModel::new();
    let mut child = piped(&["score", "--pairs", "-", "--model", model.path()]);
    let mut first = String::new();
    let mut reader = BufReader::new(child.stdout.take().unwrap());
    let mut writer = child.stdin.take().unwrap();
    let pairs = "[\"how many\",\"berlin has many people\"]\n".repeat(512);
    writer.write_all(pairs.as_bytes()).unwrap();
    // The first chunk is out before the second came in: scores are streamed.
    reader.read_line(&mut first).unwrap();
    assert!(first.starts_with("{\"index\":0,"), "{first}");
    drop(reader);
    // The program may have gone already, which closes this pipe.
    let _ = writer.write_all(pairs.as_bytes());
    drop(writer);
    let output = child.wait_with_output().unwrap();
    assert_eq!((output.status.code(), String::from_utf8(output.stderr).unwrap().as_str()), (Some(0), ""));
}
