//! Matrices that are kept as bytes, in the forms that files store them in.

use crossrank_kernels::{Linear, StoredMatrix};
use half::f16;

use crate::form::Form;
use crate::quantized::{Q4_BLOCK, push_q4_row, push_q8_row};
use crate::rows::Rows;
use crate::{ModelError, Precision};

/// An embedding table, or a quantised matrix: its rows in memory.
pub(crate) struct StoredRows {
    rows: Rows,
    bytes: Vec<u8>,
}

impl StoredRows {
    /// A place for all of `rows`.
    ///
    /// # Errors
    /// [`ModelError::NoMemory`].
    pub(crate) fn reserve(rows: Rows) -> Result<Self, ModelError> {
        let bytes = reserve(rows.name(), rows.count, rows.stride)?;
        Ok(Self { rows, bytes })
    }

    pub(crate) fn form(&self) -> Form {
        self.rows.form
    }

    /// Bytes of values and scales.
    pub(crate) fn len(&self) -> usize {
        self.bytes.len() + size_of_val(self.rows.scales.as_slice())
    }

    /// Appends a row that is already in the form of these.
    pub(crate) fn push_stored(&mut self, row: &[u8]) {
        self.bytes.extend_from_slice(row);
    }

    /// Appends a row, put into the form of these.
    ///
    /// # Errors
    /// [`ModelError::Unsupported`] for weights beyond the range of q4.
    pub(crate) fn push(&mut self, row: &[f32]) -> Result<(), ModelError> {
        let Self { rows, bytes } = self;
        match rows.form {
            Form::I8 => rows.scales.push(push_q8_row(row, bytes)),
            Form::U8 => {
                push_q4_row(row, bytes, |scale| rows.scales.push(scale.to_f32()));
                let blocks = row.len() / Q4_BLOCK;
                if !rows.scales[rows.scales.len() - blocks..].iter().all(|scale| scale.is_finite()) {
                    return Err(rows.beyond(Precision::Q4));
                }
            }
            Form::F16 => bytes.extend(row.iter().flat_map(|&value| f16::from_f32(value).to_le_bytes())),
            _ => bytes.extend(row.iter().flat_map(|value| value.to_le_bytes())),
        }
        Ok(())
    }

    /// Row `row`, as a file of `precision` would hold it.
    ///
    /// # Errors
    /// [`ModelError::NotFinite`].
    pub(crate) fn decode(&self, row: usize, precision: Precision, out: &mut [f32]) -> Result<(), ModelError> {
        self.rows.decode(row, self.row_bytes(row), precision, out)
    }

    fn row_bytes(&self, row: usize) -> &[u8] {
        &self.bytes[row * self.rows.stride..(row + 1) * self.rows.stride]
    }

    /// The layer whose weight these are: it multiplies integers if asked for, else the floats that they stand for.
    pub(crate) fn into_linear(self, bias: Vec<f32>, integers: bool) -> Linear {
        match self.form().bits() {
            None => Linear::from_stored(Box::new(self), bias),
            Some(_) if integers && self.form() == Form::I8 => {
                let values: Vec<i8> = self.bytes.iter().map(|&byte| byte as i8).collect();
                Linear::quantized(&values, &self.rows.scales, bias)
            }
            Some(bits) => {
                let read = |row| self.form().integers(self.row_bytes(row), self.rows.row_scales(row));
                Linear::from_integers((self.rows.count, self.rows.width), bits, read, bias)
            }
        }
    }

    /// The rows of `self`, then those of `other`, which has the same width. Rows of two forms become q8.
    ///
    /// # Errors
    /// [`ModelError::NoMemory`].
    pub(crate) fn stacked(self, other: Self) -> Result<Self, ModelError> {
        if self.form() != other.form() {
            return self.in_q8()?.stacked(other.in_q8()?);
        }
        let (Self { mut rows, mut bytes }, mut other) = (self, other);
        rows.count += other.rows.count;
        rows.scales.append(&mut other.rows.scales);
        bytes.append(&mut other.bytes);
        Ok(Self { rows, bytes })
    }

    fn in_q8(self) -> Result<Self, ModelError> {
        if self.form() == Form::I8 {
            return Ok(self);
        }
        let mut quantized = Self::reserve(self.rows.in_form(Form::I8))?;
        let mut values = vec![0.0; self.rows.width];
        for row in 0..self.rows.count {
            self.multiply_out(row, &mut values);
            quantized.push(&values)?;
        }
        Ok(quantized)
    }

    /// Splits off the rows from `row` on.
    pub(crate) fn split_off(&mut self, row: usize) -> Self {
        Self { rows: self.rows.split_off(row), bytes: self.bytes.split_off(row * self.rows.stride) }
    }
}

impl StoredMatrix for StoredRows {
    fn inputs(&self) -> usize {
        self.rows.width
    }

    fn outputs(&self) -> usize {
        self.rows.count
    }

    fn multiply_out(&self, row: usize, out: &mut [f32]) {
        self.rows.form.decode(self.row_bytes(row), self.rows.row_scales(row), out);
    }
}

/// Room for the values of tensor `name`: where memory is limited, an error instead of the end of the program.
pub(crate) fn reserve<T>(name: &str, rows: usize, width: usize) -> Result<Vec<T>, ModelError> {
    let mut values = Vec::new();
    match rows.checked_mul(width).map(|length| values.try_reserve_exact(length)) {
        Some(Ok(())) => Ok(values),
        _ => {
            let bytes = rows as u64 * width as u64 * size_of::<T>() as u64;
            Err(ModelError::NoMemory { tensor: name.to_owned(), bytes })
        }
    }
}
