//! `--profile` in the words of the Trace Event Format: what begins on a thread ends on it, in the reverse order.

// Clippy only knows functions marked as tests; those beside them may panic as well.
#![allow(clippy::unwrap_used)]

mod program;

use std::collections::BTreeMap;

use program::{crossrank, fails, json_lines, outcome, stdout};
use serde_json::Value;

/// One span: its name, those that enclose it from the outermost in, and its seconds, of which its children took some.
struct Span {
    name: String,
    inside: Vec<String>,
    seconds: f64,
    of_children: f64,
}

/// The spans of a trace in the order of their ends; panics where they do not nest.
fn spans(trace: &str) -> Vec<Span> {
    let events: Vec<Value> = serde_json::from_str(trace).unwrap();
    let (mut open, mut spans) = (BTreeMap::<u64, Vec<(String, f64, f64)>>::new(), Vec::new());
    for event in events.iter().filter(|event| event["ph"] != "M") {
        let (name, ts) = (event["name"].as_str().unwrap(), event["ts"].as_f64().unwrap() / 1e6);
        let stack = open.entry(event["tid"].as_u64().unwrap()).or_default();
        if event["ph"] == "B" {
            stack.push((name.to_owned(), ts, 0.0));
            continue;
        }
        let (began, start, of_children) = stack.pop().unwrap();
        assert_eq!((&event["ph"], began.as_str()), (&"E".into(), name));
        assert!(ts >= start, "{name} ends before it begins");
        if let Some((.., of_children)) = stack.last_mut() {
            *of_children += ts - start;
        }
        let inside = stack.iter().map(|(name, ..)| name.clone()).collect();
        spans.push(Span { name: began, inside, seconds: ts - start, of_children });
    }
    assert!(open.values().all(Vec::is_empty), "a span has no end");
    spans
}

/// Runs `arguments` with `input` and a profile: what was printed, and the spans.
fn profiled(arguments: &[&str], input: &str) -> (String, Vec<Span>) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("trace.json");
    let printed = stdout(&[arguments, &["--profile", path.to_str().unwrap()]].concat(), input);
    (printed, spans(&std::fs::read_to_string(path).unwrap()))
}

fn pairs(count: usize) -> String {
    let text = "Berlin has 3.5 million inhabitants and many museums beside the river. ".repeat(8);
    format!("[\"How many people live in Berlin?\",\"{text}\"]\n").repeat(count)
}

#[test]
fn spans_nest_and_cover_the_time_of_a_request() {
    let (printed, spans) =
        profiled(&["bench", "--pairs", "-", "--rounds", "1", "--threads", "1"], &pairs(16));
    let timed = &json_lines(&printed)[0];
    let seconds = timed["first_s"].as_f64().unwrap() + timed["seconds"][0].as_f64().unwrap();
    // Spans that hold no other: what no stage explains is in none of them.
    let is_leaf = |span: &&Span| span.of_children == 0.0 && span.inside.first().is_some_and(|name| name == "score");
    let covered: f64 = spans.iter().filter(is_leaf).map(|span| span.seconds).sum();
    assert!((0.9..1.001).contains(&(covered / seconds)), "{covered} of {seconds} s");
    let layers = spans.iter().filter(|span| span.name == "layer").count();
    let passes = spans.iter().filter(|span| span.name == "forward").count();
    assert_eq!(layers, 12 * passes);
    for (name, inside) in [
        ("tokenize", "score"),
        ("plan", "score"),
        ("gather", "forward"),
        ("projection", "self_attention"),
        ("attention", "self_attention"),
        ("projection", "layer"),
        ("up", "feed_forward"),
        ("norm", "feed_forward"),
        ("readback", "forward"),
        ("weights", "load"),
    ] {
        let found = |span: &Span| span.name == name && span.inside.last().is_some_and(|last| last == inside);
        assert!(spans.iter().any(found), "no {name} in {inside}");
    }
}

#[test]
fn spans_of_every_thread_nest_in_every_command() {
    let documents = "Berlin has 3.5 million inhabitants.\n".repeat(60);
    let rerank = ["rerank", "--query", "people of Berlin", "--documents", "-", "--threads", "2"];
    let (ranking, of_rerank) = profiled(&rerank, &documents);
    let (scores, of_score) = profiled(&["score", "--pairs", "-", "--threads", "2"], &pairs(8));
    assert_eq!((ranking.lines().count(), scores.lines().count()), (60, 8));
    for (spans, name) in [(of_rerank, "rerank"), (of_score, "score")] {
        assert!(spans.iter().any(|span| span.name == name && span.inside.is_empty()), "{name}");
        assert!(spans.iter().any(|span| span.name == "forward"), "{name}");
    }
}

#[test]
fn a_profile_that_cannot_be_written_is_an_error() {
    let arguments = ["score", "--pairs", "-", "--profile"];
    let folder = [&arguments[..], &["/no/such/folder/trace.json"]].concat();
    fails(&folder, pairs(1), 2, &["error[invalid_input]: cannot write the profile /no/such/folder/trace.json"]);
    if cfg!(target_os = "linux") {
        let full = outcome(crossrank().args(arguments).arg("/dev/full").write_stdin(pairs(1)));
        assert!(full.status == 4 && full.stderr.starts_with("error[storage_full]"), "{}", full.stderr);
        assert_eq!(full.stdout.lines().count(), 1, "the scores are there all the same");
    }
}
