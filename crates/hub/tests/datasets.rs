//! Collections come and stay as models do.

// Clippy only knows functions marked as tests; those beside them may panic as well.
#![allow(clippy::unwrap_used)]

mod server;

use std::fs;

use crossrank_hub::{Dataset, Progress};
use server::{Repository, Server};
use tempfile::tempdir;

const QRELS: &str = "query-id\tcorpus-id\tscore\nq\td\t1\n";

fn silent(_: Progress) {}

/// A hub that has `path` with one document, one query and one judgement.
fn hub_with(path: &'static str) -> Server {
    let files = [("corpus.jsonl", "{}\n"), ("queries.jsonl", "{}\n"), ("qrels/dev.tsv", QRELS)];
    let files = files.into_iter().map(|(file, text)| (file, text.as_bytes().to_vec()));
    Server::sound(Repository { path, files: files.collect(), storage: None })
}

#[test]
fn a_pulled_collection_lies_in_beirs_layout_where_python_keeps_datasets() {
    let (server, cache) = (hub_with("/datasets/mteb/fiqa"), tempdir().unwrap());
    let fiqa = Dataset::find("fiqa", "dev").unwrap();
    let folder = server.hub(&cache).pull(&fiqa, &silent).unwrap();
    assert!(folder.starts_with(cache.path().join("datasets--mteb--fiqa/snapshots")), "{folder:?}");
    assert_eq!(fs::read_to_string(folder.join("qrels/dev.tsv")).unwrap(), QRELS);
    assert!(server.requests()[0].path.contains(&fiqa.revision), "{:?}", server.requests()[0]);
    let asked = server.requests().len();
    assert_eq!(server.hub(&cache).offline(true).pull(&fiqa, &silent).unwrap(), folder);
    assert_eq!(server.requests().len(), asked);
}

#[test]
fn a_split_that_is_not_here_is_named_with_what_brings_it() {
    let (server, cache) = (hub_with("/datasets/mteb/fiqa"), tempdir().unwrap());
    server.hub(&cache).pull(&Dataset::find("fiqa", "dev").unwrap(), &silent).unwrap();
    let test = Dataset::find("fiqa", "test").unwrap();
    let error = server.hub(&cache).offline(true).pull(&test, &silent).unwrap_err();
    assert_eq!(error.code(), "offline");
    assert!(error.to_string().contains("crossrank pull fiqa --split test"), "{error}");
    let error = server.hub(&cache).pull(&test, &silent).unwrap_err();
    assert!(error.to_string().contains("has no qrels/test.tsv"), "{error}");
    let outside = Dataset::find("fiqa", "../../x").unwrap();
    assert_eq!(server.hub(&cache).pull(&outside, &silent).unwrap_err().code(), "model_not_found");
}

#[test]
fn a_collection_that_is_not_the_listed_one_is_refused() {
    let (server, cache) = (hub_with("/datasets/mteb/scifact"), tempdir().unwrap());
    let error = server.hub(&cache).pull(&Dataset::find("scifact", "dev").unwrap(), &silent).unwrap_err();
    assert_eq!(error.code(), "integrity_mismatch");
    assert!(error.to_string().contains("8023638 bytes"), "{error}");
    assert_eq!(server.gets("corpus.jsonl"), 0);
}
