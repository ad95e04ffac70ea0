//! The forms in which files store weights.

use crossrank_kernels::Bits;
use half::{bf16, f16};
use safetensors::tensor::Dtype;

use crate::Precision;
use crate::quantized::Q4_BLOCK;

/// How the weights of a tensor are stored, under the formats' own names: safetensors' dtypes and ggml's types.
#[allow(non_camel_case_types)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// 32-bit floats.
    F32,
    /// 16-bit floats.
    F16,
    /// The upper halves of 32-bit floats.
    BF16,
    /// Crossrank's q8: an i8 a weight; the scales of its rows are another tensor.
    I8,
    /// Crossrank's q4: two weights a byte; the scales of each 32 columns are another tensor.
    U8,
    /// GGUF: blocks of an f16 scale and 32 i8.
    Q8_0,
    /// GGUF: blocks of an f16 scale and 32 times 4 bits.
    Q4_0,
    /// GGUF: blocks of 256 times 6 bits, sixteen i8 scales and an f16 scale of those. In its Q4_0 files the
    /// word embeddings are of this form.
    Q6_K,
    /// A dtype that holds no weights.
    Other(Dtype),
}

impl Form {
    /// The type of this number in a GGUF file.
    pub(crate) fn of_ggml(number: u32) -> Option<Self> {
        Some(match number {
            0 => Form::F32,
            1 => Form::F16,
            2 => Form::Q4_0,
            8 => Form::Q8_0,
            14 => Form::Q6_K,
            30 => Form::BF16,
            _ => return None,
        })
    }

    /// Weights that are stored together.
    pub(crate) fn block(self) -> usize {
        match self {
            Form::U8 => Q4_BLOCK,
            Form::Q8_0 | Form::Q4_0 => 32,
            Form::Q6_K => 256,
            _ => 1,
        }
    }

    /// Bytes of a block, without scales that are another tensor.
    pub(crate) fn block_bytes(self) -> usize {
        match self {
            Form::F32 => 4,
            Form::F16 | Form::BF16 => 2,
            Form::I8 => 1,
            Form::U8 => 16,
            Form::Q8_0 => 34,
            Form::Q4_0 => 18,
            Form::Q6_K => 210,
            Form::Other(dtype) => dtype.bitsize() / 8,
        }
    }

    /// True if this takes no more memory than `other`.
    pub(crate) fn is_no_larger_than(self, other: Self) -> bool {
        self.block_bytes() * other.block() <= other.block_bytes() * self.block()
    }

    /// True for integers that need no rounding to be what `precision` asks for: they lie on its grid, or on a
    /// coarser one.
    pub(crate) fn is_within(self, precision: Precision) -> bool {
        match precision {
            Precision::F32 => !matches!(self, Form::F32 | Form::F16 | Form::BF16 | Form::Other(_)),
            Precision::Q8 => matches!(self, Form::I8 | Form::Q8_0 | Form::Q6_K | Form::Q4_0),
            Precision::Q4 => matches!(self, Form::U8 | Form::Q4_0),
            Precision::F16 => false,
        }
    }

    /// Decodes whole blocks; `scales` are those of another tensor.
    pub(crate) fn decode(self, bytes: &[u8], scales: &[f32], out: &mut [f32]) {
        match self {
            Form::F32 => each(bytes, out, f32::from_le_bytes),
            Form::F16 => each(bytes, out, |pair| f16::from_le_bytes(pair).to_f32()),
            Form::BF16 => each(bytes, out, |pair| bf16::from_le_bytes(pair).to_f32()),
            Form::Q6_K => {
                for (block, out) in bytes.as_chunks().0.iter().zip(out.chunks_exact_mut(256)) {
                    decode_q6_k(block, out);
                }
            }
            Form::I8 | Form::U8 | Form::Q8_0 | Form::Q4_0 => {
                let (integers, scales) = self.integers(bytes, scales);
                let block = integers.len() / scales.len();
                let blocks = integers.chunks_exact(block).zip(out.chunks_exact_mut(block)).zip(scales);
                for ((integers, out), scale) in blocks {
                    out.iter_mut().zip(integers).for_each(|(out, &value)| *out = f32::from(value) * scale);
                }
            }
            Form::Other(_) => {}
        }
    }

    /// What an integer takes; `None` where weights are not an integer times the scale of its block.
    pub(crate) fn bits(self) -> Option<Bits> {
        match self {
            Form::I8 | Form::Q8_0 => Some(Bits::Eight),
            Form::U8 | Form::Q4_0 => Some(Bits::Four),
            _ => None,
        }
    }

