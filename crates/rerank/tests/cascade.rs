//! A cascade: all documents by their beginnings, then the best whole.

// Clippy only knows functions marked as tests; those beside them may panic as well.
#![allow(clippy::unwrap_used)]

use std::sync::{LazyLock, Mutex};

use crossrank::{Boost, Cascade, Control, LoadOptions, Ranked, Request, Reranker, Response, Warning};

mod default_model;
use default_model::{assert_same_logits, load, logits, ragged, request};

const MAX_TOKENS: usize = 40;

static RERANKER: LazyLock<Reranker> = LazyLock::new(|| load(&LoadOptions::default()));

/// Documents of which some have several windows, and some no more than a beginning.
fn asked(keep: Option<usize>) -> Request {
    let mut documents = ragged(16);
    documents[3] = documents[3..8].join(" ");
    documents[9] = "Berlin has many old museums.".to_owned();
    documents[11] = "3.5 million people live in Berlin.".to_owned();
    let cascade = keep.map(|keep| Cascade { max_tokens: MAX_TOKENS, keep });
    Request { cascade, ..request(documents) }
}

/// The same documents, of which the model reads the beginnings only.
fn beginnings() -> Request {
    Request { max_tokens_per_doc: MAX_TOKENS, max_windows_per_doc: Some(1), ..asked(None) }
}

fn order(response: &Response) -> Vec<usize> {
    response.results.iter().map(|result| result.index).collect()
}

#[test]
fn the_best_beginnings_are_ranked_as_they_are_without_a_cascade_and_before_the_others() {
    let short = RERANKER.rerank(&beginnings()).unwrap();
    let whole = RERANKER.rerank(&asked(None)).unwrap();
    for keep in [1, 5, 15] {
        let found = RERANKER.rerank(&asked(Some(keep))).unwrap();
        let kept = &order(&short)[..keep];
        let expected: Vec<usize> = order(&whole).into_iter().filter(|index| kept.contains(index)).collect();
        assert_eq!(order(&found)[..keep], expected);
        assert_eq!(order(&found)[keep..], order(&short)[keep..]);
        let expected: Vec<f32> =
            (0..16).map(|index| logits(if kept.contains(&index) { &whole } else { &short })[index]).collect();
        assert_same_logits(&logits(&found), &expected);
        assert!(found.usage.tokens < whole.usage.tokens + short.usage.tokens);
        assert_eq!(found.usage.search_units, whole.usage.search_units);
    }
}

#[test]
fn a_cascade_that_keeps_all_is_as_none() {
    let (whole, found) = (RERANKER.rerank(&asked(None)).unwrap(), RERANKER.rerank(&asked(Some(99))).unwrap());
    assert_eq!(order(&found), order(&whole));
    assert_same_logits(&logits(&found), &logits(&whole));
}

#[test]
fn beginnings_that_are_whole_documents_are_scored_once() {
    let mut asked = asked(Some(16));
    asked.cascade = Some(Cascade { max_tokens: 10_000, keep: 16 });
    let (found, whole) =
        (RERANKER.rerank(&asked).unwrap(), RERANKER.rerank(&Request { cascade: None, ..asked }).unwrap());
    assert_eq!((found.usage.pairs, order(&found)), (whole.usage.pairs, order(&whole)));
}

#[test]
fn a_boost_decides_on_what_is_kept() {
    let mut asked = asked(Some(1));
    let scores = (0..16).map(|index| f64::from(u8::from(index == 3))).collect();
    asked.boost = Some(Boost { scores, weight: 100.0 });
    assert_eq!(RERANKER.rerank(&asked).unwrap().results[0].index, 3);
}

#[test]
fn partial_rankings_have_those_in_front_that_were_read_whole() {
    let partial = Mutex::new(Vec::new());
    let on_partial = |ranking: Vec<Ranked>| partial.lock().unwrap().push(ranking);
    let control = Control { on_partial: Some(&on_partial), ..Control::default() };
    let response = RERANKER.rerank_with(&asked(Some(5)), &control).unwrap();
    let partial = partial.into_inner().unwrap();
    assert!(partial.len() > 1 && partial.iter().all(|ranking| ranking.len() == 16));
    assert_eq!(partial.last(), Some(&response.results));
}

#[test]
fn a_deadline_that_leaves_no_time_to_read_all_that_is_kept_is_said() {
    RERANKER.rerank(&request(ragged(2))).unwrap();
    let documents = (0..40).map(|_| ragged(40).join(" "));
    let mut asked = request(documents);
    asked.cascade = Some(Cascade { max_tokens: 8, keep: 40 });
    asked.deadline_ms = Some(600);
    let response = RERANKER.rerank(&asked).unwrap();
    assert!(
        matches!(response.warnings[..], [.., Warning::DeadlineReached { scored: 0..40, total: 40 }]),
        "{:?}",
        response.warnings
    );
}

#[test]
fn a_cascade_of_nothing_is_refused() {
    for (cascade, option) in [
        (Cascade { max_tokens: 0, keep: 1 }, "cascade.max_tokens"),
        (Cascade { max_tokens: 1, keep: 0 }, "cascade.keep"),
    ] {
        let error = RERANKER.rerank(&Request { cascade: Some(cascade), ..asked(None) }).unwrap_err();
        assert!(error.code() == "invalid_input" && error.to_string().contains(option), "{error}");
    }
}
