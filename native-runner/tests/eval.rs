//! `crossrank eval` and `crossrank verify` as people run them.

// Clippy only knows functions marked as tests; those beside them may panic as well.
#![allow(clippy::unwrap_used)]

mod program;

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use program::tiny_model::TinyModel;
use program::{crossrank, fails, file, stdout};
use serde_json::{Value, json};
use tempfile::TempDir;

/// A collection whose second document is an attack on the report.
fn collection() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let documents =
        ["berlin has many people", "<script>alert('people')</script> \" onload=", "the museum in the city"];
    let corpus =
        documents.iter().enumerate().map(|(id, text)| json!({ "_id": format!("d{id}"), "text": text }));
    let queries =
        [json!({"_id": "q1", "text": "how many people"}), json!({"_id": "q2", "text": "museum <b>"})];
    write_lines(folder.path(), "corpus.jsonl", corpus);
    write_lines(folder.path(), "queries.jsonl", queries.into_iter());
    std::fs::create_dir(folder.path().join("qrels")).unwrap();
    file(folder.path(), "qrels/test.tsv", "query-id\tcorpus-id\tscore\nq1\td0\t2\nq1\td1\t1\nq2\td2\t1\n");
    folder
}

fn write_lines(folder: &Path, name: &str, values: impl Iterator<Item = Value>) {
    let lines: String = values.map(|value| format!("{value}\n")).collect();
    file(folder, name, lines);
}

/// `crossrank eval` of `folder` with scores kept in it.
fn eval(folder: &Path, more: &[&str]) -> Value {
    let cache = folder.join("cache");
    let arguments = [
        "eval",
        "--dataset",
        folder.to_str().unwrap(),
        "--format",
        "json",
        "--cache",
        cache.to_str().unwrap(),
    ];
    serde_json::from_str(&stdout(&[&arguments[..], more].concat(), "")).unwrap()
}

fn cache(folder: &Path) -> String {
    let entries = std::fs::read_dir(folder.join("cache")).unwrap().map(|entry| entry.unwrap().path());
    std::fs::read_to_string(entries.last().unwrap()).unwrap()
}

#[test]
fn json_has_every_stage_and_what_it_says() {
    let (folder, model) = (collection(), TinyModel::new());
    let found = eval(folder.path(), &["--model", model.path(), "--top-k", "10"]);
    let stages = found["stages"].as_array().unwrap();
    assert_eq!(stages[0]["name"], "bm25");
    assert!(stages[1]["name"].as_str().unwrap().starts_with("bm25 > "));
    for measure in ["ndcg@10", "mrr@10", "map", "recall@10", "p@1"] {
        assert!(stages.iter().all(|stage| stage[measure].is_f64()), "{measure}: {found}");
    }
    // Reranking puts the same documents in another order.
    assert_eq!(stages[0]["recall@10"], stages[1]["recall@10"]);
    assert_eq!((stages[0]["p@1"].as_f64(), stages[1]["pairs"].as_u64()), (Some(1.0), Some(3)));
    assert_eq!(found["significance"][0]["queries"], 2);
    assert!(found["findings"].as_array().unwrap().len() >= 2);
}

#[test]
fn a_report_shows_hostile_texts_as_text_and_loads_nothing() {
    let (folder, model) = (collection(), TinyModel::new());
    let path = folder.path().join("report.html");
    let (path, split) = (path.to_str().unwrap(), folder.path().join("qrels/<i>.tsv"));
    std::fs::copy(folder.path().join("qrels/test.tsv"), split).unwrap();
    // Both queries must change for their texts to be shown: a run that has everything the wrong way round.
    let run = file(
        folder.path(),
        "<img>.trec",
        "q1 Q0 d2 1 3 t\nq1 Q0 d1 2 2 t\nq1 Q0 d0 3 1 t\nq2 Q0 d1 1 3 t\nq2 Q0 d2 2 2 t\n",
    );
    let stage = format!("run:{run}");
    eval(
        folder.path(),
        &["--model", model.path(), "--split", "<i>", "--first-stage", &stage, "--report", path],
    );
    let html = std::fs::read_to_string(path).unwrap();
    for hostile in ["<script", "<b>m", "<i>,", "<img>", "alert('", "\" onload="] {
        assert!(!html.contains(hostile), "{hostile}");
    }
    assert!(html.contains("&lt;script&gt;alert(&#39;people&#39;)&lt;/script&gt; &quot; onload="), "{html}");
    assert!(html.contains("<svg") && html.contains("default-src 'none'"));
    for loads in ["src=", "href=", "@import", "url("] {
        assert!(!html.contains(loads), "{loads}");
    }
}

