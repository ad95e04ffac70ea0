//! Crossrank's quantised tensors, as `docs/checkpoint-format.md` writes them down.
//!
//! q8: one i8 a weight, one f32 scale a row. q4: two weights a byte, low nibble first, one f16 scale for
//! each 32 columns, a nibble meaning `(nibble − 8) × scale`.

use half::f16;

/// How weights are kept and computed with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Precision {
    /// 32-bit floats: the reference.
    F32,
    /// 16-bit floats, on devices that compute with them.
    F16,
    /// 8-bit integers with a scale per row; multiplied as integers on the CPU, with activations in 7 bits, and as
    /// f32 on GPUs.
    Q8,
    /// 4-bit integers with a scale per 32 columns; the CPU rounds those that it multiplies to [`Self::Q8`].
    Q4,
}

impl Precision {
    /// As people write it.
    pub fn name(self) -> &'static str {
        match self {
            Precision::F32 => "f32",
            Precision::F16 => "f16",
            Precision::Q8 => "q8",
            Precision::Q4 => "q4",
        }
    }
}

/// The value of `__metadata__.crossrank_format` in files this program writes and reads.
pub const FORMAT_VERSION: &str = "1";

/// Columns that share a scale in q4.
pub const Q4_BLOCK: usize = 32;

/// A quantised matrix, its values as stored in a file.
#[derive(Debug, Clone, PartialEq)]
pub struct QuantizedMatrix<S> {
    /// Two's complement i8 in q8, packed nibbles in q4.
    pub values: Vec<u8>,
    /// A scale per row (q8) or per 32 columns (q4).
    pub scales: Vec<S>,
}

/// Quantises a row-major matrix of `width` columns to 8 bits, symmetric, a scale per row.
pub fn quantize_q8(matrix: &[f32], width: usize) -> QuantizedMatrix<f32> {
    let mut quantized = QuantizedMatrix { values: Vec::with_capacity(matrix.len()), scales: Vec::new() };
    for row in matrix.chunks_exact(width) {
        quantized.scales.push(push_q8_row(row, &mut quantized.values));
    }
    quantized
}

/// Quantises a row-major matrix whose width is a multiple of 32 to 4 bits.
pub fn quantize_q4(matrix: &[f32]) -> QuantizedMatrix<f16> {
    let mut quantized = QuantizedMatrix { values: Vec::with_capacity(matrix.len() / 2), scales: Vec::new() };
    push_q4_row(matrix, &mut quantized.values, |scale| quantized.scales.push(scale));
    quantized
}

/// Appends one row in q8 and returns its scale.
pub(crate) fn push_q8_row(row: &[f32], values: &mut Vec<u8>) -> f32 {
    let scale = q8_scale(row);
    values.extend(row.iter().map(|&value| q8_value(value, scale) as u8));
    scale
}

/// Appends one row in q4, whose width is a multiple of 32, and tells the scale of every block.
pub(crate) fn push_q4_row(row: &[f32], values: &mut Vec<u8>, mut block_scale: impl FnMut(f16)) {
    for block in row.chunks_exact(Q4_BLOCK) {
        let scale = q4_scale(block);
        let nibbles = block.as_chunks::<2>().0.iter();
        values.extend(nibbles.map(|[low, high]| q4_nibble(*low, scale) | q4_nibble(*high, scale) << 4));
        block_scale(scale);
    }
}

/// Replaces a row of floats by what a file of `precision` would give back for it.
pub(crate) fn fake_quantize_row(precision: Precision, row: &mut [f32]) {
    match precision {
        Precision::F16 => row.iter_mut().for_each(|value| *value = f16::from_f32(*value).to_f32()),
        Precision::Q8 => {
            let scale = q8_scale(row);
            row.iter_mut().for_each(|value| *value = f32::from(q8_value(*value, scale)) * scale);
        }
        Precision::Q4 if row.len().is_multiple_of(Q4_BLOCK) => {
            for block in row.chunks_exact_mut(Q4_BLOCK) {
                let scale = q4_scale(block);
                let weight = |value| (f32::from(q4_nibble(value, scale)) - 8.0) * scale.to_f32();
                block.iter_mut().for_each(|value| *value = weight(*value));
            }
        }
        Precision::F32 | Precision::Q4 => {}
    }
}

