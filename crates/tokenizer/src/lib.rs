//! (query, document) text to token ids, exactly as Hugging Face does it.
//!
//! Everything comes from the model's own `tokenizer.json`: normalizer, pre-tokenizer, model, and the
//! template that joins a pair. The file's own truncation and padding settings are not used; how a pair
//! is fitted into a model's context is decided here, by [`Truncation`] or [`windows`].

mod error;
mod no_decoder;
mod normalizer;
mod pair;
mod parts;
mod piece_model;
mod sentence_piece;
mod truncation;
mod unigram;
mod windows;

pub use error::TokenizerError;
pub use pair::{PairIds, PairTokenizer};
pub use sentence_piece::SentencePieceVocabulary;
pub use truncation::{Limits, Truncation, truncated_lengths};
pub use windows::{WindowRule, windows};