#[test]
fn a_second_run_reuses_scores_and_one_after_an_interrupt_adds_what_is_missing() {
    let (folder, model) = (collection(), TinyModel::new());
    let arguments = ["--model", model.path()];
    let first = eval(folder.path(), &arguments);
    let stored = cache(folder.path());
    assert_eq!(stored.lines().count(), 3);
    assert_eq!(eval(folder.path(), &arguments), first);
    assert_eq!(cache(folder.path()), stored);
    let path = std::fs::read_dir(folder.path().join("cache")).unwrap().next().unwrap().unwrap().path();
    std::fs::write(&path, &stored[..stored.len() - 5]).unwrap();
    let again = eval(folder.path(), &arguments);
    assert_eq!(again["stages"][1]["ndcg@10"], first["stages"][1]["ndcg@10"]);
    assert_eq!(cache(folder.path()).lines().count(), 3);
    // Another dtype has other scores.
    eval(folder.path(), &["--model", model.path(), "--dtype", "q8"]);
    assert_eq!(std::fs::read_dir(folder.path().join("cache")).unwrap().count(), 2);
}

#[test]
fn what_was_scored_before_a_kill_is_there_after_it() {
    let folder = tempfile::tempdir().unwrap();
    let text =
        |id: usize| format!("Document {id} about the people of Berlin. {}", "It has words. ".repeat(id % 60));
    write_lines(
        folder.path(),
        "corpus.jsonl",
        (0..100).map(|id| json!({"_id": format!("d{id}"), "text": text(id)})),
    );
    write_lines(
        folder.path(),
        "queries.jsonl",
        (0..3).map(|id| json!({"_id": format!("q{id}"), "text": "people of Berlin"})),
    );
    std::fs::create_dir(folder.path().join("qrels")).unwrap();
    file(folder.path(), "qrels/test.tsv", "q0 0 d1 1\nq1 0 d2 1\nq2 0 d3 1\n");
    let path = folder.path().to_str().unwrap().to_owned();
    let like = crossrank();
    let mut command = Command::new(like.get_program());
    command.envs(like.get_envs().filter_map(|(name, value)| Some((name, value?))));
    command.args([
        "eval",
        "--dataset",
        &path,
        "--cache",
        &format!("{path}/cache"),
        "--top-k",
        "100",
        "--threads",
        "1",
    ]);
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let scored = || folder.path().join("cache").exists() && cache(folder.path()).lines().count() > 0;
    while !scored() {
        assert!(child.try_wait().unwrap().is_none(), "it ended before anything was stored");
        std::thread::sleep(Duration::from_millis(20));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    let stored = cache(folder.path());
    // The queries are alike, so all of them have the pairs of one.
    assert!(stored.lines().count() < 100, "it ended before it was killed");
    eval(folder.path(), &["--top-k", "100"]);
    let whole = cache(folder.path());
    assert!(whole.starts_with(&stored) && whole.lines().count() == 100);
}

#[test]
fn runs_are_measured_without_a_corpus_and_written_as_they_were_read() {
    let folder = tempfile::tempdir().unwrap();
    let qrels = file(folder.path(), "qrels", "q1 0 a 1\nq1 0 b 0\nq2 0 c 1\n");
    let run = file(folder.path(), "mine.trec", "q1 Q0 b 1 2 t\nq1 Q0 a 2 1.5 t\n");
    let (stage, out) = (format!("run:{run}"), folder.path().join("out"));
    let arguments = ["eval", "--qrels", &qrels, "--first-stage", &stage, "--runs-out", out.to_str().unwrap()];
    let table = stdout(&arguments, "");
    // q1 has 1 / log2(3), q2 has no ranking and counts 0.
    assert!(table.lines().nth(1).unwrap().starts_with("mine   0.3155"), "{table}");
    let written = std::fs::read_to_string(out.join("mine.trec")).unwrap();
    assert_eq!(written, "q1 Q0 b 1 2 crossrank\nq1 Q0 a 2 1.5 crossrank\n");
}

#[test]
fn sweeps_add_a_stage_for_each_length_and_dtype() {
    let (folder, model) = (collection(), TinyModel::new());
    let found = eval(
        folder.path(),
        &["--model", model.path(), "--sweep-length", "1,9", "--sweep-dtype", "f32,q8", "--sweep-k", "1,2"],
    );
    let stages = found["stages"].as_array().unwrap();
    let names: Vec<&str> = stages.iter().map(|stage| stage["name"].as_str().unwrap()).collect();
    assert_eq!(names.len(), 5);
    assert!(names[1].ends_with(" f32, 1 tokens") && names[4].ends_with(" q8, 9 tokens"), "{names:?}");
    let said = |words: &str| {
        found["findings"].as_array().unwrap().iter().any(|finding| finding.as_str().unwrap().contains(words))
    };
    assert!(said("q8, 9 tokens beside") && said("Reranking the best 2 is within 1 %"), "{found}");
    assert!(stages[2]["tau"].is_f64() && stages[1].get("tau").is_none());
    assert_eq!(found["depths"][names[1]].as_array().unwrap().len(), 2);
}

#[test]
fn bad_arguments_and_collections_say_what_to_do() {
    let folder = collection();
    let path = folder.path().to_str().unwrap();
    fails(&["eval", "--dataset", path, "--first-stage", "bm26"], "", 2, &["expected bm25"]);
    fails(&["eval", "--first-stage", "bm25"], "", 2, &["--qrels"]);
    let qrels = folder.path().join("qrels/test.tsv");
    fails(
        &["eval", "--qrels", qrels.to_str().unwrap()],
        "",
        2,
        &["error[invalid_input]: --dataset is missing"],
    );
    fails(&["eval", "--dataset", path, "--first-stage", "hybrid"], "", 2, &["--dense-model is missing"]);
    fails(
        &["eval", "--dataset", "/nowhere"],
        "",
        2,
        &["error[invalid_input]: cannot read /nowhere/qrels/test.tsv"],
    );
    fails(&["eval", "--dataset", path, "--language", "klingon"], "", 2, &["ISO 639"]);
    let run = file(folder.path(), "nan.trec", "q1 Q0 d1 1 NaN t\n");
    fails(
        &["eval", "--dataset", path, "--first-stage", &format!("run:{run}")],
        "",
        2,
        &["line 1 of", "\"NaN\""],
    );
}

#[test]
fn verify_passes_the_embedded_model_and_fails_what_it_cannot_check() {
    let table = stdout(&["verify", "default"], "");
    assert!(table.ends_with("2 of 2 checks passed\n") && !table.contains("fail"), "{table}");
    fails(&["verify", "bge-v2-m3"], "", 4, &["error[offline]"]);
    fails(&["verify", "no-such-model"], "", 3, &["error[model_not_found]"]);
}

#[test]
fn structured_facts_have_a_row_for_each_form() {
    let (folder, model) = (tempfile::tempdir().unwrap(), TinyModel::new());
    let facts = file(
        folder.path(),
        "facts.jsonl",
        r#"{"id":"a","query":"how many people","relevant":true,"prose":"berlin has many people","record":{"city":"berlin","people":"many"}}"#,
    );
    let found = stdout(&["eval", "--structured", &facts, "--model", model.path(), "--format", "json"], "");
    let found: Value = serde_json::from_str(&found).unwrap();
    let forms: Vec<&str> =
        found["forms"].as_array().unwrap().iter().map(|form| form["form"].as_str().unwrap()).collect();
    assert_eq!(forms, ["prose", "JSON text", "object, read as YAML", "Markdown table"]);
    assert_eq!(found["records"], 1);
}

#[test]
fn an_english_model_on_another_language_is_told_so() {
    let folder = tempfile::tempdir().unwrap();
    write_lines(
        folder.path(),
        "corpus.jsonl",
        [json!({"_id": "d", "text": "柏林有三百万人口。"})].into_iter(),
    );
    write_lines(
        folder.path(),
        "queries.jsonl",
        [json!({"_id": "q", "text": "柏林有多少人口？"})].into_iter(),
    );
    std::fs::create_dir(folder.path().join("qrels")).unwrap();
    file(folder.path(), "qrels/test.tsv", "q 0 d 1\n");
    let found = eval(folder.path(), &[]).to_string();
    assert!(found.contains("default was trained on English, queries look like Mandarin"), "{found}");
}
