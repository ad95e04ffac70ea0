//! `crossrank eval` on collections by name, in several languages, and searched by vectors.

// Clippy only knows functions marked as tests; those beside them may panic as well.
#![allow(clippy::unwrap_used)]

#[path = "../../crates/hub/tests/server/mod.rs"]
mod hub;
mod program;

use std::path::{Path, PathBuf};

use program::tiny_model::TinyModel;
use program::{crossrank, fails, file, outcome};
use serde_json::Value;
use tempfile::TempDir;

const CORPUS: &str = "{\"_id\":\"d0\",\"text\":\"berlin has many people\"}
{\"_id\":\"d1\",\"title\":\"museum\",\"text\":\"in the city\"}
{\"_id\":\"d2\",\"text\":\"柏林有三百万人口\"}
";
const QUERIES: &str =
    "{\"_id\":\"q1\",\"text\":\"how many people live in berlin\",\"metadata\":{\"lang\":\"en\"}}
{\"_id\":\"q2\",\"text\":\"柏林有多少人口\",\"language\":\"zh\",\"metadata\":\"none\"}
";
const QRELS: &str = "query-id\tcorpus-id\tscore\r\nq1\td0\t1\r\nq2\td2\t1\r\n";

fn collection() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("qrels")).unwrap();
    file(folder.path(), "corpus.jsonl", CORPUS);
    file(folder.path(), "queries.jsonl", QUERIES);
    file(folder.path(), "qrels/test.tsv", QRELS);
    folder
}

/// `crossrank eval` in JSON, with what it keeps in `home`.
fn eval(home: &Path, arguments: &[&str], set: &[(&str, &str)]) -> Value {
    let cache = home.join("cache");
    let mut command = crossrank();
    command.args(["eval", "--format", "json", "--cache", cache.to_str().unwrap()]);
    let found = outcome(command.args(arguments).env("HF_HOME", home).envs(set.iter().copied()));
    assert_eq!(found.status, 0, "{}", found.stderr);
    serde_json::from_str(&found.stdout).unwrap()
}

/// The only file in `home`'s cache.
fn kept(home: &Path) -> PathBuf {
    std::fs::read_dir(home.join("cache")).unwrap().next().unwrap().unwrap().path()
}

#[test]
fn a_collection_by_name_is_downloaded_once() {
    let files = [("corpus.jsonl", CORPUS), ("queries.jsonl", QUERIES), ("qrels/test.tsv", QRELS)];
    let files = files.into_iter().map(|(name, text)| (name, text.as_bytes().to_vec())).collect();
    let server = hub::Server::sound(hub::Repository { path: "/datasets/mteb/fiqa", files, storage: None });
    let home = tempfile::tempdir().unwrap();
    let online = [("HF_ENDPOINT", server.url.as_str()), ("HF_HUB_OFFLINE", "0")];
    let arguments = ["--dataset", "fiqa", "--no-rerank"];
    let found = eval(home.path(), &arguments, &online);
    assert_eq!((&found["dataset"], &found["documents"]), (&"fiqa".into(), &3.into()));
    assert_eq!(found["stages"][0]["ndcg@10"], 1.0);
    let asked = server.requests().len();
    assert_eq!(eval(home.path(), &arguments, &[]), found);
    let mut pull = crossrank();
    let pulled = outcome(pull.args(["pull", "fiqa"]).env("HF_HOME", home.path()));
    assert!(Path::new(pulled.stdout.trim_end()).join("qrels/test.tsv").is_file(), "{}", pulled.stderr);
    assert_eq!(server.requests().len(), asked);
}

#[test]
fn a_name_that_cannot_be_had_says_what_to_do() {
    let offline = ["error[offline]", "run `crossrank pull scifact --split dev` with a network first"];
    fails(&["eval", "--dataset", "scifact", "--split", "dev"], "", 4, &offline);
    let unknown = ["error[invalid_input]: there is no folder and no collection \"scifax\"", "nq, scidocs"];
    fails(&["eval", "--dataset", "scifax"], "", 2, &unknown);
}

#[test]
fn every_language_of_the_queries_has_rows_of_its_own() {
    let (folder, model) = (collection(), TinyModel::new());
    let (path, report) = (folder.path().to_str().unwrap(), folder.path().join("report.html"));
    let arguments = ["--dataset", path, "--model", model.path(), "--report", report.to_str().unwrap()];
    let found = eval(folder.path(), &arguments, &[]);
    let languages = found["languages"].as_array().unwrap();
    assert_eq!(languages.len(), 2);
    for (rows, language) in languages.iter().zip(["en", "zh"]) {
        assert_eq!((&rows["language"], &rows["queries"]), (&language.into(), &1.into()));
        assert_eq!(rows["stages"].as_array().unwrap().len(), 2);
        assert_eq!(rows["significance"][0]["queries"], 1);
    }
    // The mean over all queries is that of the languages, which have one query each.
    let ndcg = |found: &Value| found["stages"][1]["ndcg@10"].as_f64().unwrap();
    assert!((ndcg(&found) - (ndcg(&languages[0]) + ndcg(&languages[1])) / 2.0).abs() < 1e-12);
    let html = std::fs::read_to_string(report).unwrap();
    assert!(html.contains("<h2>en, 1 queries</h2>") && html.contains("<h2>zh, 1 queries</h2>"));
}

#[test]
fn queries_of_each_language_are_searched_by_its_own_rules() {
    let folder = collection();
    let documents = "{\"_id\":\"de\",\"text\":\"die Häuser an der Straße\"}\n{\"_id\":\"es\",\"text\":\"las canciones\"}\n";
    let queries = "{\"_id\":\"q1\",\"text\":\"Welches Haus steht in der schönen Stadt?\",\"lang\":\"de\"}
{\"_id\":\"q2\",\"text\":\"¿Quién escribió esta canción en la ciudad?\",\"lang\":\"es\"}\n";
    file(folder.path(), "corpus.jsonl", documents);
    file(folder.path(), "queries.jsonl", queries);
    file(folder.path(), "qrels/test.tsv", "q1 0 de 1\nq2 0 es 1\n");
    let arguments = ["--dataset", folder.path().to_str().unwrap(), "--no-rerank"];
    // Haus is the stem of Häuser in German alone, canción that of canciones in Spanish alone.
    assert_eq!(eval(folder.path(), &arguments, &[])["stages"][0]["recall@100"], 1.0);
    let german = eval(folder.path(), &[&arguments[..], &["--language", "de"]].concat(), &[]);
    assert_eq!(german["stages"][0]["recall@100"], 0.5);
}

#[test]
fn a_second_dense_search_uses_the_vectors_of_the_first() {
    let (folder, model) = (collection(), TinyModel::new());
    let path = folder.path().to_str().unwrap();
    let arguments =
        ["--dataset", path, "--no-rerank", "--first-stage", "dense", "--dense-model", model.path()];
    let found = eval(folder.path(), &arguments, &[]);
    let file = kept(folder.path());
    let stored = std::fs::read(&file).unwrap();
    // Three documents of 32 numbers in f32.
    assert_eq!(stored.len(), 3 * 32 * 4);
    // A document that has the other's vector is found in its place: the stored ones are what is searched.
    let (first, rest) = stored.split_at(128);
    std::fs::write(&file, [&rest[128..], &rest[..128], first].concat()).unwrap();
    let swapped = eval(folder.path(), &[&arguments[..], &["--runs-out", path]].concat(), &[]);
    assert_ne!(swapped["stages"], found["stages"]);
    // A run that was interrupted after the first document goes on with the second.
    std::fs::write(&file, &stored[..130]).unwrap();
    assert_eq!(eval(folder.path(), &arguments, &[]), found);
    let again = std::fs::read(&file).unwrap();
    assert!(again.len() == stored.len() && again.starts_with(first));
    // Another corpus has vectors of its own.
    std::fs::write(folder.path().join("corpus.jsonl"), format!("{CORPUS}\n")).unwrap();
    eval(folder.path(), &arguments, &[]);
    assert_eq!(std::fs::read_dir(folder.path().join("cache")).unwrap().count(), 2);
}
