//! Matrices that are kept as bytes, in the forms that files store them in.

use half::f16;
use safetensors::tensor::Dtype;

use crate::quantized::{Q4_BLOCK, dequantize_q4_row, dequantize_q8_row, push_q4_row, push_q8_row};
use crate::rows::Rows;
use crate::{ModelError, Precision};

/// An embedding table, or a quantised matrix: its rows in memory.
pub(crate) struct StoredRows {
    rows: Rows,
    bytes: Vec<u8>,
}

impl StoredRows {
    /// A place for all rows of `source`, which are going to be kept as `dtype`.
    ///
    /// # Errors
    /// [`ModelError::NoMemory`].
    pub(crate) fn reserve(source: &Rows, dtype: Dtype) -> Result<Self, ModelError> {
        let mut rows = source.clone();
        if dtype != source.dtype {
            rows.dtype = dtype;
            rows.stride = rows.width * bits_per_weight(dtype) / 8;
            rows.scales = Vec::new();
        }
        let bytes = reserve(rows.name(), rows.count, rows.stride)?;
        Ok(Self { rows, bytes })
    }

    pub(crate) fn dtype(&self) -> Dtype {
        self.rows.dtype
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
        match rows.dtype {
            Dtype::I8 => rows.scales.push(push_q8_row(row, bytes)),
            Dtype::U8 => {
                push_q4_row(row, bytes, |scale| rows.scales.push(scale.to_f32()));
                let blocks = row.len() / Q4_BLOCK;
                if !rows.scales[rows.scales.len() - blocks..].iter().all(|scale| scale.is_finite()) {
                    return Err(ModelError::Unsupported {
                        field: "dtype",
                        found: format!("q4 for {} with weights beyond ±524,000", rows.name()),
                        expected: "q8, f16 or f32".to_owned(),
                    });
                }
            }
            Dtype::F16 => bytes.extend(row.iter().flat_map(|&value| f16::from_f32(value).to_le_bytes())),
            _ => bytes.extend(row.iter().flat_map(|value| value.to_le_bytes())),
        }
        Ok(())
    }

    /// Row `row`, as a file of `precision` would hold it.
    ///
    /// # Errors
    /// [`ModelError::NotFinite`].
    pub(crate) fn decode(&self, row: usize, precision: Precision, out: &mut [f32]) -> Result<(), ModelError> {
        let stride = self.rows.stride;
        self.rows.decode(row, &self.bytes[row * stride..(row + 1) * stride], precision, out)
    }

    /// All rows of a quantised matrix in f32, `[count, width]`.
    pub(crate) fn multiplied_out(&self) -> (Vec<f32>, [usize; 2]) {
        let Rows { count, width, stride, .. } = self.rows;
        let mut values = vec![0.0; count * width];
        let rows = values.chunks_exact_mut(width).zip(self.bytes.chunks_exact(stride));
        for (row, (out, bytes)) in rows.enumerate() {
            match self.rows.dtype {
                Dtype::U8 => dequantize_q4_row(bytes, self.rows.row_scales(row), out),
                _ => dequantize_q8_row(bytes, self.rows.scales[row], out),
            }
        }
        (values, [count, width])
    }

    /// Appends the rows of `other`, which has the same form and width.
    pub(crate) fn append(&mut self, mut other: Self) {
        self.rows.count += other.rows.count;
        self.rows.scales.append(&mut other.rows.scales);
        self.bytes.append(&mut other.bytes);
    }

    /// Splits off the rows from `row` on.
    pub(crate) fn split_off(&mut self, row: usize) -> Self {
        Self { rows: self.rows.split_off(row), bytes: self.bytes.split_off(row * self.rows.stride) }
    }
}

/// Bits that a weight of `dtype` takes in a file; q4 is stored as [`Dtype::U8`], two in a byte.
pub(crate) fn bits_per_weight(dtype: Dtype) -> usize {
    match dtype {
        Dtype::U8 => 4,
        Dtype::I8 => 8,
        Dtype::F16 | Dtype::BF16 => 16,
        _ => 32,
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
