//! A tokenizer for pairs, loaded from a model's `tokenizer.json`.

use tokenizers::{Encoding, PostProcessorWrapper, PreTokenizerWrapper, Token, TokenizerImpl};

use crate::{
    Limits, TokenizerError,
    error::caught,
    no_decoder::NoDecoder,
    normalizer::CheckedNormalizer,
    parts::{part_bytes, parts},
    piece_model::PieceModel,
    truncated_lengths,
};

/// A `tokenizers` pipeline around our model.
pub(crate) type Tokenizer =
    TokenizerImpl<PieceModel, CheckedNormalizer, PreTokenizerWrapper, PostProcessorWrapper, NoDecoder>;

/// Token ids of a (query, document) pair, special tokens included.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PairIds {
    /// The ids.
    pub ids: Vec<u32>,
    /// The token type of each id: all 0 in XLM-RoBERTa, 0 and 1 in BERT.
    pub type_ids: Vec<u32>,
}

/// Turns pairs of texts into token ids.
pub struct PairTokenizer {
    tokenizer: Tokenizer,
    template: Template,
    vocab_size: usize,
    part_bytes: usize,
}

/// Special tokens around the two texts, as (id, type id), and the texts' own type ids.
struct Template {
    prefix: Vec<(u32, u32)>,
    query_type: u32,
    middle: Vec<(u32, u32)>,
    document_type: u32,
    suffix: Vec<(u32, u32)>,
}

impl PairTokenizer {
    /// Loads the content of a `tokenizer.json`.
    ///
    /// # Errors
    /// [`TokenizerError::Load`] for anything but a tokenizer, [`TokenizerError::NoPairTemplate`] for one
    /// that does not join pairs.
    pub fn from_bytes(tokenizer_json: &[u8]) -> Result<Self, TokenizerError> {
        Self::of(caught(|| Ok(serde_json::from_slice(tokenizer_json)?)).map_err(TokenizerError::Load)?)
    }

    pub(crate) fn of(mut tokenizer: Tokenizer) -> Result<Self, TokenizerError> {
        tokenizer.with_truncation(None).map_err(TokenizerError::Load)?;
        tokenizer.with_padding(None);
        let template = Template::of(&tokenizer)?;
        let added = tokenizer.get_added_vocabulary().get_vocab().values().copied();
        let limit = added.chain(template.ids()).max().map_or(0, |id| id as usize + 1);
        let vocab_size = limit.max(tokenizer.get_model().id_limit());
        Ok(Self { part_bytes: part_bytes(&tokenizer), tokenizer, template, vocab_size })
    }

    /// One more than the highest token id, added tokens included.
    pub fn vocab_size(&self) -> usize {
        self.vocab_size
    }

    /// The id of the padding token, if there is one.
    pub fn pad_id(&self) -> Option<u32> {
        ["<pad>", "[PAD]"].into_iter().find_map(|token| self.tokenizer.token_to_id(token))
    }

    /// How many tokens the pair template adds: 4 in XLM-RoBERTa, 3 in BERT.
    pub fn special_tokens(&self) -> usize {
        self.template.prefix.len() + self.template.middle.len() + self.template.suffix.len()
    }

    /// The token ids of one text, without special tokens of the template.
    ///
    /// # Errors
    /// [`TokenizerError::Tokenize`].
    pub fn tokenize(&self, text: &str) -> Result<Vec<u32>, TokenizerError> {
        self.tokenize_up_to(text, usize::MAX)
    }

    /// [`Self::tokenize`] for a reader of the first `tokens`: of a text that has more, at least one more is given. The
    /// rest of a long text costs nothing where spaces end a token, as in XLM-RoBERTa and BERT.
    ///
    /// # Errors
    /// [`TokenizerError::Tokenize`].
    pub fn tokenize_up_to(&self, text: &str, tokens: usize) -> Result<Vec<u32>, TokenizerError> {
        let mut ids = Vec::new();
        for part in parts(text, self.part_bytes) {
            let encoding = caught(|| self.tokenizer.encode_fast(part, false))
                .map_err(|source| TokenizerError::Tokenize { bytes: part.len(), source })?;
            ids.extend_from_slice(encoding.get_ids());
            if ids.len() > tokens {
                break;
            }
        }
        Ok(ids)
    }

