//! `x · Wᵀ + b` with the weight's columns in panels.

use std::mem::MaybeUninit;

use super::aligned::Aligned;
use super::output::{Output, Part};
use super::quantized::{QuantizedPanels, QuantizedProduct};
use super::simd::{Kernel, Simd, run};
use super::threads::assume_written;
use super::tile::{Tiled, pack_rows, panel_columns, tile};
use crate::Activation;

/// Products that are summed before the next panel: what both sides take fits the first cache.
const DEPTH: usize = 256;
/// Rows that are multiplied with one panel after the other: they fit the second cache.
pub(crate) const GROUP: usize = 240;

/// The weight of a linear layer in the order in which a product reads it.
#[derive(Debug, Clone)]
pub struct PackedMatrix {
    values: Values,
    inputs: usize,
    outputs: usize,
}

/// Panels of columns, each `inputs` rows long, the last one filled up with zeros.
#[derive(Debug, Clone)]
enum Values {
    F32(Aligned),
    /// Integers and one scale a column, which are multiplied out panel by panel.
    I8 {
        values: Vec<i8>,
        scales: Vec<f32>,
    },
    /// The same, multiplied as integers.
    Quantized(QuantizedPanels),
}

impl PackedMatrix {
    /// A weight `[outputs, inputs]`, row by row.
    pub fn from_f32(rows: &[f32], inputs: usize) -> Self {
        let (columns, outputs) = (run(PanelColumns), rows.len() / inputs);
        let mut values = Aligned::zeros(outputs.next_multiple_of(columns) * inputs);
        fill_panels(rows, inputs, &mut values, columns);
        Self { values: Values::F32(values), inputs, outputs }
    }

    /// A weight `[outputs, inputs]` of integers, with a scale for each of its rows; the product is the one with
    /// the floats that they stand for.
    pub fn from_i8(rows: &[i8], scales: &[f32]) -> Self {
        let (columns, outputs) = (run(PanelColumns), scales.len());
        let inputs = rows.len() / outputs;
        let mut scales = scales.to_vec();
        scales.resize(outputs.next_multiple_of(columns), 0.0);
        let mut values = vec![0; scales.len() * inputs];
        fill_panels(rows, inputs, &mut values, columns);
        Self { values: Values::I8 { values, scales }, inputs, outputs }
    }

    /// As [`Self::from_i8`], but what it is multiplied with is rounded to integers as well.
    pub fn quantized(rows: &[i8], scales: &[f32]) -> Self {
        let panels = QuantizedPanels::new(rows, scales, run(PanelColumns));
        Self { values: Values::Quantized(panels), inputs: rows.len() / scales.len(), outputs: scales.len() }
    }

    /// Columns of the result.
    pub fn outputs(&self) -> usize {
        self.outputs
    }

    /// Columns of what it is multiplied with.
    pub fn inputs(&self) -> usize {
        self.inputs
    }
}

/// Turns rows into the columns of panels.
fn fill_panels<T: Copy>(rows: &[T], inputs: usize, panels: &mut [T], columns: usize) {
    let size = columns * inputs;
    for (rows, panel) in rows.chunks(size).zip(panels.chunks_exact_mut(size)) {
        for (input, values) in panel.chunks_exact_mut(columns).enumerate() {
            for (value, row) in values.iter_mut().zip(rows.chunks_exact(inputs)) {
                *value = row[input];
            }
        }
    }
}

struct PanelColumns;

impl Kernel for PanelColumns {
    type Output = usize;

    unsafe fn run<S: Simd>(self) -> usize {
        panel_columns::<S>()
    }
}

/// `activation(rows · weightᵀ + bias)`, `[rows, inputs]` → `[rows, outputs]`, into `out`, and `out` as it then is.
pub fn linear<'o>(
    rows: &[f32],
    weight: &PackedMatrix,
    bias: &[f32],
    activation: Activation,
    out: &'o mut [MaybeUninit<f32>],
) -> &'o mut [f32] {
    assert_eq!(rows.len() / weight.inputs * weight.outputs, out.len());
    assert_eq!(bias.len(), weight.outputs);
    let product = Output { values: &mut *out, bias, activation };
    match &weight.values {
        Values::Quantized(panels) => {
            run(QuantizedProduct { rows, inputs: weight.inputs, panels, out: product })
        }
        _ => run(Product { rows, weight, out: product }),
    }
    // SAFETY: both products write every column of every row.
    let out = unsafe { assume_written(out) };
    if activation == Activation::Tanh {
        // Of one row a pair: nothing is gained by vectors.
        out.iter_mut().for_each(|value| *value = value.tanh());
    }
    out
}

struct Product<'a> {
    rows: &'a [f32],
    weight: &'a PackedMatrix,
    out: Output<'a>,
}

impl Tiled for Product<'_> {
    #[inline(always)]
    unsafe fn multiply<S: Simd, const ROWS: usize>(mut self) {
        let PackedMatrix { inputs, outputs, .. } = *self.weight;
        let depth = inputs.div_ceil(inputs.div_ceil(DEPTH));
        let (mut packed, mut scratch) = (Aligned::default(), Aligned::zeros(panel_columns::<S>() * depth));
        for (index, group) in self.rows.chunks(GROUP * inputs).enumerate() {
            for start in (0..inputs).step_by(depth) {
                let range = start..inputs.min(start + depth);
                let part = Part { is_first: start == 0, is_last: range.end == inputs };
                pack_rows(group, inputs, range.clone(), ROWS, &mut packed);
                for first_column in (0..outputs).step_by(panel_columns::<S>()) {
                    let panel = unsafe { self.weight.panel::<S>(first_column, range.clone(), &mut scratch) };
                    for (block, left) in packed.chunks_exact(ROWS * range.len()).enumerate() {
                        let first_row = index * GROUP + block * ROWS;
                        unsafe {
                            self.out.prefetch::<S, ROWS>(first_row, first_column);
                            let sums = tile::<S, ROWS>(range.len(), left.as_ptr(), ROWS, panel);
                            self.out.add::<S, ROWS>(sums, first_row, first_column, part);
                        }
                    }
                }
            }
        }
    }
}

impl PackedMatrix {
    /// The rows `range` of the panel that begins with column `first_column`; integers are multiplied out into
    /// `scratch`.
    #[inline(always)]
    unsafe fn panel<S: Simd>(
        &self,
        first_column: usize,
        range: std::ops::Range<usize>,
        scratch: &mut Aligned,
    ) -> *const f32 {
        let columns = panel_columns::<S>();
        let at = first_column * self.inputs + range.start * columns;
        let (values, scales) = match &self.values {
            Values::F32(values) => return values[at..].as_ptr(),
            Values::I8 { values, scales } => (values, &scales[first_column..]),
            Values::Quantized(_) => unreachable!("it has a product of its own"),
        };
        unsafe {
            let scales = [S::load(scales.as_ptr()), S::load(scales.as_ptr().add(S::LANES))];
            let values = values[at..at + range.len() * columns].as_ptr();
            for (vector, start) in (0..range.len() * columns).step_by(S::LANES).enumerate() {
                let value = S::mul(S::load_i8(values.add(start)), scales[vector % 2]);
                S::store(value, scratch.as_mut_ptr().add(start));
            }
        }
        scratch.as_ptr()
    }
}
