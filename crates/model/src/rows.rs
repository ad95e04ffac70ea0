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

    /// As many rows in `form`, whose scales are yet to come.
    pub(crate) fn in_form(&self, form: Form) -> Self {
        let stride = self.width / form.block() * form.block_bytes();
        Self { name: self.name.clone(), form, stride, scales: Vec::new(), ..*self }
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
    /// and infinities, and what that precision cannot hold.
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
            if !out.iter().all(|value| value.is_finite()) {
                return Err(self.beyond(precision));
            }
        }
        Ok(())
    }

    /// Weights whose scales, or which themselves, are beyond f16's range.
    pub(crate) fn beyond(&self, precision: Precision) -> ModelError {
        let limit = if precision == Precision::F16 { "65,504" } else { "524,000" };
        ModelError::Unsupported {
            field: "dtype",
            found: format!("{} for {} with weights beyond ±{limit}", precision.name(), self.name),
            expected: "q8 or f32".to_owned(),
        }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_precision_cannot_hold_is_refused_by_it_alone() {
        let rows = Rows {
            name: "w".to_owned(),
            form: Form::F32,
            count: 1,
            width: 32,
            stride: 128,
            scales: Vec::new(),
        };
        let bytes = [1e6_f32; 32].map(f32::to_le_bytes).concat();
        let mut out = [0.0; 32];
        for precision in [Precision::Q4, Precision::F16] {
            let error = rows.decode(0, &bytes, precision, &mut out).err().map(|error| error.to_string());
            let name = format!("{} for w with weights beyond", precision.name());
            assert!(error.is_some_and(|error| error.contains(&name)), "{precision:?}");
        }
        for precision in [Precision::Q8, Precision::F32] {
            assert!(rows.decode(0, &bytes, precision, &mut out).is_ok(), "{precision:?}");
        }
    }
}
