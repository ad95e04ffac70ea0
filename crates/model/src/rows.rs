//! The rows of a stored matrix, decoded one at a time: no tensor is ever whole in f32 unless it is kept so.

use half::{bf16, f16};
use safetensors::tensor::Dtype;

use crate::header::damaged;
use crate::quantized::{Q4_BLOCK, dequantize_q4_row, dequantize_q8_row, fake_quantize_row};
use crate::tensor_list::Entry;
use crate::{ModelError, Precision};

/// How the rows of one matrix are stored; a vector is a matrix of one row.
#[derive(Debug, Clone)]
pub(crate) struct Rows {
    name: String,
    pub(crate) dtype: Dtype,
    pub(crate) count: usize,
    pub(crate) width: usize,
    /// Bytes of a row.
    pub(crate) stride: usize,
    /// One a row in q8, one for each 32 columns in q4, else none.
    pub(crate) scales: Vec<f32>,
}

impl Rows {
    /// The rows of tensor `name`; a quantised one brings its scales.
    ///
    /// # Errors
    /// [`ModelError::Damaged`] for a tensor that holds no weights.
    pub(crate) fn of(name: &str, entry: &Entry, scales: Vec<f32>) -> Result<Self, ModelError> {
        let (count, stored) = match entry.shape.as_slice() {
            [] => (1, 1),
            [length] => (1, *length),
            [rows, rest @ ..] => (*rows, rest.iter().product()),
        };
        let width = if entry.dtype == Dtype::U8 { stored * 2 } else { stored };
        if count * width == 0 || (entry.dtype == Dtype::U8 && !width.is_multiple_of(Q4_BLOCK)) {
            return Err(damaged(name, format!("{:?} {:?} holds no weights", entry.dtype, entry.shape)));
        }
        let stride = (entry.range.end - entry.range.start) as usize / count;
        Ok(Self { name: name.to_owned(), dtype: entry.dtype, count, width, stride, scales })
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// The scales of row `row`.
    pub(crate) fn row_scales(&self, row: usize) -> &[f32] {
        let each = self.scales.len() / self.count;
        &self.scales[row * each..(row + 1) * each]
    }

    /// Splits off the rows from `row` on.
    pub(crate) fn split_off(&mut self, row: usize) -> Self {
        let scales = self.scales.split_off(self.scales.len() / self.count * row);
        let rest = Self { name: self.name.clone(), count: self.count - row, scales, ..*self };
        self.count = row;
        rest
    }

    /// Decodes `bytes`, row `row`, into `out`, as a file of the given precision would hold it; refuses NaN
    /// and infinities.
    pub(crate) fn decode(
        &self,
        row: usize,
        bytes: &[u8],
        precision: Precision,
        out: &mut [f32],
    ) -> Result<(), ModelError> {
        match self.dtype {
            Dtype::F32 => decode(bytes, out, f32::from_le_bytes),
            Dtype::F16 => decode(bytes, out, |pair| f16::from_le_bytes(pair).to_f32()),
            Dtype::BF16 => decode(bytes, out, |pair| bf16::from_le_bytes(pair).to_f32()),
            Dtype::I8 => {
                self.check_q8(row, bytes)?;
                dequantize_q8_row(bytes, self.scales[row], out);
            }
            Dtype::U8 => dequantize_q4_row(bytes, self.row_scales(row), out),
            other => return Err(damaged(&self.name, format!("dtype {other:?} holds no weights"))),
        }
        if !out.iter().all(|value| value.is_finite()) {
            return Err(ModelError::NotFinite { tensor: self.label(row) });
        }
        // Values that already lie on the asked grid must not be rounded to a slightly different one.
        if !matches!((self.dtype, precision), (Dtype::I8, Precision::Q8) | (Dtype::U8, Precision::Q4)) {
            fake_quantize_row(precision, out);
        }
        Ok(())
    }

    /// Refuses the one byte that symmetric q8 does not use.
    pub(crate) fn check_q8(&self, row: usize, bytes: &[u8]) -> Result<(), ModelError> {
        if self.dtype == Dtype::I8 && bytes.contains(&0x80) {
            return Err(damaged(&self.name, format!("row {row} holds −128")));
        }
        Ok(())
    }

    fn label(&self, row: usize) -> String {
        if self.count == 1 { self.name.clone() } else { format!("{}, row {row}", self.name) }
    }
}

fn decode<const N: usize>(bytes: &[u8], out: &mut [f32], value: impl Fn([u8; N]) -> f32) {
    let (chunks, _) = bytes.as_chunks::<N>();
    for (value_out, chunk) in out.iter_mut().zip(chunks) {
        *value_out = value(*chunk);
    }
}
