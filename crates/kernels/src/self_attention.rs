//! Self-attention over pairs that lie end to end in one matrix.

use tracing::trace_span;

#[cfg(feature = "gpu")]
use crate::gpu::{self, Then};
#[cfg(feature = "gpu")]
use crate::linear::Kind;
use crate::rows::MIXED;
use crate::{Activation, Linear, Rows, cpu};

/// The lengths of the pairs in a packed matrix, in order.
#[derive(Debug, Clone, Default)]
pub struct Segments {
    lengths: Vec<usize>,
    #[cfg(feature = "gpu")]
    blocks: crate::gpu::AttentionBlocks,
}

impl Segments {
    /// Segments of these lengths, laid end to end.
    pub fn new(lengths: Vec<usize>) -> Self {
        Self {
            lengths,
            #[cfg(feature = "gpu")]
            blocks: Default::default(),
        }
    }

    /// Number of segments.
    pub fn len(&self) -> usize {
        self.lengths.len()
    }

    /// True if there is no segment.
    pub fn is_empty(&self) -> bool {
        self.lengths.is_empty()
    }

    /// Rows of each.
    pub fn lengths(&self) -> &[usize] {
        &self.lengths
    }

    /// Rows of the packed matrix.
    pub fn rows(&self) -> usize {
        self.lengths.iter().sum()
    }

    /// The row at which each segment starts.
    pub fn starts(&self) -> Vec<usize> {
        let mut next = 0;
        let start = |length: &usize| {
            next += length;
            next - length
        };
        self.lengths.iter().map(start).collect()
    }
}

/// The layers that make queries, keys and values.
pub enum Projection {
    /// Queries apart: the CPU makes fewer of them where few are asked for.
    Apart {
        /// `[hidden, hidden]`
        query: Linear,
        /// `[2 * hidden, hidden]`, keys first.
        key_value: Linear,
    },
    /// All in one, `[3 * hidden, hidden]`, of which a GPU makes as many as are asked for.
    Together(Linear),
}

/// Scaled dot-product attention (Vaswani et al. 2017), each segment attending to itself alone.
pub struct SelfAttention {
    projection: Projection,
    num_attention_heads: usize,
}

impl SelfAttention {
    /// Attention with these projections.
    pub fn new(projection: Projection, num_attention_heads: usize) -> Self {
        Self { projection, num_attention_heads }
    }

    /// `[rows, hidden]` → `[rows, hidden]`
    pub fn forward(&self, hidden: &Rows, segments: &Segments) -> Rows {
        let _span = trace_span!("self_attention").entered();
        match (&self.projection, hidden) {
            #[cfg(feature = "gpu")]
            (Projection::Together(Linear(Kind::Gpu(weight))), Rows::Gpu(rows)) => {
                let projected = weight.forward(rows, weight.all(), Then::Nothing, None);
                let blocks = segments.blocks.all(rows.gpu(), segments);
                let (query, key_value) = ((&projected, 0), (&projected, rows.width()));
                Rows::Gpu(gpu::attention(query, key_value, blocks, (self.num_attention_heads, rows.width())))
            }
            _ => self.on_cpu(hidden, hidden, segments),
        }
    }

    /// What [`Self::forward`] gives in the first row of every segment, which `first` holds of `hidden`:
    /// `[segments, hidden]` → `[segments, hidden]`
    pub fn forward_first(&self, first: &Rows, hidden: &Rows, segments: &Segments) -> Rows {
        let _span = trace_span!("self_attention").entered();
        match (&self.projection, first, hidden) {
            #[cfg(feature = "gpu")]
            (Projection::Together(Linear(Kind::Gpu(weight))), Rows::Gpu(first), Rows::Gpu(rows)) => {
                let width = rows.width();
                let query = weight.forward(first, 0..width, Then::Nothing, None);
                let key_value = weight.forward(rows, width..3 * width, Then::Nothing, None);
                let blocks = segments.blocks.first(rows.gpu(), segments);
                let heads = self.num_attention_heads;
                Rows::Gpu(gpu::attention((&query, 0), (&key_value, 0), blocks, (heads, width)))
            }
            _ => self.on_cpu(first, hidden, segments),
        }
    }