    /// The integers of a row that [`Self::bits`] tells of, and the scales of its blocks; `scales` are those of another
    /// tensor.
    pub(crate) fn integers(self, bytes: &[u8], scales: &[f32]) -> (Vec<i8>, Vec<f32>) {
        let scale = |block: &[u8]| scale(block, 0);
        match self {
            // ggml's `block_q8_0`: the scale, then 32 i8.
            Form::Q8_0 => {
                let blocks = bytes.as_chunks::<34>().0.iter();
                let integers = blocks.clone().flat_map(|block| &block[2..]).map(|&byte| byte as i8);
                (integers.collect(), blocks.map(|block| scale(block)).collect())
            }
            // ggml's `block_q4_0`: the scale, then 16 bytes, whose low halves are the first 16 weights.
            Form::Q4_0 => {
                let blocks = bytes.as_chunks::<18>().0.iter();
                let integers = blocks.clone().flat_map(|block| {
                    let bytes = block[2..].iter();
                    bytes.clone().map(|byte| byte & 15).chain(bytes.map(|byte| byte >> 4))
                });
                (
                    integers.map(|nibble| nibble as i8 - 8).collect(),
                    blocks.map(|block| scale(block)).collect(),
                )
            }
            Form::U8 => {
                let nibbles = bytes.iter().flat_map(|byte| [byte & 15, byte >> 4]);
                (nibbles.map(|nibble| nibble as i8 - 8).collect(), scales.to_vec())
            }
            _ => (bytes.iter().map(|&byte| byte as i8).collect(), scales.to_vec()),
        }
    }

    /// True if no scale within `bytes` is infinite or no number; floats themselves are looked at when they
    /// are read.
    pub(crate) fn has_finite_scales(self, bytes: &[u8]) -> bool {
        let scale_at = match self {
            Form::Q8_0 | Form::Q4_0 => 0,
            Form::Q6_K => 208,
            _ => return true,
        };
        bytes.chunks_exact(self.block_bytes()).all(|block| scale(block, scale_at).is_finite())
    }
}

fn each<const N: usize>(bytes: &[u8], out: &mut [f32], value: impl Fn([u8; N]) -> f32) {
    for (out, &chunk) in out.iter_mut().zip(bytes.as_chunks::<N>().0) {
        *out = value(chunk);
    }
}

fn scale(block: &[u8], at: usize) -> f32 {
    f16::from_le_bytes([block[at], block[at + 1]]).to_f32()
}

/// ggml's `block_q6_K`: the lower 4 bits of all weights, their upper 2, a scale for each 16, and the scale
/// of the scales. Each half of 128 weights is four runs of 32.
fn decode_q6_k(block: &[u8; 210], values: &mut [f32]) {
    let (lower, upper, scales) = (&block[..128], &block[128..192], &block[192..208]);
    let whole = scale(block, 208);
    for (index, value) in values.iter_mut().enumerate() {
        let (half, run, at) = (index / 128, index % 128 / 32, index % 32);
        let low = lower[half * 64 + run % 2 * 32 + at] >> (run / 2 * 4) & 15;
        let high = upper[half * 32 + at] >> (run * 2) & 3;
        let scale = whole * f32::from(scales[index / 16] as i8);
        *value = scale * (f32::from(low | high << 4) - 32.0);
    }
}

impl From<Dtype> for Form {
    fn from(dtype: Dtype) -> Self {
        match dtype {
            Dtype::F32 => Form::F32,
            Dtype::F16 => Form::F16,
            Dtype::BF16 => Form::BF16,
            Dtype::I8 => Form::I8,
            Dtype::U8 => Form::U8,
            other => Form::Other(other),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(serde::Deserialize)]
    struct Blocks {
        form: String,
        bytes: Vec<u8>,
        values: Vec<f32>,
    }

    #[test]
    fn blocks_are_what_the_gguf_package_makes_of_them() {
        let golden = include_bytes!("../../../tests/golden/gguf/blocks.json");
        let golden: Vec<Blocks> = serde_json::from_slice(golden).unwrap();
        assert_eq!(golden.len(), 3);
        for Blocks { form, bytes, values } in golden {
            let number = match form.as_str() {
                "Q8_0" => 8,
                "Q4_0" => 2,
                _ => 14,
            };
            let form = Form::of_ggml(number).unwrap();
            let mut found = vec![0.0; bytes.len() / form.block_bytes() * form.block()];
            form.decode(&bytes, &[], &mut found);
            assert_eq!(found.len(), values.len());
            for (&found, expected) in found.iter().zip(values) {
                assert_eq!(found, expected, "{form:?}");
            }
            assert!(form.has_finite_scales(&bytes));
        }
    }

    #[test]
    fn sizes_are_compared_by_the_weight() {
        assert!(Form::Q8_0.is_no_larger_than(Form::F16));
        assert!(!Form::Q8_0.is_no_larger_than(Form::I8));
        assert!(Form::Q6_K.is_no_larger_than(Form::I8));
        assert!(!Form::Q4_0.is_no_larger_than(Form::U8));
        assert!(Form::BF16.is_no_larger_than(Form::F16));
    }
}
