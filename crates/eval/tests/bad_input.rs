//! What is wrong with a collection is an error that names the line, or a warning that counts.

#![allow(clippy::unwrap_used)] // clippy.toml allows it in tests, not in what tests share

use std::path::{Path, PathBuf};

use crossrank_eval::{
    Analyzer, Collection, Corpus, EvalError, Search, Warnings, bm25, read_facts, read_qrels, read_run,
    write_run,
};
use proptest::prelude::*;
use tempfile::TempDir;

proptest! {
    #[test]
    fn no_bytes_make_a_reader_panic(bytes in prop::collection::vec(any::<u8>(), 0..200), lines in "[q0d\\t .\"{}:_id,text\\n-]{0,80}") {
        let folder = tempfile::tempdir().unwrap();
        for content in [bytes.as_slice(), lines.as_bytes()] {
            let path = file(&folder, content);
            let _ = read_qrels(&path, &mut Warnings::default());
            let _ = read_run(&path);
            let _ = read_facts(&path);
            let _ = Corpus { path }.for_each_chunk(&mut Warnings::default(), |_| Ok(()));
        }
    }
}

fn file(folder: &TempDir, content: impl AsRef<[u8]>) -> PathBuf {
    let path = folder.path().join("file");
    std::fs::write(&path, content).unwrap();
    path
}

fn line_problem<T>(result: Result<T, EvalError>) -> (usize, String) {
    match result {
        Err(EvalError::Line { line, problem, .. }) => (line, problem),
        Err(other) => panic!("{other}"),
        Ok(_) => panic!("it was accepted"),
    }
}

/// A collection of these files, with everything that was odd about it.
fn collection(corpus: &str, queries: &str, qrels: &str) -> (TempDir, Result<Vec<String>, EvalError>) {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("qrels")).unwrap();
    for (name, content) in [("corpus.jsonl", corpus), ("queries.jsonl", queries), ("qrels/test.tsv", qrels)] {
        std::fs::write(folder.path().join(name), content).unwrap();
    }
    let warnings = searched(folder.path());
    (folder, warnings)
}

fn searched(folder: &Path) -> Result<Vec<String>, EvalError> {
    let mut warnings = Warnings::default();
    let collection = Collection::open(folder, "test", None, &mut warnings)?;
    let search = Search { queries: &collection.queries, depth: 10, candidates: None };
    let run = bm25(&collection.corpus, &search, &Analyzer::new("en")?)?;
    collection.texts(&[&run], &mut warnings)?;
    Ok(warnings.iter().map(ToString::to_string).collect())
}

const CORPUS: &str =
    "{\"_id\":\"d1\",\"title\":\"Berlin\",\"text\":\"has people\"}\n{\"_id\":2,\"text\":\"museums\"}\n";
const QUERIES: &str = "{\"_id\":\"q1\",\"text\":\"people\"}\n";
const QRELS: &str = "query-id\tcorpus-id\tscore\nq1\td1\t1\n";

#[test]
fn a_sound_collection_has_no_warning() {
    assert_eq!(collection(CORPUS, QUERIES, QRELS).1.unwrap(), Vec::<String>::new());
}

#[test]
fn what_is_odd_is_counted() {
    let corpus =
        format!("{CORPUS}{{\"_id\":\"d1\",\"text\":\"again\"}}\n\n{{\"_id\":\"d3\",\"text\":null}}\n");
    let queries = format!("{QUERIES}{{\"_id\":\"q2\",\"text\":\" \"}}\n");
    let qrels = format!("{QRELS}q1\tgone1\t1\nq1\tgone2\t2\nq2\td1\t1\nq3\td1\t0\nq1\td1\t1\n");
    let found = collection(&corpus, &queries, &qrels).1.unwrap();
    let expected = [
        "2 × a judged query has no text and counts 0 (first: q2)",
        "1 × a judgement stands twice (first: d1)",
        "1 × a query has no relevant document and counts 0 (first: q3)",
        "2 × a relevant document is not in the corpus and cannot be found (first: gone1)",
        // Of the corpus and of the queries, which are read alike.
        "2 × a text is empty (first: q2)",
        "1 × an identifier stands twice; the first text with it counts (first: d1)",
    ];
    assert_eq!(found, expected);
}

