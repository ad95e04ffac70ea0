//! The best documents of a query while a corpus streams by.

use std::cmp::Ordering;
use std::collections::BinaryHeap;

use crate::Scored;

/// At most `depth` documents, the best that were offered.
#[derive(Debug)]
pub(crate) struct Top {
    depth: usize,
    /// Its greatest element is the worst document.
    heap: BinaryHeap<Worst>,
}

#[derive(Debug)]
struct Worst(Scored);

impl Top {
    pub(crate) fn new(depth: usize) -> Self {
        Self { depth, heap: BinaryHeap::new() }
    }

    pub(crate) fn offer(&mut self, document: &str, score: f64) {
        let full = self.heap.len() == self.depth;
        // Most documents end here, without a copy of their identifier.
        if full && self.heap.peek().is_some_and(|worst| worst.0.score > score) {
            return;
        }
        self.heap.push(Worst(Scored { document: document.to_owned(), score }));
        if full {
            self.heap.pop();
        }
    }

    pub(crate) fn into_ranking(self) -> Vec<Scored> {
        let mut ranking: Vec<Scored> = self.heap.into_iter().map(|worst| worst.0).collect();
        crate::trec::sort(&mut ranking);
        ranking
    }
}

impl Ord for Worst {
    fn cmp(&self, other: &Self) -> Ordering {
        let by_score = other.0.score.total_cmp(&self.0.score);
        by_score.then_with(|| other.0.document.cmp(&self.0.document))
    }
}

impl PartialOrd for Worst {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Worst {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Worst {}
