//! `x · Wᵀ + b` with the weight's columns in panels.

use std::mem::MaybeUninit;

use super::aligned::Aligned;
use super::integers::{Bits, IntegerPanels};
use super::output::{Output, Part};
use super::quantized::{QuantizedPanels, QuantizedProduct};
use super::simd::{Kernel, Simd, run};
use super::team::each;
use super::threads::assume_written;
use super::tile::{pack_rows, panel_columns, tile};
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
    /// Integers that are multiplied out panel by panel.
    Integers(IntegerPanels),
    /// Integers that are multiplied as such.
    Quantized(QuantizedPanels),
}

impl PackedMatrix {
    /// A weight `[outputs, inputs]`, row by row.
    pub fn from_f32(rows: &[f32], inputs: usize) -> Self {
        Self::from_rows(rows.len() / inputs, inputs, |row, out| {
            out.copy_from_slice(&rows[row * inputs..(row + 1) * inputs]);
        })
    }

    /// A weight `[outputs, inputs]` of which `read` reads a row; all threads do.
    pub fn from_rows(outputs: usize, inputs: usize, read: impl Fn(usize, &mut [f32]) + Sync) -> Self {
        let columns = run(PanelColumns);
        let mut values = Aligned::zeros(outputs.next_multiple_of(columns) * inputs);
        let panels = values.chunks_exact_mut(columns * inputs).enumerate().collect();
        each(
            panels,
            || (),
            |(), (index, panel)| {
                let rows = index * columns..outputs.min((index + 1) * columns);
                let mut floats = vec![0.0; rows.len() * inputs];
                rows.zip(floats.chunks_exact_mut(inputs)).for_each(|(row, out)| read(row, out));
                for (input, values) in panel.chunks_exact_mut(columns).enumerate() {
                    let rows = floats.chunks_exact(inputs);
                    values.iter_mut().zip(rows).for_each(|(value, row)| *value = row[input]);
                }
            },
        );
        Self { values: Values::F32(values), inputs, outputs }
    }

    /// A weight `[outputs, inputs]` of integers, of which `read` reads a row and the scales of its blocks, which are of
    /// one length; the product is the one with the floats that they stand for.
    pub fn from_integers(
        (outputs, inputs): (usize, usize),
        bits: Bits,
        read: impl Fn(usize) -> (Vec<i8>, Vec<f32>),
    ) -> Self {
        let panels = IntegerPanels::new((outputs, inputs), bits, read, run(PanelColumns));
        Self { values: Values::Integers(panels), inputs, outputs }
    }

    /// A weight of integers with a scale for each row; what it is multiplied with is rounded to integers as well.
    pub fn quantized(rows: &[i8], scales: &[f32]) -> Self {
        let panels = run(Quantize { rows, scales });
        Self { values: Values::Quantized(panels), inputs: rows.len() / scales.len(), outputs: scales.len() }
    }

    /// Whether what it is multiplied with is rounded to integers.
    pub(crate) fn is_quantized(&self) -> bool {
        matches!(self.values, Values::Quantized(_))
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

struct Quantize<'a> {
    rows: &'a [i8],
    scales: &'a [f32],
}

impl Kernel for Quantize<'_> {
    type Output = QuantizedPanels;

    unsafe fn run<S: Simd>(self) -> QuantizedPanels {
        QuantizedPanels::new::<S>(self.rows, self.scales)
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
            QuantizedProduct { rows, inputs: weight.inputs, panels, out: product }.compute();
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

impl Kernel for Product<'_> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        unsafe {
            match S::ROWS {
                12 => self.multiply::<S, 12>(),
                4 => self.multiply::<S, 4>(),
                _ => self.multiply::<S, 6>(),
            }
        }
    }
}

impl Product<'_> {
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
        match &self.values {
            Values::F32(values) => {
                return values[first_column * self.inputs + range.start * panel_columns::<S>()..].as_ptr();
            }
            Values::Integers(panels) => unsafe { panels.multiply_out::<S>(first_column, range, scratch) },
            Values::Quantized(_) => unreachable!("it has a product of its own"),
        }
        scratch.as_ptr()
    }
}