#[test]
fn a_broken_corpus_names_the_line() {
    for (line, words) in [
        ("{\"_id\":\"d3\"", "\"_id\" and \"text\""),
        ("[1]", "\"_id\" and \"text\""),
        ("{\"text\":\"no identifier\"}", "_id"),
        ("{\"_id\":\"\",\"text\":\"x\"}", "is empty"),
    ] {
        let (number, problem) = line_problem(collection(&format!("{CORPUS}{line}\n"), QUERIES, QRELS).1);
        assert!(number == 3 && problem.contains(words), "{problem}");
    }
}

#[test]
fn empty_and_missing_files_are_named() {
    for (corpus, queries, qrels) in
        [("\n", QUERIES, QRELS), (CORPUS, "", QRELS), (CORPUS, QUERIES, "query-id\n")]
    {
        let error = collection(corpus, queries, qrels).1.unwrap_err();
        assert!(matches!(error, EvalError::Empty { .. }), "{error}");
    }
    let other = "{\"_id\":\"other\",\"text\":\"x\"}\n";
    assert!(matches!(collection(CORPUS, other, QRELS).1, Err(EvalError::Empty { .. })));
    let error = searched(Path::new("/nowhere")).unwrap_err();
    assert!(matches!(error, EvalError::Read { .. }) && error.to_string().contains("test.tsv"), "{error}");
}

#[test]
fn grades_are_whole_numbers_and_agree() {
    let folder = tempfile::tempdir().unwrap();
    let qrels = |text: &str| read_qrels(&file(&folder, text), &mut Warnings::default());
    // A query may be called like the heading.
    assert_eq!(qrels("query-id 0 d 1\n").unwrap()["query-id"]["d"], 1);
    assert_eq!(qrels("q 0 d -1\nq 0 e 2\n").unwrap()["q"]["d"], -1);
    for (text, line, words) in [
        ("q 0 d 1\nq 0 e 1.5\n", 2, "\"1.5\" is not a whole number"),
        ("q 0 d yes\n", 1, "\"yes\" is not a whole number"),
        ("q 0 d 1\nq 0 d 2\n", 2, "the grade 2 and, before, 1"),
        ("q d\n", 1, "a judgement is"),
        ("q 0 d 99999999999\n", 1, "is not a whole number"),
    ] {
        let (found, problem) = line_problem(qrels(text));
        assert!(found == line && problem.contains(words), "{problem}");
    }
}

#[test]
fn a_run_with_scores_that_cannot_order_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let run = |text: &str| read_run(&file(&folder, text));
    for score in ["NaN", "inf", "-inf", "1e999", "high"] {
        let (line, problem) = line_problem(run(&format!("q Q0 d 1 0.5 t\nq Q0 e 2 {score} t\n")));
        assert!(line == 2 && problem.contains("cannot order documents"), "{problem}");
    }
    assert!(line_problem(run("q Q0 d 1 0.5 t\nq Q0 d 2 0.4 t\n")).1.contains("stands twice"));
    assert!(line_problem(run("q d 0.5\n")).1.contains("query Q0 document rank score tag"));
    assert!(matches!(run(""), Err(EvalError::Empty { .. })));
}

#[test]
fn text_that_is_not_utf_8_is_refused_and_a_byte_order_mark_is_not_text() {
    let folder = tempfile::tempdir().unwrap();
    let (line, problem) = line_problem(read_run(&file(&folder, b"q Q0 d 1 1 t\nq Q0 \xff 2 0 t\n")));
    assert!(line == 2 && problem.contains("UTF-8 at byte 5"), "{problem}");
    let run = read_run(&file(&folder, "\u{feff}q Q0 d 1 1 t\r\n")).unwrap();
    assert_eq!(run["q"][0].document, "d");
}

#[test]
fn identifiers_with_white_space_do_not_go_into_a_run() {
    let folder = tempfile::tempdir().unwrap();
    let qrels = read_qrels(&file(&folder, "q 1\td 1\t1\n"), &mut Warnings::default()).unwrap();
    assert_eq!(qrels["q 1"]["d 1"], 1);
    let scored = crossrank_eval::Scored { document: "d 1".to_owned(), score: 1.0 };
    let error =
        write_run(&folder.path().join("out"), &[("q".to_owned(), vec![scored])].into(), "t").unwrap_err();
    assert!(matches!(error, EvalError::TrecName { .. }), "{error}");
}

#[test]
fn facts_name_what_a_line_lacks() {
    let folder = tempfile::tempdir().unwrap();
    let (line, problem) = line_problem(read_facts(&file(&folder, "{\"id\":\"a\"}\n")));
    assert!(line == 1 && problem.contains("id, query, relevant, prose and record"), "{problem}");
}
