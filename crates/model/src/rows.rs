//! The rows of a stored matrix, decoded one at a time: no tensor is ever whole in f32 unless it is kept so.

use crate::form::Form;
use crate::header::damaged;
use crate::quantized::fake_quantize_row;
use crate::tensor_list::Entry;
use crate::{ModelError, Precision};

/// How the rows of one matrix are stored; a vector is a matrix of one row.
#[derive(Debug, Clone)]
pub(crate) struct Rows {
    name: String,
    pub(crate) form: Form,
    pub(crate) count: usize,
    pub(crate) width: usize,
    /// Bytes of a row.
    pub(crate) stride: usize,
    /// One a row in [`Form::I8`], one for each 32 columns in [`Form::U8`], else none.
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
        let form = entry.form;
        let width = if form == Form::U8 { stored * 2 } else { stored };
        let is_whole = width.is_multiple_of(form.block()) && !matches!(form, Form::Other(_));
        if count * width == 0 || !is_whole {
            return Err(damaged(name, format!("{form:?} {:?} holds no weights", entry.shape)));
        }
        let stride = (entry.range.end - entry.range.start) as usize / count;
        Ok(Self { name: name.to_owned(), form, count, width, stride, scales })
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
        self.check(row, bytes)?;
        self.form.decode(bytes, self.row_scales(row), out);
        if !out.iter().all(|value| value.is_finite()) {
            return Err(ModelError::NotFinite { tensor: self.label(row) });
        }
        if !self.form.is_within(precision) {
            fake_quantize_row(precision, out);
        }
        Ok(())
    }

    /// Refuses what integers must not be: the one byte that symmetric q8 does not use, and scales that are
    /// not finite.
    pub(crate) fn check(&self, row: usize, bytes: &[u8]) -> Result<(), ModelError> {
        if self.form == Form::I8 && bytes.contains(&0x80) {
            return Err(damaged(&self.name, format!("row {row} holds −128")));
        }
        if !self.form.has_finite_scales(bytes) {
            return Err(ModelError::NotFinite { tensor: self.label(row) });
        }
        Ok(())
    }

    fn label(&self, row: usize) -> String {
        if self.count == 1 { self.name.clone() } else { format!("{}, row {row}", self.name) }
    }
}
