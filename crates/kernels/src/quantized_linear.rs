//! A linear layer in int8: weights as the q8 file stores them, activations quantised row by row.

/// A linear layer's weight in q8: `[out, in]` integers and one scale for each of the `out` rows.
#[derive(Debug, Clone)]
pub struct QuantizedLinear {
    values: Vec<i8>,
    scales: Vec<f32>,
    inputs: usize,
}

impl QuantizedLinear {
    /// A weight of `scales.len()` rows; `None` if `values` has no whole number of columns for them.
    pub fn new(values: Vec<i8>, scales: Vec<f32>) -> Option<Self> {
        let inputs = values.len().checked_div(scales.len())?;
        (inputs * scales.len() == values.len()).then_some(Self { values, scales, inputs })
    }
}

/// `input · weightᵀ` with `input` `[rows, in]`, in exact integer arithmetic after each row of the input
/// has been rounded to 127 steps a side; the result is `[rows, out]`.
///
/// The integers are multiplied as they lie in the file: a row of the weight is contiguous along the
/// summed dimension, which is what dot-product instructions (VNNI, NEON dot, relaxed wasm SIMD) read.
pub fn quantized_linear(input: &[f32], weight: &QuantizedLinear) -> Vec<f32> {
    let mut output = Vec::with_capacity(input.len() / weight.inputs.max(1) * weight.scales.len());
    let mut quantized = vec![0_i8; weight.inputs];
    for row in input.chunks_exact(weight.inputs.max(1)) {
        let scale = quantize_row(row, &mut quantized);
        let columns = weight.values.chunks_exact(weight.inputs.max(1)).zip(&weight.scales);
        output.extend(
            columns.map(|(column, column_scale)| dot(&quantized, column) as f32 * (scale * column_scale)),
        );
    }
    output
}

/// Rounds a row to integers of at most 127 steps a side and returns the size of a step.
fn quantize_row(row: &[f32], out: &mut [i8]) -> f32 {
    let largest = row.iter().fold(0.0_f32, |largest, value| largest.max(value.abs()));
    let steps = if largest > 0.0 { 127.0 / largest } else { 0.0 };
    for (out, value) in out.iter_mut().zip(row) {
        *out = (value * steps).round_ties_even() as i8;
    }
    largest / 127.0
}

/// 127² × 2^17 columns still fits an i32.
fn dot(left: &[i8], right: &[i8]) -> i32 {
    left.iter().zip(right).map(|(&left, &right)| i32::from(left) * i32::from(right)).sum()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn agrees_with_the_float_product_within_its_rounding(
            input in prop::collection::vec(-3.0f32..3.0, 3 * 64),
            values in prop::collection::vec(-127i8..=127, 5 * 64),
            scales in prop::collection::vec(0.001f32..0.01, 5),
        ) {
            let weight = QuantizedLinear::new(values.clone(), scales.clone()).unwrap();
            let output = quantized_linear(&input, &weight);
            for (row, input) in input.chunks(64).enumerate() {
                let step = input.iter().fold(0.0f32, |largest, value| largest.max(value.abs())) / 127.0;
                for (column, (values, scale)) in values.chunks(64).zip(&scales).enumerate() {
                    let exact: f64 = input.iter().zip(values)
                        .map(|(&x, &w)| f64::from(x) * f64::from(w) * f64::from(*scale)).sum();
                    // Every activation is off by at most half a step, times its weight.
                    let weights: f64 = values.iter().map(|&w| f64::from(w.unsigned_abs())).sum();
                    let bound = f64::from(step) * 0.501 * weights * f64::from(*scale) + 1e-4;
                    let found = f64::from(output[row * 5 + column]);
                    prop_assert!((found - exact).abs() <= bound, "{found} {exact} {bound}");
                }
            }
        }
    }

    #[test]
    fn integers_come_through_exactly() {
        let weight = QuantizedLinear::new(vec![1, 2, 3, -4, 5, -6], vec![1.0, 0.5]).unwrap();
        assert_eq!(quantized_linear(&[127.0, 1.0, -2.0], &weight), [123.0, -245.5]);
    }

    #[test]
    fn refuses_a_weight_without_whole_rows() {
        assert!(QuantizedLinear::new(vec![1, 2, 3], vec![1.0, 1.0]).is_none());
        assert!(QuantizedLinear::new(vec![], vec![]).is_none());
    }
}
