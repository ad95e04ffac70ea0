//! Attention over pairs that lie end to end in one matrix.

use crate::Rows;
use crate::rows::MIXED;

/// Attention scores of one call on a GPU are kept below this many elements (32 MiB in f32): Burn materialises
/// them.
const MAX_SCORES: usize = 8 << 20;

/// The lengths of the pairs in a packed matrix, in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Segments {
    lengths: Vec<usize>,
}

/// Neighbouring segments of one length, which are computed together.
struct Run {
    #[cfg_attr(not(feature = "gpu"), allow(dead_code))]
    start: usize,
    segments: usize,
    length: usize,
}

impl Segments {
    /// Segments of these lengths, laid end to end.
    pub fn new(lengths: Vec<usize>) -> Self {
        Self { lengths }
    }

    /// Number of segments.
    pub fn len(&self) -> usize {
        self.lengths.len()
    }

    /// True if there is no segment.
    pub fn is_empty(&self) -> bool {
        self.lengths.is_empty()
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

    /// Elements of the largest score matrix that [`segment_attention`] holds at once.
    pub fn max_scores(&self, heads: usize) -> usize {
        let scores = |&Run { segments, length, .. }: &Run| {
            segments * heads * length * query_block(segments * heads * length, length)
        };
        self.runs(heads).iter().map(scores).max().unwrap_or(0)
    }

    /// Runs of equal length, none with more scores than fit at once.
    fn runs(&self, heads: usize) -> Vec<Run> {
        let mut runs: Vec<Run> = Vec::new();
        let mut row = 0;
        for &length in &self.lengths {
            let scores = heads * length * length;
            match runs.last_mut() {
                Some(run) if run.length == length && (run.segments + 1) * scores <= MAX_SCORES => {
                    run.segments += 1;
                }
                _ => runs.push(Run { start: row, segments: 1, length }),
            }
            row += length;
        }
        runs
    }
}

/// How many of `rows` query rows are computed at once where each has `scores` scores.
fn query_block(scores: usize, rows: usize) -> usize {
    (MAX_SCORES / scores).clamp(1, rows)
}

/// Scaled dot-product attention, each segment attending to itself alone.
///
/// # Shapes
/// - `query`: `[rows, hidden]`, or `[segments, hidden]` to ask for the first row of every segment only
/// - `key_value`: `[rows, 2 * hidden]`, keys in the left half
/// - result: the shape of `query`
pub fn segment_attention(query: &Rows, key_value: &Rows, segments: &Segments, heads: usize) -> Rows {
    match (query, key_value) {
        (Rows::Cpu { values: query, width }, Rows::Cpu { values: key_value, .. }) => {
            let mut values = vec![0.0; query.len()];
            crate::cpu::attention(query, key_value, &segments.lengths, heads, &mut values);
            Rows::Cpu { values, width: *width }
        }
        #[cfg(feature = "gpu")]
        (Rows::Gpu(query), Rows::Gpu(key_value)) => {
            Rows::Gpu(Box::new(gpu::segment_attention(query, key_value, segments, heads)))
        }
        #[allow(unreachable_patterns)]
        _ => unreachable!("{MIXED}"),
    }
}

#[cfg(feature = "gpu")]
mod gpu {
    use burn::tensor::Tensor;
    use burn::tensor::module::attention;
    use burn::tensor::ops::AttentionModuleOptions;

    use super::{Segments, query_block};

    pub(super) fn segment_attention(
        query: &Tensor<2>,
        key_value: &Tensor<2>,
        segments: &Segments,
        heads: usize,
    ) -> Tensor<2> {
        let [query_rows, hidden] = query.dims();
        let first_only = query_rows != segments.rows();
        let mut outputs = Vec::new();
        let mut segment = 0;
        for run in segments.runs(heads) {
            let rows = run.start..run.start + run.segments * run.length;
            let (asked, length) =
                if first_only { (segment..segment + run.segments, 1) } else { (rows.clone(), run.length) };
            let query = split_heads(query.clone().slice([asked]), run.segments, length, heads);
            let key_value = key_value.clone().slice([rows]);
            let key = key_value.clone().slice([0..run.segments * run.length, 0..hidden]);
            let value = key_value.slice([0..run.segments * run.length, hidden..2 * hidden]);
            let key = split_heads(key, run.segments, run.length, heads);
            let value = split_heads(value, run.segments, run.length, heads);
            let attended = attend(query, key, value);
            outputs.push(attended.swap_dims(1, 2).reshape([run.segments * length, hidden]));
            segment += run.segments;
        }
        Tensor::cat(outputs, 0)
    }

    /// `[segments * length, hidden]` → `[segments, heads, length, head_dim]`
    fn split_heads(rows: Tensor<2>, segments: usize, length: usize, heads: usize) -> Tensor<4> {
        let head_dim = rows.dims()[1] / heads;
        rows.reshape([segments, length, heads, head_dim]).swap_dims(1, 2)
    }

    /// Attention over blocks of query rows, so that the scores of a long segment stay within bounds.
    fn attend(query: Tensor<4>, key: Tensor<4>, value: Tensor<4>) -> Tensor<4> {
        let [segments, heads, rows, _] = query.dims();
        let keys = key.dims()[2];
        let block = query_block(segments * heads * keys, rows);
        let options = AttentionModuleOptions::default;
        if block == rows {
            return attention(query, key, value, None, None, options());
        }
        let blocks = (0..rows).step_by(block).map(|start| {
            let query = query.clone().slice_dim(2, start..rows.min(start + block));
            attention(query, key.clone(), value.clone(), None, None, options())
        });
        Tensor::cat(blocks.collect(), 2)
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
        let rows = |values: &[f32], width| Rows::Cpu { values: values.to_vec(), width };
        let found = segment_attention(&rows(query, HIDDEN), &rows(key_value, 2 * HIDDEN), segments, HEADS);
        pollster::block_on(found.read()).unwrap()
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
    fn blocks_of_queries_give_the_same_rows() {
        const { assert!(HEADS * 3000 * 3000 > MAX_SCORES, "the case must need more than one block") };
        let segments = Segments::new(vec![3000]);
        let (query, key_value) = (matrix(3000, HIDDEN, 1), matrix(3000, 2 * HIDDEN, 2));
        assert!(segments.max_scores(HEADS) <= MAX_SCORES);
        assert_close(&attended(&query, &key_value, &segments), &reference(&query, &key_value, &[3000]));
    }

    #[test]
    fn scores_are_those_of_all_segments_that_are_computed_together() {
        assert_eq!(Segments::new(vec![7, 5, 5, 5]).max_scores(HEADS), HEADS * 3 * 5 * 5);
        assert_eq!(Segments::new(vec![9, 5, 5, 5]).max_scores(HEADS), HEADS * 9 * 9);
        assert_eq!(Segments::new(vec![]).max_scores(HEADS), 0);
    }

    #[test]
    fn equal_neighbours_share_a_run() {
        let runs = Segments::new(vec![5, 5, 5, 7, 5]).runs(HEADS);
        let shape: Vec<_> = runs.iter().map(|run| (run.start, run.segments, run.length)).collect();
        assert_eq!(shape, [(0, 3, 5), (15, 1, 7), (22, 1, 5)]);
    }
}
