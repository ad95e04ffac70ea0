//! What is odd about the input but no reason to stop: counted, with the first case.

use std::collections::BTreeMap;
use std::fmt;

use serde::Serialize;

/// Oddities by kind.
#[derive(Debug, Clone, Default)]
pub struct Warnings(BTreeMap<&'static str, Warning>);

/// One kind of oddity.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Warning {
    /// What is odd, and what follows from it.
    pub problem: &'static str,
    /// How often it was seen.
    pub count: usize,
    /// Where it was seen first: an identifier.
    pub first: String,
}

impl Warnings {
    /// Counts one case of `problem` at `place`.
    pub fn add(&mut self, problem: &'static str, place: &str) {
        let new = || Warning { problem, count: 0, first: place.to_owned() };
        self.0.entry(problem).or_insert_with(new).count += 1;
    }

    /// Every kind that was seen.
    pub fn iter(&self) -> impl Iterator<Item = &Warning> {
        self.0.values()
    }
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} × {} (first: {})", self.count, self.problem, self.first)
    }
}
