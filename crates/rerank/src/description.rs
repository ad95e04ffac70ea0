//! What describes a model beside its weights: two files of Hugging Face's, or the metadata of a GGUF file.

use std::borrow::Cow;

use crossrank_model::{GgufMetadata, ModelConfig, ModelError};
use crossrank_tokenizer::{PairTokenizer, SentencePieceVocabulary};

use crate::Error;

/// A model's configuration and tokenizer, not read yet.
#[derive(Debug)]
pub enum Description {
    /// As Hugging Face's libraries write them.
    HuggingFace {
        /// `config.json`
        config_json: Cow<'static, [u8]>,
        /// `tokenizer.json`
        tokenizer_json: Cow<'static, [u8]>,
    },
    /// As llama.cpp's converter writes them.
    Gguf(GgufMetadata),
}

impl Description {
    /// Configuration and tokenizer.
    ///
    /// # Errors
    /// [`Error::Model`], [`Error::Tokenizer`], [`Error::TokenizerMismatch`].
    pub(crate) fn read(self) -> Result<(ModelConfig, PairTokenizer), Error> {
        match self {
            Description::HuggingFace { config_json, tokenizer_json } => {
                Ok((ModelConfig::from_json(&config_json)?, PairTokenizer::from_bytes(&tokenizer_json)?))
            }
            Description::Gguf(mut gguf) => {
                let config = ModelConfig::from_gguf(&gguf)?;
                let vocabulary = vocabulary(&mut gguf, &config)?;
                Ok((config, PairTokenizer::from_sentence_piece(vocabulary)?))
            }
        }
    }
}

/// `tokenizer.ggml.token_type` of pieces that no text becomes.
const UNUSED: f64 = 5.0;

fn vocabulary(gguf: &mut GgufMetadata, config: &ModelConfig) -> Result<SentencePieceVocabulary, Error> {
    if gguf.number("tokenizer.ggml.add_space_prefix") == Some(0.0) {
        return Err(Error::Model(ModelError::Unsupported {
            field: "tokenizer.ggml.add_space_prefix",
            found: "false".to_owned(),
            expected: "true".to_owned(),
        }));
    }
    let tokens = gguf.take_texts("tokenizer.ggml.tokens").unwrap_or_default();
    let scores = gguf.take_numbers("tokenizer.ggml.scores").unwrap_or_default();
    let kinds = gguf.take_numbers("tokenizer.ggml.token_type").unwrap_or_default();
    if scores.len() != tokens.len() || kinds.len() != tokens.len() {
        let (tokens, scores, kinds) = (tokens.len(), scores.len(), kinds.len());
        let problem = format!("it has {tokens} tokens, {scores} scores and {kinds} types of tokens");
        return Err(Error::TokenizerMismatch { problem });
    }
    let pieces = tokens.into_iter().zip(scores).zip(kinds);
    let charsmap = gguf.take_numbers("tokenizer.ggml.precompiled_charsmap").unwrap_or_default();
    let id = |name, default| gguf.whole(&format!("tokenizer.ggml.{name}_token_id")).unwrap_or(default);
    Ok(SentencePieceVocabulary {
        pieces: pieces
            .map(|((token, score), kind)| if kind == UNUSED { (String::new(), 0.0) } else { (token, score) })
            .collect(),
        // Stored as signed or unsigned bytes.
        precompiled_charsmap: charsmap.into_iter().map(|byte| byte as i16 as u8).collect(),
        bos_id: id("bos", 0),
        pad_id: config.pad_token_id,
        eos_id: id("eos", 2),
        unknown_id: id("unknown", 3),
        mask_id: gguf.whole("tokenizer.ggml.mask_token_id"),
    })
}
