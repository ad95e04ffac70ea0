//! Promises about time. They stand apart from the other tests, which would take the processor away.

// Clippy only knows functions marked as tests; those beside them may panic and print as well.
#![allow(clippy::unwrap_used, clippy::print_stdout)]

use std::sync::Mutex;
use std::time::{Duration, Instant};

use crossrank::{CancelToken, Control, Error, LoadOptions, Reranker, Response, Warning};

mod default_model;
use default_model::{load, ragged, request};

static ALONE: Mutex<()> = Mutex::new(());

fn reranker() -> Reranker {
    load(&LoadOptions::default())
}

/// The answer to `count` documents within 200 ms, and how many of them were scored.
fn in_time(count: usize) -> (Response, usize) {
    let (_alone, reranker) = (ALONE.lock().unwrap(), reranker());
    reranker.rerank(&request(ragged(2))).unwrap();
    let mut asked = request(ragged(count));
    asked.deadline_ms = Some(200);
    let started = Instant::now();
    let response = reranker.rerank(&asked).unwrap();
    let elapsed = started.elapsed();
    let scored = response.results.iter().filter(|result| result.logit.is_some()).count();
    println!("{scored} of {count} documents in {elapsed:?}");
    assert!(elapsed < Duration::from_millis(400), "{elapsed:?}");
    assert!((1..count).contains(&scored));
    (response, scored)
}

#[test]
fn a_deadline_answers_in_time_with_the_first_documents_scored() {
    let (response, scored) = in_time(400);
    assert_eq!(response.warnings, [Warning::DeadlineReached { scored, total: 400 }]);
    let rest: Vec<usize> = response.results[scored..].iter().map(|result| result.index).collect();
    assert_eq!(rest, (scored..400).collect::<Vec<_>>(), "the first stage's order");
}

#[test]
fn a_deadline_holds_for_as_many_documents_as_a_request_may_have() {
    in_time(10_000);
}

#[test]
fn cancelling_stops_within_one_pass_and_frees_the_model() {
    let (_alone, reranker) = (ALONE.lock().unwrap(), reranker());
    let (asked, cancel) = (request(ragged(400)), CancelToken::default());
    let control = Control { cancel: cancel.clone(), ..Control::default() };
    let stopped = std::thread::scope(|scope| {
        let running = scope.spawn(|| reranker.rerank_with(&asked, &control));
        std::thread::sleep(Duration::from_millis(300));
        cancel.cancel();
        let cancelled = Instant::now();
        assert!(matches!(running.join().unwrap(), Err(Error::Cancelled)));
        cancelled.elapsed()
    });
    println!("stopped {stopped:?} after the call");
    // One pass of about 2,048 tokens is about half a second on two cores; 400 documents are 20 seconds.
    assert!(stopped < Duration::from_secs(4), "{stopped:?}");
    assert!(reranker.rerank(&request(ragged(2))).is_ok());
}
