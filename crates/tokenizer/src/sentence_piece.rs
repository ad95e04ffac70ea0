//! A tokenizer from a SentencePiece vocabulary, as GGUF files carry it instead of a `tokenizer.json`.

use serde_json::{Value, json};
use tokenizers::{AddedToken, TokenizerImpl};

use crate::pair::Tokenizer;
use crate::piece_model::PieceModel;
use crate::unigram::Unigram;
use crate::{PairTokenizer, TokenizerError, error::caught};

/// A Unigram vocabulary with XLM-RoBERTa's special tokens.
#[derive(Debug, Clone, Default)]
pub struct SentencePieceVocabulary {
    /// Pieces with their log probabilities, in the order of their ids; one that is never used is empty.
    pub pieces: Vec<(String, f64)>,
    /// SentencePiece's normalization table; text stays as it is without one.
    pub precompiled_charsmap: Vec<u8>,
    /// `<s>`
    pub bos_id: u32,
    /// `<pad>`
    pub pad_id: u32,
    /// `</s>`
    pub eos_id: u32,
    /// `<unk>`
    pub unknown_id: u32,
    /// `<mask>`, which is in no SentencePiece model and gets its name here.
    pub mask_id: Option<u32>,
}

impl PairTokenizer {
    /// The tokenizer that Hugging Face builds of such a vocabulary: normalize, split at white space, mark the
    /// beginnings of words, find the most probable pieces.
    ///
    /// # Errors
    /// [`TokenizerError::Load`] for a damaged table and for special tokens outside the vocabulary.
    pub fn from_sentence_piece(mut vocabulary: SentencePieceVocabulary) -> Result<Self, TokenizerError> {
        let SentencePieceVocabulary { bos_id, pad_id, eos_id, unknown_id, mask_id, .. } = vocabulary;
        let mask = mask_id.and_then(|id| vocabulary.pieces.get_mut(id as usize));
        if let Some(mask) = mask {
            *mask = ("<mask>".to_owned(), 0.0);
        }
        let special = [Some(bos_id), Some(pad_id), Some(eos_id), Some(unknown_id), mask_id];
        let special = special.into_iter().flatten().map(|id| special_token(&vocabulary, id));
        let special = special.collect::<Result<Vec<_>, _>>()?;
        let (bos, eos) = (special[0].content.clone(), special[2].content.clone());
        let SentencePieceVocabulary { pieces, precompiled_charsmap, .. } = vocabulary;
        let pieces = pieces.into_iter().map(|(piece, score)| (piece.into_boxed_str(), score)).collect();
        let model = Unigram::new(pieces, unknown_id).ok_or_else(|| outside(unknown_id))?;
        let tokenizer = caught(|| {
            let mut tokenizer: Tokenizer = TokenizerImpl::new(PieceModel::Unigram(model));
            if !precompiled_charsmap.is_empty() {
                let table = base64::encode(precompiled_charsmap);
                let table = json!({"type": "Precompiled", "precompiled_charsmap": table});
                tokenizer.with_normalizer(Some(serde_json::from_value::<
                    crate::normalizer::CheckedNormalizer,
                >(table)?))?;
            }
            tokenizer.with_pre_tokenizer(Some(serde_json::from_value::<tokenizers::PreTokenizerWrapper>(
                words(),
            )?));
            let template = template((&bos, bos_id), (&eos, eos_id));
            tokenizer.with_post_processor(Some(serde_json::from_value::<tokenizers::PostProcessorWrapper>(
                template,
            )?));
            tokenizer.add_special_tokens(special)?;
            Ok(tokenizer)
        });
        Self::of(tokenizer.map_err(TokenizerError::Load)?)
    }
}

fn outside(id: u32) -> TokenizerError {
    TokenizerError::Load(format!("special token {id} is not in the vocabulary").into())
}

/// A special token as XLM-RoBERTa's tokenizer.json has it: found in text as it stands, before anything else.
fn special_token(vocabulary: &SentencePieceVocabulary, id: u32) -> Result<AddedToken, TokenizerError> {
    let piece = vocabulary.pieces.get(id as usize).filter(|(piece, _)| !piece.is_empty());
    let (content, _) = piece.ok_or_else(|| outside(id))?;
    Ok(AddedToken::from(content.clone(), true).normalized(false).lstrip(Some(id) == vocabulary.mask_id))
}

/// Words, each behind the mark of its beginning.
fn words() -> Value {
    json!({"type": "Sequence", "pretokenizers": [
        {"type": "WhitespaceSplit"},
        {"type": "Metaspace", "replacement": "▁", "prepend_scheme": "always", "split": true},
    ]})
}

/// `<s> query </s> </s> document </s>`
fn template((bos, bos_id): (&str, u32), (eos, eos_id): (&str, u32)) -> Value {
    let special = |token: &str| json!({"SpecialToken": {"id": token, "type_id": 0}});
    let text = |name: &str| json!({"Sequence": {"id": name, "type_id": 0}});
    let token = |token: &str, id: u32| json!({"id": token, "ids": [id], "tokens": [token]});
    let (single, pair) = (
        json!([special(bos), text("A"), special(eos)]),
        json!([special(bos), text("A"), special(eos), special(eos), text("B"), special(eos)]),
    );
    let tokens = json!({bos: token(bos, bos_id), eos: token(eos, eos_id)});
    json!({"type": "TemplateProcessing", "single": single, "pair": pair, "special_tokens": tokens})
}
