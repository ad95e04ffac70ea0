//! Weights in the form they are kept in, whatever order they came in.

use std::collections::HashMap;
use std::sync::Arc;

use crossrank_kernels::{Device, Linear};

use crate::form::Form;
use crate::layout::Role;
use crate::quantized::Q4_BLOCK;
use crate::rows::Rows;
use crate::stored_rows::{StoredRows, reserve};
use crate::tensor_list::Entry;
use crate::{Checkpoint, ModelError, Precision};

/// Where and how weights are kept.
#[derive(Clone)]
pub(crate) struct Keep {
    pub(crate) precision: Precision,
    /// Matrices that are stored as integers are multiplied as integers whatever the precision.
    as_stored: bool,
    pub(crate) device: Device,
}

impl Keep {
    /// Weights in `precision`; without one in f32, but for integers, of which the CPU makes integer products.
    pub(crate) fn new(precision: Option<Precision>, device: &Device) -> Self {
        Self {
            precision: precision.unwrap_or(Precision::F32),
            as_stored: precision.is_none(),
            device: device.clone(),
        }
    }

    /// The same, but every product is one of floats.
    pub(crate) fn in_floats(&self) -> Self {
        Self { precision: Precision::F32, as_stored: false, device: self.device.clone() }
    }

    /// True where a matrix of 8-bit integers is multiplied as integers.
    pub(crate) fn multiplies_integers(&self) -> bool {
        self.as_stored || matches!(self.precision, Precision::Q8 | Precision::Q4)
    }

    /// True where weights are multiplied in f16, else in f32.
    pub(crate) fn computes_in_f16(&self) -> bool {
        self.precision == Precision::F16 && !self.device.is_cpu()
    }

    /// What a tensor of `role` is rounded to.
    pub(crate) fn precision(&self, role: Role) -> Precision {
        match (role, self.precision) {
            (Role::WordTable | Role::Matrix, precision) => precision,
            // One row of weights: nothing is saved by rounding it to integers.
            (Role::Classifier, Precision::F16) => Precision::F16,
            _ => Precision::F32,
        }
    }

    /// The form in which a tensor of `role` is kept as bytes; `None` for one that is computed with as floats.
    fn stored_form(&self, role: Role, rows: &Rows) -> Option<Form> {
        let precision = self.precision(role);
        let asked = match precision {
            Precision::Q8 => Form::I8,
            Precision::Q4 if rows.width.is_multiple_of(Q4_BLOCK) => Form::U8,
            Precision::F16 => Form::F16,
            Precision::F32 | Precision::Q4 => Form::F32,
        };
        let is_fine = rows.form.is_within(precision);
        // Without a precision that is f32, within which all integers are.
        let is_integers = matches!(asked, Form::I8 | Form::U8) || self.as_stored && is_fine;
        match role {
            Role::WordTable | Role::Table if is_fine || rows.form.is_no_larger_than(asked) => Some(rows.form),
            Role::WordTable | Role::Table => Some(asked),
            // Of 8 bits and a scale for each row the CPU makes integer products.
            Role::Matrix if self.device.is_cpu() && is_integers => Some(Form::I8),
            Role::Matrix if self.device.is_cpu() && is_fine => Some(rows.form),
            _ => None,
        }
    }
}

/// A tensor whose rows come one after the other.
pub(crate) struct Incoming {
    pub(crate) rows: Rows,
    role: Role,
    precision: Precision,
    next: usize,
    kept: Kept,
    /// What a row is rounded to before it is kept; `None` where it is kept as the bytes that it comes in.
    rounded_to: Option<Precision>,
    /// A row in f32 on its way from one form to another.
    row: Vec<f32>,
}

enum Kept {
    Floats(Vec<f32>),
    Stored(StoredRows),
}

impl Incoming {
    /// # Errors
    /// [`ModelError::NoMemory`].
    pub(crate) fn new(rows: Rows, role: Role, keep: &Keep) -> Result<Self, ModelError> {
        let precision = keep.precision(role);
        // A matrix that the CPU multiplies is kept in 8 bits, but holds no more than the 4 that are asked for.
        let is_q4_matrix =
            role == Role::Matrix && precision == Precision::Q4 && !rows.form.is_within(precision);
        let (kept, rounded_to) = match keep.stored_form(role, &rows) {
            Some(form) if form == rows.form && !is_q4_matrix => {
                (Kept::Stored(StoredRows::reserve(rows.clone())?), None)
            }
            Some(form) => {
                let rounded_to = if is_q4_matrix { Precision::Q4 } else { Precision::F32 };
                (Kept::Stored(StoredRows::reserve(rows.in_form(form))?), Some(rounded_to))
            }
            None => (Kept::Floats(reserve(rows.name(), rows.count, rows.width)?), Some(precision)),
        };
        Ok(Self { role, precision, next: 0, kept, rounded_to, row: vec![0.0; rows.width], rows })
    }

    /// Takes the bytes of the next row.
    ///
    /// # Errors
    /// [`ModelError::NotFinite`], [`ModelError::Damaged`], [`ModelError::Unsupported`].
    pub(crate) fn push(&mut self, bytes: &[u8]) -> Result<(), ModelError> {
        let row = self.next;
        self.next += 1;
        match self.rounded_to {
            Some(precision) => self.rows.decode(row, bytes, precision, &mut self.row)?,
            None => self.rows.check(row, bytes)?,
        }
        match &mut self.kept {
            Kept::Floats(values) => values.extend_from_slice(&self.row),
            Kept::Stored(stored) if self.rounded_to.is_none() => stored.push_stored(bytes),
            Kept::Stored(stored) => stored.push(&self.row)?,
        }
        Ok(())
    }

