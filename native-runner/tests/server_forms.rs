//! The same facts as prose, JSON text, an object and a Markdown table, over HTTP: what `crossrank eval --structured`
//! measures in process.

// Clippy only knows functions marked as tests; those beside them may panic and print as well.
#![allow(clippy::unwrap_used, clippy::print_stdout)]

mod program;

use program::server::Server;
use program::{json_lines, stdout};
use serde_json::{Value, json};

const FACTS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/quality/structured/triples.jsonl");
/// Scores that lie further apart than this fail.
const PASS_MARK: f64 = 0.2;
/// The server and the command line sum in another order, and a score moves by it.
const TOLERANCE: f64 = 1e-4;

/// A record as a table of names and values.
fn markdown(record: &Value) -> String {
    let rows = record.as_object().unwrap().iter().map(|(name, value)| match value {
        Value::String(text) => format!("| {name} | {text} |\n"),
        other => format!("| {name} | {other} |\n"),
    });
    "| field | value |\n|---|---|\n".to_owned() + &rows.collect::<String>()
}

/// The scores of prose, JSON text, object and table.
fn scores(server: &Server, facts: &Value) -> [f64; 4] {
    let record = &facts["record"];
    let documents = json!([facts["prose"], record.to_string(), record, markdown(record)]);
    let answer = server.post("/v2/rerank", &json!({ "query": facts["query"], "documents": documents }));
    assert_eq!(answer.status, 200, "{}", answer.text);
    let mut scores = [f64::NAN; 4];
    for result in answer.json()["results"].as_array().unwrap() {
        scores[result["index"].as_u64().unwrap() as usize] = result["relevance_score"].as_f64().unwrap();
    }
    scores
}

fn mean(numbers: &[f64]) -> f64 {
    numbers.iter().sum::<f64>() / numbers.len() as f64
}

#[test]
fn facts_in_four_forms_are_scored_as_far_apart_as_the_evaluation_says() {
    let evaluated: Value =
        serde_json::from_str(&stdout(&["eval", "--structured", FACTS, "--format", "json"], "")).unwrap();
    let facts = json_lines(&std::fs::read_to_string(FACTS).unwrap());
    let server = Server::start(&[]);
    let scored: Vec<[f64; 4]> = facts.iter().map(|facts| scores(&server, facts)).collect();
    let near = |found: f64, name: &Value, what: &str| {
        let expected = name.as_f64().unwrap();
        assert!((found - expected).abs() <= TOLERANCE, "{what}: {found}, not {expected}");
    };
    for (form, row) in evaluated["forms"].as_array().unwrap().iter().enumerate() {
        let of = |relevant: bool| {
            let own = facts.iter().zip(&scored).filter(move |(facts, _)| facts["relevant"] == relevant);
            mean(&own.map(|(_, scores)| scores[form]).collect::<Vec<_>>())
        };
        println!("{}: {:.3}, near misses {:.3}", row["form"], of(true), of(false));
        near(of(true), &row["relevant"], "relevant");
        near(of(false), &row["near_miss"], "near misses");
    }
    let ends = |scores: &[f64; 4]| {
        (scores.iter().copied().fold(f64::MAX, f64::min), scores.iter().copied().fold(f64::MIN, f64::max))
    };
    let mut spreads: Vec<f64> = scored.iter().map(ends).map(|(lowest, highest)| highest - lowest).collect();
    spreads.sort_unstable_by(f64::total_cmp);
    near(mean(&spreads), &evaluated["mean_spread"], "mean spread");
    near(spreads[spreads.len() / 2], &evaluated["median_spread"], "median spread");
    near(spreads[spreads.len() - 1], &evaluated["greatest_spread"], "greatest spread");
    let passed = spreads.iter().filter(|spread| **spread <= PASS_MARK).count();
    println!("{passed} of {} within {PASS_MARK}", facts.len());
    assert_eq!(json!([passed, facts.len()]), json!([evaluated["passed"], evaluated["records"]]));
}