    fn on_cpu(&self, asking: &Rows, hidden: &Rows, segments: &Segments) -> Rows {
        let Projection::Apart { query, key_value } = &self.projection else { unreachable!("{MIXED}") };
        let (query, key_value) =
            (query.forward(asking, Activation::None), key_value.forward(hidden, Activation::None));
        match (query, key_value) {
            (Rows::Cpu { values: query, width }, Rows::Cpu { values: key_value, .. }) => {
                let _span = trace_span!("attention").entered();
                let heads = self.num_attention_heads;
                let values = cpu::written(query.len(), |out| {
                    cpu::attention(&query, &key_value, &segments.lengths, heads, out)
                });
                Rows::Cpu { values, width }
            }
            #[allow(unreachable_patterns)]
            _ => unreachable!("{MIXED}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const HEADS: usize = 2;
    const HIDDEN: usize = 8;

    /// The definition, in f64 on plain slices: softmax(QKᵀ / √d) V for each segment and head.
    fn reference(query: &[f32], key_value: &[f32], lengths: &[usize]) -> Vec<f32> {
        let head_dim = HIDDEN / HEADS;
        let mut out = vec![0.0; query.len()];
        let mut start = 0;
        for &length in lengths {
            for (head, row) in (0..HEADS).flat_map(|head| (start..start + length).map(move |row| (head, row)))
            {
                let column = |dim: usize| head * head_dim + dim;
                let score = |key: usize| -> f64 {
                    let products = (0..head_dim).map(|dim| {
                        let key = key_value[key * 2 * HIDDEN + column(dim)];
                        f64::from(query[row * HIDDEN + column(dim)]) * f64::from(key)
                    });
                    products.sum::<f64>() / (head_dim as f64).sqrt()
                };
                let weights: Vec<f64> = (start..start + length).map(|key| score(key).exp()).collect();
                let total: f64 = weights.iter().sum();
                for dim in 0..head_dim {
                    let value = |key: usize| f64::from(key_value[key * 2 * HIDDEN + HIDDEN + column(dim)]);
                    let sum: f64 = (start..start + length).zip(&weights).map(|(key, w)| w * value(key)).sum();
                    out[row * HIDDEN + column(dim)] = (sum / total) as f32;
                }
            }
            start += length;
        }
        out
    }

    fn matrix(rows: usize, width: usize, seed: u32) -> Vec<f32> {
        let value =
            |index: usize| ((index as u32).wrapping_mul(2_654_435_761).wrapping_add(seed) >> 16) as f32;
        (0..rows * width).map(|index| value(index) / 32768.0 - 1.0).collect()
    }

    fn attended(query: &[f32], key_value: &[f32], segments: &Segments) -> Vec<f32> {
        cpu::written(query.len(), |out| cpu::attention(query, key_value, segments.lengths(), HEADS, out))
    }

    fn assert_close(found: &[f32], expected: &[f32]) {
        for (found, expected) in found.iter().zip(expected) {
            // f32 against f64 over at most 40 terms of magnitude 1.
            assert!((found - expected).abs() < 2e-6, "{found} {expected}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]
        #[test]
        fn agrees_with_the_definition(lengths in prop::collection::vec(1usize..40, 1..8), seed: u32) {
            let segments = Segments::new(lengths.clone());
            let (query, key_value) = (matrix(segments.rows(), HIDDEN, seed), matrix(segments.rows(), 2 * HIDDEN, !seed));
            let expected = reference(&query, &key_value, &lengths);
            assert_close(&attended(&query, &key_value, &segments), &expected);

            let starts = segments.starts();
            let row = |values: &[f32], start: usize| values[start * HIDDEN..(start + 1) * HIDDEN].to_vec();
            let first: Vec<f32> = starts.iter().flat_map(|&start| row(&query, start)).collect();
            let first = attended(&first, &key_value, &segments);
            let expected: Vec<f32> = starts.iter().flat_map(|&start| row(&expected, start)).collect();
            assert_close(&first, &expected);
        }
    }

    #[test]
    fn a_long_segment_is_attended_to_whole() {
        let segments = Segments::new(vec![3000]);
        let (query, key_value) = (matrix(3000, HIDDEN, 1), matrix(3000, 2 * HIDDEN, 2));
        assert_close(&attended(&query, &key_value, &segments), &reference(&query, &key_value, &[3000]));
    }
}
