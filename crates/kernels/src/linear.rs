//! Linear layers.

use std::borrow::Cow;

use tracing::trace_span;

use crate::cpu::{self, Bits, Operands, PackedMatrix};
#[cfg(feature = "gpu")]
use crate::gpu::{Then, Weight};
#[cfg(feature = "gpu")]
use crate::rows::MIXED;
use crate::{LayerNorm, Rows};

/// Rows of a feed-forward layer that the CPU computes at once: what lies between its two products stays in
/// the cache. Whole tiles of every instruction set.
const FEED_ROWS: usize = 96;
/// Rows of any other layer.
const ALL: usize = usize::MAX;

/// What follows a linear layer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Activation {
    /// Nothing.
    None,
    /// The exact GELU.
    Gelu,
    /// tanh.
    Tanh,
}

/// A weight `[out, in]` that is kept in fewer bytes and multiplied out for every product.
pub trait StoredMatrix: Send + Sync {
    /// Columns.
    fn inputs(&self) -> usize;
    /// Rows.
    fn outputs(&self) -> usize;
    /// Multiplies a row out.
    fn multiply_out(&self, row: usize, out: &mut [f32]);
}

/// `x · weightᵀ + bias`
pub struct Linear(pub(crate) Kind);

pub(crate) enum Kind {
    Packed {
        weight: PackedMatrix,
        bias: Vec<f32>,
    },
    Stored {
        weight: Box<dyn StoredMatrix>,
        bias: Vec<f32>,
    },
    #[cfg(feature = "gpu")]
    Gpu(Box<Weight>),
}

impl Linear {
    /// A layer with the weight `[out, in]`, on its device.
    pub fn new(weight: Rows, bias: Vec<f32>) -> Self {
        Self(match weight {
            Rows::Cpu { values, width } => {
                Kind::Packed { weight: PackedMatrix::from_f32(&values, width), bias }
            }
            #[cfg(feature = "gpu")]
            Rows::Gpu(weight) => Kind::Gpu(Box::new(Weight::new(weight, &bias))),
        })
    }

    /// A layer on the CPU whose weight `[out, in]` is integers, of which `read` reads a row and the scales of its blocks,
    /// all of one length.
    pub fn from_integers(
        shape: (usize, usize),
        bits: Bits,
        read: impl Fn(usize) -> (Vec<i8>, Vec<f32>),
        bias: Vec<f32>,
    ) -> Self {
        Self(Kind::Packed { weight: PackedMatrix::from_integers(shape, bits, read), bias })
    }

    /// One whose weight is integers with a scale for each row, and what comes in is rounded to integers as well: several
    /// times as fast.
    pub fn quantized(rows: &[i8], scales: &[f32], bias: Vec<f32>) -> Self {
        Self(Kind::Packed { weight: PackedMatrix::quantized(rows, scales), bias })
    }

    /// A layer on the CPU whose weight stays as it is stored.
    pub fn from_stored(weight: Box<dyn StoredMatrix>, bias: Vec<f32>) -> Self {
        Self(Kind::Stored { weight, bias })
    }

    /// `activation(linear(rows))`, `[rows, in]` → `[rows, out]`
    pub fn forward(&self, rows: &Rows, activation: Activation) -> Rows {
        let _span = trace_span!("projection").entered();
        match (&self.0, rows) {
            #[cfg(feature = "gpu")]
            (Kind::Gpu(weight), Rows::Gpu(rows)) => {
                let then = match activation {
                    Activation::None => Then::Nothing,
                    Activation::Gelu => Then::Gelu,
                    Activation::Tanh => Then::Tanh,
                };
                Rows::Gpu(weight.forward(rows, weight.all(), then, None))
            }
            (_, Rows::Cpu { values, width }) => {
                let (weight, bias) = self.packed();
                let values = cpu::side_by_side((values, *width), weight.outputs(), ALL, |_, rows, out| {
                    cpu::linear(rows, &weight, bias, activation, out)
                });
                Rows::Cpu { values, width: weight.outputs() }
            }
            #[cfg(feature = "gpu")]
            _ => unreachable!("{MIXED}"),
        }
    }

    /// `norm(linear(rows) + residual)`, `[rows, in]` → `[rows, out]`
    pub fn add_norm(&self, rows: &Rows, residual: &Rows, norm: &LayerNorm) -> Rows {
        match (&self.0, rows, residual) {
            #[cfg(feature = "gpu")]
            (Kind::Gpu(weight), Rows::Gpu(rows), Rows::Gpu(residual)) => {
                norm.forward(Rows::Gpu(weight.forward(rows, weight.all(), Then::Add, Some(residual))))
            }
            (_, Rows::Cpu { values, width }, Rows::Cpu { values: residual, .. }) => {
                let (weight, bias) = self.packed();
                let outputs = weight.outputs();
                let values = cpu::side_by_side((values, *width), outputs, ALL, |places, rows, out| {
                    let out = trace_span!("projection")
                        .in_scope(|| cpu::linear(rows, &weight, bias, Activation::None, out));
                    norm.add_norm(out, Some(&residual[places.start * outputs..places.end * outputs]));
                    out
                });
                Rows::Cpu { values, width: outputs }
            }
            #[cfg(feature = "gpu")]
            _ => unreachable!("{MIXED}"),
        }
    }

    /// The feed-forward block, `norm(output(GELU(intermediate(rows))) + rows)`: `[rows, hidden]` → `[rows, hidden]`
    pub fn feed_forward(intermediate: &Self, output: &Self, norm: &LayerNorm, rows: &Rows) -> Rows {
        let _span = trace_span!("feed_forward").entered();
        match (&intermediate.0, &output.0, rows) {
            (
                Kind::Packed { weight: up, bias: up_bias },
                Kind::Packed { weight: down, bias: down_bias },
                Rows::Cpu { values, width },
            ) => {
                let outputs = down.outputs();
                let values = cpu::side_by_side((values, *width), outputs, FEED_ROWS, |_, rows, out| {
                    let mut wide = Vec::with_capacity(rows.len() / width * up.outputs());
                    let wide = &mut wide.spare_capacity_mut()[..rows.len() / width * up.outputs()];
                    let wide =
                        trace_span!("up").in_scope(|| cpu::linear(rows, up, up_bias, Activation::Gelu, wide));
                    let out = trace_span!("down")
                        .in_scope(|| cpu::linear(wide, down, down_bias, Activation::None, out));
                    norm.add_norm(out, Some(rows));
                    out
                });
                Rows::Cpu { values, width: outputs }
            }
            // Of what is multiplied out, one matrix at a time.
            _ => output.add_norm(&intermediate.forward(rows, Activation::Gelu), rows, norm),
        }
    }

    /// What attention to its results may compute with: where rows are rounded to integers, it need not be exact.
    pub(crate) fn operands(&self) -> Operands {
        match &self.0 {
            Kind::Packed { weight, .. } if weight.is_quantized() => Operands::Bf16,
            _ => Operands::F32,
        }
    }

    /// The weight in the order in which the CPU reads it, and the bias.
    fn packed(&self) -> (Cow<'_, PackedMatrix>, &[f32]) {
        match &self.0 {
            Kind::Packed { weight, bias } => (Cow::Borrowed(weight), bias),
            Kind::Stored { weight, bias } => {
                let read = |row, out: &mut [f32]| weight.multiply_out(row, out);
                (Cow::Owned(PackedMatrix::from_rows(weight.outputs(), weight.inputs(), read)), bias)
            }
            #[cfg(feature = "gpu")]
            Kind::Gpu(_) => unreachable!("{MIXED}"),
        }
    }
}
