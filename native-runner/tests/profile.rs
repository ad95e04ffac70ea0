//! `--profile` in the Trace Event Format: a span of a thread lies inside another one, or beside it.

// Clippy only knows functions marked as tests; those beside them may panic as well.
#![allow(clippy::unwrap_used)]

mod program;

use std::collections::BTreeMap;

use program::{crossrank, fails, json_lines, outcome, stdout};
use serde_json::Value;

/// One span: when it began and ended, in seconds, and the names of those that enclose it, from the outermost in.
struct Span {
    name: String,
    began: f64,
    ended: f64,
    inside: Vec<String>,
    has_children: bool,
}

/// The spans of a trace; panics where two of one thread overlap and neither holds the other.
fn spans(trace: &str) -> Vec<Span> {
    let events: Vec<Value> = serde_json::from_str(trace).unwrap();
    let mut threads = BTreeMap::<u64, Vec<Span>>::new();
    for event in events.iter().filter(|event| event["ph"] == "X") {
        let (name, began) = (event["name"].as_str().unwrap().to_owned(), event["ts"].as_f64().unwrap() / 1e6);
        let ended = began + event["dur"].as_f64().unwrap() / 1e6;
        let span = Span { name, began, ended, inside: Vec::new(), has_children: false };
        threads.entry(event["tid"].as_u64().unwrap()).or_default().push(span);
    }
    threads.values_mut().for_each(|spans| nest(spans));
    threads.into_values().flatten().collect()
}

/// Finds what encloses each span of one thread.
fn nest(spans: &mut [Span]) {
    // Times are in whole nanoseconds, and are rounded twice on their way here.
    const ROUNDED: f64 = 2e-9;
    spans.sort_by(|a, b| a.began.total_cmp(&b.began).then(b.ended.total_cmp(&a.ended)));
    let mut open: Vec<usize> = Vec::new();
    for index in 0..spans.len() {
        let Span { name, began, ended, .. } = &spans[index];
        open.retain(|&outer| spans[outer].ended > began + ROUNDED);
        let holds = |outer: &&usize| spans[**outer].ended + ROUNDED >= *ended;
        assert_eq!(open.iter().filter(holds).count(), open.len(), "{name} outlives what it began in");
        let inside = open.iter().map(|&outer| spans[outer].name.clone()).collect();
        if let Some(&outer) = open.last() {
            spans[outer].has_children = true;
        }
        spans[index].inside = inside;
        open.push(index);
    }
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
    let of_request =
        |span: &&Span| !span.has_children && span.inside.first().is_some_and(|name| name == "score");
    let covered: f64 = spans.iter().filter(of_request).map(|span| span.ended - span.began).sum();
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
    fails(
        &folder,
        pairs(1),
        2,
        &["error[invalid_input]: cannot write the profile /no/such/folder/trace.json"],
    );
    if cfg!(target_os = "linux") {
        let full = outcome(crossrank().args(arguments).arg("/dev/full").write_stdin(pairs(1)));
        assert!(full.status == 4 && full.stderr.starts_with("error[storage_full]"), "{}", full.stderr);
        assert_eq!(full.stdout.lines().count(), 1, "the scores are there all the same");
    }
}