    /// Joins a query and a document as the model's template says.
    pub fn pair(&self, query: &[u32], document: &[u32]) -> PairIds {
        let Template { prefix, query_type, middle, document_type, suffix } = &self.template;
        let text = |ids: &[u32], type_id: u32| ids.iter().map(move |&id| (id, type_id)).collect::<Vec<_>>();
        let parts = [prefix, &text(query, *query_type), middle, &text(document, *document_type), suffix];
        let (ids, type_ids) = parts.into_iter().flatten().copied().unzip();
        PairIds { ids, type_ids }
    }

    /// Tokenizes a pair and cuts it to `limits`.
    ///
    /// # Errors
    /// [`TokenizerError::NoRoom`] for a limit below the special tokens and one token,
    /// [`TokenizerError::Tokenize`].
    pub fn encode(&self, query: &str, document: &str, limits: &Limits) -> Result<PairIds, TokenizerError> {
        let query = self.tokenize_up_to(query, limits.max_query_tokens.unwrap_or(usize::MAX))?;
        self.encode_behind(&query, document, limits)
    }

    /// [`Self::encode`] for a query that is tokenized already.
    ///
    /// # Errors
    /// As [`Self::encode`].
    pub fn encode_behind(
        &self,
        query: &[u32],
        document: &str,
        limits: &Limits,
    ) -> Result<PairIds, TokenizerError> {
        let (max_length, special_tokens) = (limits.max_length, self.special_tokens());
        if max_length <= special_tokens {
            return Err(TokenizerError::NoRoom { max_length, special_tokens });
        }
        let room = max_length - special_tokens;
        let query = &query[..query.len().min(limits.max_query_tokens.unwrap_or(usize::MAX))];
        // Beyond that only which side is the longer one counts.
        let document = self.tokenize_up_to(document, room.max(query.len()))?;
        let (kept_query, kept_document) =
            truncated_lengths(query.len(), document.len(), room, limits.truncation);
        Ok(self.pair(&query[..kept_query], &document[..kept_document]))
    }
}

/// Ids that no vocabulary has, to find the two texts again in a processed pair.
const QUERY_MARK: u32 = u32::MAX;
const DOCUMENT_MARK: u32 = u32::MAX - 1;

impl Template {
    /// Lets the tokenizer's own post-processor join two marked texts and reads the template off the result.
    fn of(tokenizer: &Tokenizer) -> Result<Self, TokenizerError> {
        let marked = |id| Encoding::from_tokens(vec![Token::new(id, String::new(), (0, 0))], 0);
        let (query, document) = (marked(QUERY_MARK), marked(DOCUMENT_MARK));
        let joined =
            caught(|| tokenizer.post_process(query, Some(document), true)).map_err(TokenizerError::Load)?;
        let tokens: Vec<(u32, u32)> =
            joined.get_ids().iter().copied().zip(joined.get_type_ids().iter().copied()).collect();
        let once = |mark| {
            let mut places = (0..tokens.len()).filter(|&place| tokens[place].0 == mark);
            places.next().filter(|_| places.next().is_none())
        };
        match (once(QUERY_MARK), once(DOCUMENT_MARK)) {
            // Without a post-processor the texts stand side by side.
            (Some(query), Some(document)) if query + 1 < document => Ok(Self {
                prefix: tokens[..query].to_vec(),
                query_type: tokens[query].1,
                middle: tokens[query + 1..document].to_vec(),
                document_type: tokens[document].1,
                suffix: tokens[document + 1..].to_vec(),
            }),
            _ => Err(TokenizerError::NoPairTemplate),
        }
    }

    /// The special tokens' ids.
    fn ids(&self) -> impl Iterator<Item = u32> {
        [&self.prefix, &self.middle, &self.suffix].into_iter().flatten().map(|&(id, _)| id)
    }
}
