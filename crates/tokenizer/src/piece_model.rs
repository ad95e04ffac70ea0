//! The model part of a `tokenizer.json`: our own Unigram, everything else as `tokenizers` has it.

use std::{
    collections::HashMap,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Deserializer, de::Error};
use serde_json::value::RawValue;
use tokenizers::{
    Model, Result, Token,
    models::{ModelWrapper, unigram::UnigramTrainer},
};

use crate::unigram::Unigram;

/// Maps words to token ids.
pub(crate) enum PieceModel {
    Unigram(Unigram),
    Other(Box<ModelWrapper>),
}

/// The fields of a Unigram model. `tokenizers` reads them twice and keeps a hash map for every prefix of
/// every piece: for XLM-RoBERTa's 250,002 pieces ten times the load time and the memory of [`Unigram`].
#[derive(Deserialize)]
struct UnigramFields {
    vocab: Vec<(Box<str>, f64)>,
    /// `tokenizers` takes a file without it, and fails at the first unknown character.
    unk_id: u32,
    #[serde(default)]
    byte_fallback: bool,
}

#[derive(Deserialize)]
struct Kind {
    #[serde(rename = "type")]
    kind: String,
}

impl<'de> Deserialize<'de> for PieceModel {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        let json = <&RawValue>::deserialize(deserializer)?.get();
        if serde_json::from_str::<Kind>(json).is_ok_and(|Kind { kind }| kind == "Unigram") {
            let UnigramFields { vocab, unk_id, byte_fallback } =
                serde_json::from_str(json).map_err(D::Error::custom)?;
            if !byte_fallback && let Some(unigram) = Unigram::new(vocab, unk_id) {
                return Ok(Self::Unigram(unigram));
            }
        }
        serde_json::from_str(json).map(|model| Self::Other(Box::new(model))).map_err(D::Error::custom)
    }
}

impl PieceModel {
    /// One more than the highest id.
    pub(crate) fn id_limit(&self) -> usize {
        match self {
            Self::Unigram(model) => model.len(),
            Self::Other(model) => model.get_vocab().values().max().map_or(0, |&id| id as usize + 1),
        }
    }
}

impl Model for PieceModel {
    // The trait asks for one; nothing is trained here.
    type Trainer = UnigramTrainer;

    fn tokenize(&self, sequence: &str) -> Result<Vec<Token>> {
        match self {
            Self::Unigram(model) => Ok(model.tokenize(sequence)),
            Self::Other(model) => model.tokenize(sequence),
        }
    }

    fn token_to_id(&self, token: &str) -> Option<u32> {
        match self {
            Self::Unigram(model) => model.id(token),
            Self::Other(model) => model.token_to_id(token),
        }
    }

    fn id_to_token(&self, id: u32) -> Option<String> {
        match self {
            Self::Unigram(model) => {
                model.ids().find(|&(_, found)| found == id).map(|(piece, _)| piece.into())
            }
            Self::Other(model) => model.id_to_token(id),
        }
    }

    fn get_vocab(&self) -> HashMap<String, u32> {
        match self {
            Self::Unigram(model) => model.ids().map(|(piece, id)| (piece.into(), id)).collect(),
            Self::Other(model) => model.get_vocab(),
        }
    }

    fn get_vocab_size(&self) -> usize {
        match self {
            Self::Unigram(model) => model.len(),
            Self::Other(model) => model.get_vocab_size(),
        }
    }

    fn save(&self, folder: &Path, prefix: Option<&str>) -> Result<Vec<PathBuf>> {
        match self {
            Self::Unigram(_) => Err("a Unigram model is only read; save the tokenizer.json instead".into()),
            Self::Other(model) => model.save(folder, prefix),
        }
    }

    fn get_trainer(&self) -> UnigramTrainer {
        UnigramTrainer::default()
    }
}