fn q8_scale(row: &[f32]) -> f32 {
    row.iter().fold(0.0_f32, |largest, value| largest.max(value.abs())) / 127.0
}

fn q8_value(value: f32, scale: f32) -> i8 {
    if scale == 0.0 { 0 } else { (value / scale).round_ties_even().clamp(-127.0, 127.0) as i8 }
}

/// The value of largest magnitude maps to nibble 0, which uses all sixteen levels.
fn q4_scale(block: &[f32]) -> f16 {
    let extreme =
        block.iter().fold(0.0_f32, |found, &value| if value.abs() > found.abs() { value } else { found });
    f16::from_f32(extreme / -8.0)
}

fn q4_nibble(value: f32, scale: f16) -> u8 {
    let scale = scale.to_f32();
    if scale == 0.0 { 8 } else { ((value / scale).round_ties_even() + 8.0).clamp(0.0, 15.0) as u8 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::form::Form;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn q8_is_within_half_a_step(row in prop::collection::vec(-4.0f32..4.0, 96)) {
            let quantized = quantize_q8(&row, 96);
            let mut back = vec![0.0; 96];
            Form::I8.decode(&quantized.values, &quantized.scales, &mut back);
            for (value, back) in row.iter().zip(&back) {
                // Half a step, and a little for the division's rounding.
                prop_assert!((value - back).abs() <= quantized.scales[0] * 0.5001 + 1e-9);
            }
        }

        #[test]
        fn q4_is_within_one_step(row in prop::collection::vec(-4.0f32..4.0, 64)) {
            let quantized = quantize_q4(&row);
            let scales: Vec<f32> = quantized.scales.iter().map(|scale| scale.to_f32()).collect();
            let mut back = vec![0.0; 64];
            Form::U8.decode(&quantized.values, &scales, &mut back);
            for (index, (value, back)) in row.iter().zip(&back).enumerate() {
                // One step: the far end of the range has 7 levels where the near end has 8.
                prop_assert!((value - back).abs() <= scales[index / 32].abs() * 1.01 + 1e-6);
            }
        }

        #[test]
        fn a_quantised_row_reads_back_as_the_fake_one(row in prop::collection::vec(-4.0f32..4.0, 64)) {
            let (q8, q4) = (quantize_q8(&row, 64), quantize_q4(&row));
            let scales: Vec<f32> = q4.scales.iter().map(|scale| scale.to_f32()).collect();
            let (mut stored, mut fake) = (vec![0.0; 64], row.clone());
            Form::I8.decode(&q8.values, &q8.scales, &mut stored);
            fake_quantize_row(Precision::Q8, &mut fake);
            prop_assert_eq!(&stored, &fake);
            fake.clone_from(&row);
            Form::U8.decode(&q4.values, &scales, &mut stored);
            fake_quantize_row(Precision::Q4, &mut fake);
            prop_assert_eq!(&stored, &fake);
        }
    }

    #[test]
    fn a_row_of_zeros_stays_zero() {
        assert_eq!(quantize_q8(&[0.0; 32], 32).values, [0; 32]);
        let mut row = [0.0; 32];
        fake_quantize_row(Precision::Q4, &mut row);
        assert_eq!(row, [0.0; 32]);
    }

    #[test]
    fn the_low_nibble_is_the_even_column() {
        let mut block = [0.0; 32];
        block[0] = -8.0;
        block[1] = 7.0;
        let quantized = quantize_q4(&block);
        // -8 is the extreme: scale 1, so -8 is nibble 0 and 7 is nibble 15.
        assert_eq!((quantized.values[0], quantized.scales[0].to_f32()), (0xF0, 1.0));
    }
}
