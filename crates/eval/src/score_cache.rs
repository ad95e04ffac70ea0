//! Scores that were computed before: one append-only file for each model, dtype and device.
//!
//! A line is `key logit milliseconds`. It is written after every forward pass, so an interrupt loses nothing that was
//! scored; a line that an interrupt cut short is dropped when the file is opened.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::Path;

use crossrank::WindowRule;
use sha2::{Digest, Sha256};

use crate::{EvalError, store};

/// What was computed for a pair.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Cached {
    /// The document's logit.
    pub logit: f32,
    /// Its share of the time that the model took.
    pub milliseconds: f32,
}

/// Identifies a pair, and how it was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct PairKey(u128);

impl PairKey {
    /// The key of a pair whose document is read up to `max_tokens_per_doc` in windows by `rule`.
    pub fn new(query: &str, document: &str, max_tokens_per_doc: usize, rule: Option<WindowRule>) -> Self {
        let mut hash = Sha256::new();
        hash.update(format!("{max_tokens_per_doc} {rule:?} {} ", query.len()));
        hash.update(query);
        hash.update(document);
        let mut first = [0; 16];
        first.copy_from_slice(&hash.finalize()[..16]);
        Self(u128::from_be_bytes(first))
    }
}

/// The scores of one model.
#[derive(Debug)]
pub struct ScoreCache {
    name: String,
    file: File,
    scores: HashMap<PairKey, Cached>,
}

impl ScoreCache {
    /// Opens or makes the store of `model`, a name that says model, dtype and device.
    ///
    /// # Errors
    /// [`EvalError::CacheBusy`] while another process has it; [`EvalError::Read`], [`EvalError::Write`].
    pub fn open(folder: &Path, model: &str) -> Result<Self, EvalError> {
        let (name, mut file) = store::open(folder, &format!("{model}.scores"))?;
        let write_error = |source| EvalError::Write { name: name.clone(), source };
        let mut text = Vec::new();
        let read =
            file.read_to_end(&mut text).map_err(|source| EvalError::Read { name: name.clone(), source })?;
        let whole = text.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);
        if whole < read {
            file.set_len(whole as u64).and_then(|()| file.seek(SeekFrom::End(0))).map_err(write_error)?;
        }
        let scores = String::from_utf8_lossy(&text[..whole]).lines().filter_map(parse).collect();
        Ok(Self { name, file, scores })
    }

    /// What is known of a pair.
    pub fn get(&self, key: PairKey) -> Option<Cached> {
        self.scores.get(&key).copied()
    }

    /// Stores scores, at once.
    ///
    /// # Errors
    /// [`EvalError::Write`].
    pub fn add(&mut self, scores: &[(PairKey, Cached)]) -> Result<(), EvalError> {
        let mut lines = String::new();
        for (key, Cached { logit, milliseconds }) in scores {
            // Writing to a string does not fail.
            let _ = writeln!(lines, "{:032x} {logit} {milliseconds}", key.0);
        }
        let written = self.file.write_all(lines.as_bytes());
        written.map_err(|source| EvalError::Write { name: self.name.clone(), source })?;
        self.scores.extend(scores.iter().copied());
        Ok(())
    }
}

/// A line that is not whole was written by something else; its pair is scored again.
fn parse(line: &str) -> Option<(PairKey, Cached)> {
    let mut cells = line.split(' ');
    let key = PairKey(u128::from_str_radix(cells.next()?, 16).ok()?);
    let logit: f32 = cells.next()?.parse().ok()?;
    let milliseconds: f32 = cells.next()?.parse().ok()?;
    (cells.next().is_none() && logit.is_finite()).then_some((key, Cached { logit, milliseconds }))
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: Cached = Cached { logit: -0.123_456_79, milliseconds: 12.5 };

    fn key(document: &str) -> PairKey {
        PairKey::new("query", document, 4096, None)
    }

    #[test]
    fn scores_are_there_again_bit_for_bit_and_a_cut_line_is_not() {
        let folder = tempfile::tempdir().unwrap();
        ScoreCache::open(folder.path(), "m/x").unwrap().add(&[(key("a"), ONE), (key("b"), ONE)]).unwrap();
        let path = folder.path().join("m-x.scores");
        let text = std::fs::read(&path).unwrap();
        std::fs::write(&path, &text[..text.len() - 3]).unwrap();
        let mut cache = ScoreCache::open(folder.path(), "m/x").unwrap();
        assert_eq!((cache.get(key("a")), cache.get(key("b"))), (Some(ONE), None));
        cache.add(&[(key("c"), ONE)]).unwrap();
        drop(cache);
        let cache = ScoreCache::open(folder.path(), "m/x").unwrap();
        assert_eq!((cache.get(key("a")), cache.get(key("c"))), (Some(ONE), Some(ONE)));
    }

    #[test]
    fn a_store_has_one_writer() {
        let folder = tempfile::tempdir().unwrap();
        let _held = ScoreCache::open(folder.path(), "m").unwrap();
        assert!(matches!(ScoreCache::open(folder.path(), "m"), Err(EvalError::CacheBusy { .. })));
    }

    #[test]
    fn how_a_document_is_read_is_part_of_the_key() {
        let keys = [
            key("a"),
            PairKey::new("query", "a", 128, None),
            PairKey::new("query", "a", 4096, Some(WindowRule::Jina)),
            PairKey::new("quer", "ya", 4096, None),
        ];
        assert!((1..keys.len()).all(|place| !keys[..place].contains(&keys[place])));
    }
}
