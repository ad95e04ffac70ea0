//! SentencePiece's Unigram model: the most probable way to cut a word into pieces.

use std::collections::HashMap;

use tokenizers::Token;

/// What an unknown character costs beyond the least probable piece, in SentencePiece and in `tokenizers`.
const UNKNOWN_PENALTY: f64 = 10.0;

/// Pieces with their log probabilities.
///
/// Gives the ids of `tokenizers::models::unigram::Unigram` from one flat map instead of a trie of hash maps.
pub(crate) struct Unigram {
    pieces: HashMap<Box<str>, Piece>,
    /// Entries of the vocabulary; fewer pieces are in the map where one stands twice.
    len: usize,
    unknown_id: u32,
    unknown_score: f64,
    /// Characters of the longest piece.
    longest: usize,
}

#[derive(Clone, Copy)]
struct Piece {
    id: u32,
    score: f64,
}

/// The best path that ends at a character: its score, and its last piece.
#[derive(Clone, Copy)]
struct Path {
    score: f64,
    start: usize,
    id: u32,
}

impl Unigram {
    /// Pieces in the order of their ids; `None` where no piece has the unknown token's id.
    pub(crate) fn new(vocab: Vec<(Box<str>, f64)>, unknown_id: u32) -> Option<Self> {
        let len = vocab.len();
        if unknown_id as usize >= len || u32::try_from(len).is_err() {
            return None;
        }
        let least = vocab.iter().map(|&(_, score)| score).fold(f64::INFINITY, f64::min);
        let longest = vocab.iter().map(|(piece, _)| piece.chars().count()).max()?;
        let pieces = (0..).zip(vocab).map(|(id, (piece, score))| (piece, Piece { id, score })).collect();
        Some(Self { pieces, len, unknown_id, unknown_score: least - UNKNOWN_PENALTY, longest })
    }

    pub(crate) fn len(&self) -> usize {
        self.len
    }

    pub(crate) fn id(&self, piece: &str) -> Option<u32> {
        self.pieces.get(piece).map(|piece| piece.id)
    }

    pub(crate) fn ids(&self) -> impl Iterator<Item = (&str, u32)> {
        self.pieces.iter().map(|(piece, Piece { id, .. })| (piece.as_ref(), *id))
    }

    /// The pieces of a word; neighbouring unknown characters are one token.
    pub(crate) fn tokenize(&self, word: &str) -> Vec<Token> {
        let at: Vec<usize> = word.char_indices().map(|(at, _)| at).chain([word.len()]).collect();
        let paths = self.best_paths(word, &at);
        let mut tokens = Vec::new();
        let mut end = at.len() - 1;
        while end > 0 {
            let Path { mut start, mut id, .. } = paths[end];
            if id == self.unknown_id {
                while start > 0 && paths[start].id == self.unknown_id {
                    start = paths[start].start;
                }
                id = self.id(&word[at[start]..at[end]]).unwrap_or(id);
            }
            let range = at[start]..at[end];
            tokens.push(Token::new(id, word[range.clone()].to_string(), (range.start, range.end)));
            end = start;
        }
        tokens.reverse();
        tokens
    }

    /// The best path to every character boundary (Viterbi); of equals the one with the earlier start.
    fn best_paths(&self, word: &str, at: &[usize]) -> Vec<Path> {
        let nowhere = Path { score: f64::NEG_INFINITY, start: 0, id: self.unknown_id };
        let mut paths = vec![nowhere; at.len()];
        paths[0].score = 0.0;
        for start in 0..at.len() - 1 {
            let so_far = paths[start].score;
            let mut reach = |end: usize, id, score| {
                if so_far + score > paths[end].score {
                    paths[end] = Path { score: so_far + score, start, id };
                }
            };
            let mut known = false;
            for end in start + 1..at.len().min(start + 1 + self.longest) {
                if let Some(&Piece { id, score }) = self.pieces.get(&word[at[start]..at[end]]) {
                    reach(end, id, score);
                    known |= end == start + 1;
                }
            }
            if !known {
                reach(start + 1, self.unknown_id, self.unknown_score);
            }
        }
        paths
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use tokenizers::{Model, models::unigram};

    use super::*;

    /// What `tokenizers`' own model says.
    fn reference(vocab: &[(Box<str>, f64)], word: &str) -> Vec<(u32, String)> {
        let vocab = vocab.iter().map(|(piece, score)| (piece.to_string(), *score)).collect();
        let tokens = unigram::Unigram::from(vocab, Some(0), false).unwrap().tokenize(word).unwrap();
        tokens.into_iter().map(|token| (token.id, token.value)).collect()
    }

    proptest! {
        #[test]
        fn cuts_words_as_tokenizers_does(
            pieces in prop::collection::vec(("[ab▁é中😀]{1,4}", -12i32..0), 0..40),
            word in "[ab▁é中😀<unk>x]{0,24}",
        ) {
            // Whole numbers for scores, so that ties are common.
            let vocab: Vec<(Box<str>, f64)> = [("<unk>".into(), 0.0)]
                .into_iter()
                .chain(pieces.into_iter().map(|(piece, score)| (piece.into(), f64::from(score))))
                .collect();
            let expected = reference(&vocab, &word);
            let tokens = Unigram::new(vocab, 0).unwrap().tokenize(&word);
            prop_assert_eq!(tokens.into_iter().map(|token| (token.id, token.value)).collect::<Vec<_>>(), expected);
        }
    }

    #[test]
    fn refuses_an_unknown_token_outside_the_vocabulary() {
        assert!(Unigram::new(Vec::new(), 0).is_none());
        assert!(Unigram::new(Vec::from([("a".into(), 0.0)]), 1).is_none());
    }
}
