//! Weights that are kept as integers and multiplied out, panel by panel, for every product.

use super::aligned::Aligned;
use super::simd::Simd;
use super::tile::panel_columns;

/// What an integer of a weight takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bits {
    /// From −8 to 7.
    Four,
    /// From −128 to 127.
    Eight,
}

/// The weight of a linear layer as integers, in panels.
#[derive(Debug, Clone)]
pub(crate) struct IntegerPanels {
    /// Of each panel, for each input, a byte for every column, or for the columns of its left half, with those of
    /// the right half in the upper bits.
    values: Vec<u8>,
    bits: Bits,
    /// Of each panel, for each block of inputs, every column's scale.
    scales: Aligned,
    /// Inputs that share a scale.
    block: usize,
    inputs: usize,
}

impl IntegerPanels {
    /// A weight `[outputs, inputs]`, of which `read` reads a row: its integers, and a scale for each block of them.
    pub(crate) fn new(
        (outputs, inputs): (usize, usize),
        bits: Bits,
        read: impl Fn(usize) -> (Vec<i8>, Vec<f32>),
        columns: usize,
    ) -> Self {
        let bytes = bits.bytes(columns);
        let mut values = vec![0; outputs.div_ceil(columns) * inputs * bytes];
        let (mut scales, mut blocks) = (Aligned::default(), 1);
        for output in 0..outputs {
            let (row, row_scales) = read(output);
            if output == 0 {
                blocks = row_scales.len();
                scales.resize(outputs.div_ceil(columns) * blocks * columns);
            }
            let (panel, column) = (output / columns, output % columns);
            let panel_values = values[panel * inputs * bytes..].chunks_exact_mut(bytes);
            for (place, value) in panel_values.zip(row) {
                match bits {
                    Bits::Eight => place[column] = value as u8,
                    Bits::Four if column < bytes => place[column] |= value as u8 & 15,
                    Bits::Four => place[column - bytes] |= (value as u8) << 4,
                }
            }
            let panel_scales = scales[panel * blocks * columns..].chunks_exact_mut(columns);
            panel_scales.zip(row_scales).for_each(|(place, scale)| place[column] = scale);
        }
        Self { values, bits, scales, block: inputs.div_ceil(blocks), inputs }
    }

    /// The rows `range` of the panel that begins with column `first_column`, multiplied out.
    #[inline(always)]
    pub(crate) unsafe fn multiply_out<S: Simd>(
        &self,
        first_column: usize,
        range: std::ops::Range<usize>,
        out: &mut [f32],
    ) {
        let columns = panel_columns::<S>();
        let (bytes, panel) = (self.bits.bytes(columns), first_column / columns);
        let values = &self.values[(panel * self.inputs + range.start) * bytes..][..range.len() * bytes];
        let scales = &self.scales[first_column * self.inputs.div_ceil(self.block)..];
        let rows = range.zip(values.chunks_exact(bytes)).zip(out.chunks_exact_mut(columns));
        for ((input, values), out) in rows {
            let scales = &scales[input / self.block * columns..][..columns];
            let (mut left, mut right) = ([0; 16], [0; 16]);
            let [left, right] = match self.bits {
                Bits::Eight => [values.as_ptr().cast(), values[S::LANES..].as_ptr().cast()],
                Bits::Four => {
                    for (byte, (left, right)) in values.iter().zip(left.iter_mut().zip(&mut right)) {
                        (*left, *right) = ((*byte << 4) as i8 >> 4, *byte as i8 >> 4);
                    }
                    [left.as_ptr(), right.as_ptr()]
                }
            };
            unsafe {
                let scales = scales.as_ptr();
                S::store(S::mul(S::load_i8(left), S::load(scales)), out.as_mut_ptr());
                let right = S::mul(S::load_i8(right), S::load(scales.add(S::LANES)));
                S::store(right, out.as_mut_ptr().add(S::LANES));
            }
        }
    }
}

impl Bits {
    /// Of one input, for so many columns.
    fn bytes(self, columns: usize) -> usize {
        match self {
            Bits::Four => columns / 2,
            Bits::Eight => columns,
        }
    }
}
