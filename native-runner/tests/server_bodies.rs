//! Bodies that are not what they should be, sent to the real server.

// Clippy only knows functions marked as tests; those beside them may panic and print as well.
#![allow(clippy::unwrap_used, clippy::print_stdout)]

mod program;

use std::path::Path;

use program::server::{Answer, Server};
use proptest::prelude::*;
use proptest::sample::{Index, select};
use proptest::test_runner::{Config, TestRunner};
use serde_json::{Value, json};

const JSON: (&str, &str) = ("content-type", "application/json");
/// Bytes that are put into a body: numbers at their limits, halves of characters, of texts and of brackets.
const ODD: [&[u8]; 12] = [
    b"",
    b"null",
    b"1e999",
    b"18446744073709551616",
    b"\"\\ud800\"",
    b"\"",
    b",",
    b"[[[[",
    b"}",
    b"{}",
    b"\0",
    b"\xff",
];

/// Bytes of a body, from a place on, and what replaces them.
fn bytes_changed() -> impl Strategy<Value = (Index, usize, Vec<u8>)> {
    let with =
        prop_oneof![select(&ODD[..]).prop_map(<[u8]>::to_vec), prop::collection::vec(any::<u8>(), 1..4)];
    (any::<Index>(), prop_oneof![0_usize..4, 0_usize..60, Just(usize::MAX)], with)
}

/// A field of a body, and the value that it gets.
fn field_changed() -> impl Strategy<Value = (Index, Value)> {
    let values = json!([
        null, true, -1, 0, 1, 0.5, 1e300, u64::MAX, "", "text", "\0", [], [null], ["a", {"text": "b"}], [[]], {},
        {"text": 1}
    ]);
    (any::<Index>(), select(values.as_array().unwrap().clone()))
}

/// (path, body) of every API, and those that clients were recorded sending where they are at hand.
fn sent() -> Vec<(String, Value)> {
    let recorded =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/fixtures/api-wire-fixtures.jsonl");
    let lines =
        include_str!("bodies.jsonl").to_owned() + &std::fs::read_to_string(recorded).unwrap_or_default();
    let parts = |line: &str| {
        let mut sent: Value = serde_json::from_str(line).unwrap();
        (sent["path"].as_str().unwrap().to_owned(), sent["body"].take())
    };
    lines.lines().map(parts).collect()
}

/// Results with numbers, or an error that says what to change; a bug or a panic would be neither.
fn check(answer: &Answer) -> Result<(), TestCaseError> {
    let found: Value =
        serde_json::from_str(&answer.text).map_err(|error| TestCaseError::fail(error.to_string()))?;
    if answer.status != 200 {
        prop_assert!([400, 422].contains(&answer.status), "{} {found}", answer.status);
        prop_assert!(
            ["invalid_input", "invalid_body", "input_too_long"].contains(&found["code"].as_str().unwrap())
        );
        return Ok(());
    }
    let results = found.as_array().or(found["results"].as_array()).or(found["data"].as_array());
    for result in results.ok_or_else(|| TestCaseError::fail(found.to_string()))? {
        let score = result.get("relevance_score").or(result.get("score")).and_then(Value::as_f64);
        prop_assert!(result["index"].is_u64() && score.is_some(), "{result}");
    }
    Ok(())
}

#[test]
fn changed_bodies_are_answered_or_refused_and_are_no_bug() {
    let (server, sent) = (Server::start(&["--log", "error"]), sent());
    for (path, body) in &sent {
        check(&server.post(path, body)).unwrap();
    }
    let config = Config { cases: 1000, failure_persistence: None, ..Config::default() };
    let changes = prop::collection::vec(field_changed(), 0..3);
    let changed = (select(sent), changes, prop::collection::vec(bytes_changed(), 0..2));
    let checked = TestRunner::new(config).run(&changed, |((path, mut body), fields, bytes)| {
        for (field, value) in fields {
            let count = body.as_object().unwrap().len();
            *body.as_object_mut().unwrap().values_mut().nth(field.index(count)).unwrap() = value;
        }
        let mut body = body.to_string().into_bytes();
        for (start, length, with) in bytes {
            let start = start.index(body.len() + 1);
            let end = start.saturating_add(length).min(body.len());
            body.splice(start..end, with);
        }
        check(&server.send(&path, &[JSON], &body))
    });
    assert!(checked.is_ok(), "{checked:?}");
    let answered = |code: &str| server.metric(&format!("crossrank_requests_total{{code=\"{code}\"}}"));
    let [fine, broken] = ["ok", "invalid_body"].map(answered);
    println!("{fine} were fine, {broken} were broken");
    // Changes that only break bodies, or break none, would prove little.
    assert!(fine > 50.0 && broken > 50.0);
    assert_eq!(server.post("/score", &json!({ "text_1": "q", "text_2": ["a"] })).status, 200);
    assert_eq!(server.stop(), "", "nothing was logged as an error");
}
