//! A corpus is never in memory: what it takes does not grow with it. The only test of its program, so that it measures
//! itself.

#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, clippy::print_stdout)]

use std::io::{BufWriter, Write};

use crossrank_eval::{Analyzer, Corpus, Search, bm25};

/// The process's greatest resident memory so far, in bytes.
fn peak_bytes() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() * 1024
}

#[test]
fn a_large_corpus_takes_the_memory_of_a_few_documents() {
    // 2 GB with ./build.sh test --all.
    let megabytes = if std::env::var_os("CROSSRANK_HEAVY").is_some() { 2048 } else { 64 };
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("corpus.jsonl");
    let mut out = BufWriter::new(std::fs::File::create(&path).unwrap());
    let text = "Berlin has many museums and more people than any other city of the country. ".repeat(26);
    for id in 0..megabytes * 512 {
        writeln!(out, "{{\"_id\":\"d{id}\",\"title\":\"\",\"text\":\"{text}\"}}").unwrap();
    }
    out.flush().unwrap();
    let before = peak_bytes();
    let queries = [("q".to_owned(), "museums in the city".to_owned())].into();
    let search = Search { queries: &queries, depth: 100, candidates: None };
    let analyzer = Analyzer::new("en").unwrap();
    let run = bm25(&Corpus { path }, &search, &analyzer).unwrap();
    let took = peak_bytes() - before;
    println!("{megabytes} MB took {} MB of memory", took >> 20);
    assert_eq!(run["q"].len(), 100);
    // A chunk of 1,024 documents with the words of those in work is 16 MB; identifiers' hashes, 16 bytes a document.
    assert!(took < (32 << 20) + megabytes * 512 * 16, "{took}");
}