    /// True when every row has come.
    pub(crate) fn is_complete(&self) -> bool {
        self.next == self.rows.count
    }
}

/// The weight of a linear layer, `[out, in]`.
pub(crate) enum Matrix {
    /// On the device.
    Float(crossrank_kernels::Rows),
    /// In memory, as integers.
    Quantized(StoredRows),
}

impl Matrix {
    /// The rows of `self`, then those of `other`.
    ///
    /// # Errors
    /// [`ModelError::NoMemory`].
    pub(crate) fn stacked(self, other: Self) -> Result<Self, ModelError> {
        match (self, other) {
            (Matrix::Float(first), Matrix::Float(second)) => Ok(Matrix::Float(first.stacked(second))),
            (Matrix::Quantized(first), Matrix::Quantized(second)) => {
                first.stacked(second).map(Matrix::Quantized)
            }
            _ => unreachable!("the matrices of one width are kept in one form"),
        }
    }

    /// The layer with this weight.
    pub(crate) fn into_linear(self, bias: Vec<f32>, keep: &Keep) -> Linear {
        match self {
            Matrix::Float(weight) => Linear::new(weight, bias),
            Matrix::Quantized(stored) => stored.into_linear(bias, keep.multiplies_integers()),
        }
    }

    /// The first `row` rows, and the rest.
    pub(crate) fn split_at(self, row: usize) -> (Self, Self) {
        match self {
            Matrix::Float(whole) => {
                let (first, rest) = whole.split_at(row);
                (Matrix::Float(first), Matrix::Float(rest))
            }
            Matrix::Quantized(mut first) => {
                let rest = first.split_off(row);
                (Matrix::Quantized(first), Matrix::Quantized(rest))
            }
        }
    }
}

/// An embedding table, outside the device.
pub(crate) enum Table {
    /// In memory, with the precision of what is read from it.
    Memory(StoredRows, Precision),
    /// In the file it came in: a row is read when it is asked for.
    File { checkpoint: Arc<Checkpoint>, entry: Entry, rows: Rows, precision: Precision },
}

impl Table {
    /// Reads row `row` into `out`.
    ///
    /// # Errors
    /// [`ModelError::NotFinite`], [`ModelError::Read`], [`ModelError::Damaged`].
    pub(crate) fn read(&self, row: usize, out: &mut [f32]) -> Result<(), ModelError> {
        match self {
            Table::Memory(rows, precision) => rows.decode(row, *precision, out),
            Table::File { checkpoint, entry, rows, precision } => {
                rows.decode(row, &checkpoint.row_bytes(entry, rows, row)?, *precision, out)
            }
        }
    }
}

/// The weights of a model that have come so far, by name.
#[derive(Default)]
pub(crate) struct Weights {
    tables: HashMap<String, Table>,
    matrices: HashMap<String, Matrix>,
    vectors: HashMap<String, Vec<f32>>,
    /// Bytes of all of them: on the device, and in memory.
    pub(crate) bytes: u64,
}

impl Weights {
    /// Puts a complete tensor where it is kept.
    pub(crate) fn place(&mut self, name: String, tensor: Incoming, keep: &Keep) {
        let Incoming { rows, role, precision, kept, .. } = tensor;
        match (role, kept) {
            (Role::Matrix, Kept::Stored(stored)) => {
                self.bytes += stored.len() as u64;
                self.matrices.insert(name, Matrix::Quantized(stored));
            }
            (_, Kept::Stored(stored)) => {
                self.bytes += stored.len() as u64;
                self.tables.insert(name, Table::Memory(stored, precision));
            }
            (Role::Vector, Kept::Floats(values)) => {
                self.bytes += size_of_val(values.as_slice()) as u64;
                self.vectors.insert(name, values);
            }
            (_, Kept::Floats(values)) => {
                let f16 = keep.computes_in_f16();
                self.bytes += (values.len() * if f16 { 2 } else { 4 }) as u64;
                let matrix = crossrank_kernels::Rows::weight(values, rows.width, f16, &keep.device);
                self.matrices.insert(name, Matrix::Float(matrix));
            }
        }
    }

    /// The precision of the products with the matrices that have come.
    pub(crate) fn precision(&self, keep: &Keep) -> Precision {
        let is_integers =
            |matrix: &Matrix| matches!(matrix, Matrix::Quantized(stored) if stored.form() == Form::I8);
        match keep.as_stored && self.matrices.values().any(is_integers) {
            true => Precision::Q8,
            false => keep.precision,
        }
    }

    /// Adds a table that stays in its file.
    pub(crate) fn place_table(&mut self, name: String, table: Table) {
        self.tables.insert(name, table);
    }

    pub(crate) fn table(&mut self, name: &str) -> Result<Table, ModelError> {
        self.tables.remove(name).ok_or_else(|| ModelError::missing(name))
    }

    pub(crate) fn matrix(&mut self, name: &str) -> Result<Matrix, ModelError> {
        self.matrices.remove(name).ok_or_else(|| ModelError::missing(name))
    }

    pub(crate) fn vector(&mut self, name: &str) -> Result<Vec<f32>, ModelError> {
        self.vectors.remove(name).ok_or_else(|| ModelError::missing(name))
    }
}
