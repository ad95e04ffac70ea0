//! Requests that share forward passes.

// Clippy only knows functions marked as tests; those beside them may panic and print as well.
#![allow(clippy::unwrap_used, clippy::print_stdout)]

use std::sync::LazyLock;

use crossrank::{
    CancelToken, Document, Error, Job, LoadOptions, Request, Reranker, Response, Scheduler, Warning,
};

mod default_model;
use default_model::{QUERY, assert_same_logits, load, logits, ragged, request};

static RERANKER: LazyLock<Reranker> = LazyLock::new(|| load(&LoadOptions::default()));

fn job(asked: &Request) -> Job {
    Job::ranking(&RERANKER, asked, CancelToken::default()).unwrap()
}

/// Runs jobs to their end: the tickets in the order they finished, and what became of each.
fn finish(mut scheduler: Scheduler<'_, usize>) -> Vec<(usize, Result<Job, Error>)> {
    let mut finished = Vec::new();
    while scheduler.jobs().len() > 0 {
        finished.extend(scheduler.step());
    }
    finished
}

fn order(response: &Response) -> Vec<usize> {
    response.results.iter().map(|result| result.index).collect()
}

#[test]
fn requests_that_share_passes_get_the_answers_they_get_alone() {
    let documents = ragged(40);
    let asked: Vec<Request> = [&documents[..23], &documents[23..24], &documents[24..31], &documents[31..]]
        .into_iter()
        .map(|documents| request(documents.iter().cloned()))
        .collect();
    let mut scheduler = Scheduler::new(&RERANKER);
    asked.iter().enumerate().for_each(|(place, asked)| scheduler.add(job(asked), place));
    let mut passes = 0;
    for (place, job) in finish(scheduler) {
        let (shared, alone) = (job.unwrap().response(&RERANKER, &asked[place]), &asked[place]);
        let alone = RERANKER.rerank(alone).unwrap();
        passes += shared.usage.batches;
        assert_eq!(order(&shared), order(&alone));
        assert_same_logits(&logits(&shared), &logits(&alone));
        assert_eq!((shared.usage.tokens, shared.usage.pairs), (alone.usage.tokens, alone.usage.pairs));
    }
    println!("{passes} parts in passes");
}

#[test]
fn short_requests_finish_before_a_long_one_that_came_first() {
    let long = request(ragged(120));
    let short = vec![request(["Berlin has 3.5 million inhabitants.".to_owned()]); 3];
    let mut scheduler = Scheduler::new(&RERANKER);
    scheduler.add(job(&long), 0);
    scheduler.step();
    short.iter().enumerate().for_each(|(place, asked)| scheduler.add(job(asked), place + 1));
    let first = scheduler.step();
    let mut tickets: Vec<usize> = first.into_iter().map(|(ticket, _)| ticket).collect();
    tickets.sort_unstable();
    assert_eq!(tickets, [1, 2, 3], "all in one pass");
    assert_eq!(scheduler.jobs().len(), 1);
}

#[test]
fn a_cancelled_request_leaves_before_the_next_pass_and_others_stay() {
    let (asked, cancel) = (request(ragged(60)), CancelToken::default());
    let mut scheduler = Scheduler::new(&RERANKER);
    scheduler.add(Job::ranking(&RERANKER, &asked, cancel.clone()).unwrap(), 0);
    scheduler.add(job(&request(ragged(3))), 1);
    cancel.cancel();
    let finished = scheduler.step();
    assert!(matches!(&finished[..], [(0, Err(Error::Cancelled)), (1, Ok(_))]), "{}", finished.len());
    assert_eq!(scheduler.jobs().len(), 0);
}

#[test]
fn a_pair_that_exceeds_the_budget_costs_nobody_but_its_own_request() {
    let tight = load(&LoadOptions { memory_budget_bytes: Some(3 << 20), ..LoadOptions::default() });
    let short = Request::new(QUERY, vec![Document::from("Berlin has 3.5 million inhabitants."); 4]);
    let long = request(["people ".repeat(400)]);
    let mut scheduler = Scheduler::new(&tight);
    for (place, asked) in [&short, &long, &short].into_iter().enumerate() {
        scheduler.add(Job::ranking(&tight, asked, CancelToken::default()).unwrap(), place);
    }
    let mut finished = finish(scheduler);
    finished.sort_by_key(|(place, _)| *place);
    let codes: Vec<_> = finished.iter().map(|(_, job)| job.as_ref().err().map(Error::code)).collect();
    assert_eq!(codes, [None, Some("out_of_memory"), None]);
}

#[test]
fn a_deadline_ends_one_request_and_not_its_neighbours() {
    RERANKER.rerank(&request(ragged(2))).unwrap();
    let (mut hurried, patient) = (request(ragged(200)), request(ragged(8)));
    hurried.deadline_ms = Some(100);
    let mut scheduler = Scheduler::new(&RERANKER);
    scheduler.add(job(&hurried), 0);
    scheduler.add(job(&patient), 1);
    for (place, job) in finish(scheduler) {
        let response = job.unwrap().response(&RERANKER, [&hurried, &patient][place]);
        let reached =
            response.warnings.iter().any(|warning| matches!(warning, Warning::DeadlineReached { .. }));
        assert_eq!(reached, place == 0);
    }
}
