//! Word, position and token type embeddings, gathered and summed on the host.
//!
//! XLM-RoBERTa's word table has 250,002 rows, 45 to 69 % of all parameters; it stays where it is stored
//! and only the rows of a batch are read.

use crossrank_kernels::{LayerNorm, Rows, Segments};
use tracing::trace_span;

use crate::layers::norm;
use crate::weights::{Keep, Table, Weights};
use crate::{Family, Layout, ModelConfig, ModelError};

/// Token ids of pairs laid end to end, without padding.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PackedPairs {
    ids: Vec<u32>,
    type_ids: Vec<u32>,
    lengths: Vec<usize>,
}

impl PackedPairs {
    /// Appends one pair: its token ids and, of the same length, its token type ids.
    pub fn push(&mut self, ids: &[u32], type_ids: &[u32]) {
        debug_assert_eq!(ids.len(), type_ids.len());
        self.ids.extend_from_slice(ids);
        self.type_ids.extend_from_slice(type_ids);
        self.lengths.push(ids.len());
    }

    /// Number of pairs.
    pub fn len(&self) -> usize {
        self.lengths.len()
    }

    /// True without a pair.
    pub fn is_empty(&self) -> bool {
        self.lengths.is_empty()
    }

    /// Number of tokens of all pairs.
    pub fn tokens(&self) -> usize {
        self.ids.len()
    }

    /// Their lengths, as the rows of a layer lie.
    pub fn segments(&self) -> Segments {
        Segments::new(self.lengths.clone())
    }

    /// Refuses pairs the model cannot compute, before any work is done.
    pub(crate) fn check(&self, config: &ModelConfig) -> Result<(), ModelError> {
        let max_tokens = config.max_tokens();
        if let Some(&tokens) = self.lengths.iter().find(|&&tokens| tokens > max_tokens) {
            return Err(ModelError::TooLong { tokens, max_tokens });
        }
        if self.lengths.contains(&0) {
            return Err(ModelError::EmptyPair);
        }
        if let Some(&id) = self.ids.iter().find(|&&id| id as usize >= config.vocab_size) {
            return Err(ModelError::TokenOutOfRange { id, vocab_size: config.vocab_size });
        }
        let type_vocab_size = config.type_vocab_size;
        match self.type_ids.iter().find(|&&id| id as usize >= type_vocab_size) {
            Some(&id) => Err(ModelError::TypeOutOfRange { id, type_vocab_size }),
            None => Ok(()),
        }
    }

    fn positions(&self, config: &ModelConfig) -> Vec<usize> {
        let mut positions = Vec::with_capacity(self.ids.len());
        let mut rest = self.ids.as_slice();
        for &length in &self.lengths {
            let (pair, after) = rest.split_at(length);
            match config.family {
                Family::Bert => positions.extend(0..length),
                Family::XlmRoberta => positions.extend(position_ids(pair, config.pad_token_id)),
            }
            rest = after;
        }
        positions
    }
}

/// XLM-RoBERTa's positions: they count up from `pad_id + 1`; padding tokens take `pad_id` itself and do
/// not count, even where a literal `<pad>` stands in a text.
pub fn position_ids(ids: &[u32], pad_id: u32) -> impl Iterator<Item = usize> {
    let mut last = pad_id as usize;
    ids.iter().map(move |&id| {
        if id == pad_id {
            pad_id as usize
        } else {
            last += 1;
            last
        }
    })
}

/// The three tables and the LayerNorm behind them.
pub(crate) struct Embeddings {
    word: Table,
    position: Table,
    token_type: Table,
    norm: LayerNorm,
    config: ModelConfig,
}

impl Embeddings {
    pub(crate) fn take(
        weights: &mut Weights,
        layout: Layout,
        config: &ModelConfig,
        keep: &Keep,
    ) -> Result<Self, ModelError> {
        Ok(Self {
            word: weights.table(&layout.embedding("word"))?,
            position: weights.table(&layout.embedding("position"))?,
            token_type: weights.table(&layout.embedding("token_type"))?,
            norm: norm(weights, &layout.embedding_norm(), config, keep)?,
            config: config.clone(),
        })
    }

    /// The normalized embeddings of all pairs, `[tokens, hidden]`.
    pub(crate) fn forward(&self, pairs: &PackedPairs, keep: &Keep) -> Result<Rows, ModelError> {
        let _span = trace_span!("gather").entered();
        let hidden = self.config.hidden_size;
        let mut sums = vec![0.0; pairs.tokens() * hidden];
        let mut row = vec![0.0; hidden];
        let positions = pairs.positions(&self.config);
        for (token, sum) in sums.chunks_exact_mut(hidden).enumerate() {
            self.word.read(pairs.ids[token] as usize, sum)?;
            let stored = positions[token].checked_sub(self.config.unstored_positions);
            let (token_type, position) = (Some(pairs.type_ids[token] as usize), stored);
            for (table, index) in [(&self.token_type, token_type), (&self.position, position)] {
                // The padding token's position, which is not stored, is zeros.
                let Some(index) = index else { continue };
                table.read(index, &mut row)?;
                sum.iter_mut().zip(&row).for_each(|(sum, value)| *sum += value);
            }
        }
        let rows = Rows::new(sums, hidden, &keep.device);
        Ok(if keep.computes_in_f16() { self.norm.forward_to_f16(rows) } else { self.norm.forward(rows) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_start_behind_the_padding_id_and_skip_literal_padding() {
        assert_eq!(position_ids(&[0, 41, 2, 2, 7, 2], 1).collect::<Vec<_>>(), [2, 3, 4, 5, 6, 7]);
        assert_eq!(position_ids(&[0, 1, 2, 1, 5], 1).collect::<Vec<_>>(), [2, 1, 3, 1, 4]);
    }
}
