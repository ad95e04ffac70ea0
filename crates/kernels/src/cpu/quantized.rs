//! Products in integers: weights in 8 bits, what they are multiplied with in 7.
//!
//! Seven bits are what every instruction set multiplies without overflow (AVX2's `maddubs` saturates, and
//! WebAssembly's relaxed dot product leaves more undefined), so that all of them give the same integers. A scale
//! and a zero point for every [`BLOCK`] columns of every row make up for the eighth: see docs/performance.md.

use super::aligned::Aligned;
use super::linear::GROUP;
use super::math::{ROUND, fold};
use super::norm::load_at;
use super::output::{Output, Part};
use super::simd::{Kernel, Simd, run};
use super::tile::{panel_columns, tile};

/// Columns that share a scale and a zero point.
pub(crate) const BLOCK: usize = 128;
/// Inputs that a panel has a multiple of: what a register of AMX holds of a row.
pub(crate) const INPUTS_AT_ONCE: usize = 64;
/// Quads that are added up in 16 bits. One always fits; most often four do, as few weights are large.
const RUNS: [usize; 3] = [4, 2, 1];
/// The largest activation.
const STEPS: f32 = 127.0;

/// The weight of a linear layer as integers, in panels.
#[derive(Debug, Clone)]
pub(crate) struct QuantizedPanels {
    /// Of each panel, for each four inputs, four weights of every column.
    values: Vec<i8>,
    /// Of each panel, for each block of inputs, the sum of every column's weights: what a zero point counts.
    sums: Aligned,
    /// Of every column.
    scales: Aligned,
    /// Of each panel, for each block, how many quads [`Simd::dot`] may add up before they are widened.
    runs: Vec<usize>,
}

impl QuantizedPanels {
    /// A weight `[outputs, inputs]`, row by row, with a scale for each row.
    pub(crate) fn new<S: Simd>(rows: &[i8], row_scales: &[f32]) -> Self {
        let columns = panel_columns::<S>();
        let (outputs, inputs) = (row_scales.len(), rows.len() / row_scales.len());
        let (panels, blocks) = (outputs.div_ceil(columns), inputs.div_ceil(BLOCK));
        let panel_bytes = panel_bytes(inputs, columns);
        let mut scales = Aligned::zeros(panels * columns);
        scales[..outputs].copy_from_slice(row_scales);
        let mut values = vec![0; panels * panel_bytes];
        let mut sums = Aligned::zeros(panels * blocks * columns);
        let mut runs = vec![RUNS[0]; panels * blocks];
        for (output, row) in rows.chunks_exact(inputs).enumerate() {
            let (panel, column) = (output / columns, output % columns);
            for (quad, weights) in row.chunks(4).enumerate() {
                let at = panel * panel_bytes + (quad * columns + column) * 4;
                values[at..at + weights.len()].copy_from_slice(weights);
            }
            for (block, weights) in row.chunks(BLOCK).enumerate() {
                let sum: i32 = weights.iter().map(|&weight| i32::from(weight)).sum();
                sums[(panel * blocks + block) * columns + column] = sum as f32;
                if S::IS_NARROW {
                    let run = &mut runs[panel * blocks + block];
                    *run = (*run).min(longest_run(weights));
                }
            }
        }
        Self { values, sums, scales, runs }
    }

    /// A panel of a weight with so many inputs.
    #[inline(always)]
    pub(crate) fn panel(&self, panel: usize, inputs: usize, columns: usize) -> Panel<'_> {
        let (bytes, blocks) = (panel_bytes(inputs, columns), inputs.div_ceil(BLOCK));
        Panel {
            values: &self.values[panel * bytes..(panel + 1) * bytes],
            sums: &self.sums[panel * blocks * columns..(panel + 1) * blocks * columns],
            scales: &self.scales[panel * columns..(panel + 1) * columns],
            runs: &self.runs[panel * blocks..(panel + 1) * blocks],
        }
    }
}

/// How many quads of these weights may be added up in 16 bits, whatever they are multiplied with: of [`RUNS`].
fn longest_run(weights: &[i8]) -> usize {
    let fits = |run: usize| {
        weights.chunks(4 * run).all(|quads| {
            // Of the first half of every quad and of the second, its negative weights and the others.
            let mut sums = [[0; 2]; 2];
            for (index, &weight) in quads.iter().enumerate() {
                sums[index % 4 / 2][usize::from(weight < 0)] += i32::from(weight);
            }
            sums.as_flattened().iter().all(|&sum| i16::try_from(sum * STEPS as i32).is_ok())
        })
    };
    RUNS.into_iter().find(|&run| fits(run)).unwrap_or(1)
}

/// The parts of [`QuantizedPanels`] that belong to one panel.
pub(crate) struct Panel<'a> {
    pub(crate) values: &'a [i8],
    pub(crate) sums: &'a [f32],
    scales: &'a [f32],
    runs: &'a [usize],
}

impl Panel<'_> {
    /// Multiplies sums by the scales of their columns.
    #[inline(always)]
    pub(crate) unsafe fn scale<S: Simd>(&self, sums: &mut [[S::Vector; 2]]) {
        let scales = self.scales.as_ptr();
        unsafe {
            let scales = [S::load(scales), S::load(scales.add(S::LANES))];
            sums.iter_mut().for_each(|row| *row = [0, 1].map(|half| S::mul(row[half], scales[half])));
        }
    }
}

/// What a panel takes, with zeros behind the last input.
fn panel_bytes(inputs: usize, columns: usize) -> usize {
    inputs.next_multiple_of(INPUTS_AT_ONCE) * columns
}

/// A product of rows, in 7 bits, with such a weight.
pub(crate) struct QuantizedProduct<'a> {
    pub(crate) rows: &'a [f32],
    pub(crate) inputs: usize,
    pub(crate) panels: &'a QuantizedPanels,
    pub(crate) out: Output<'a>,
}

impl QuantizedProduct<'_> {
    /// Computes it with the best instructions that this processor has.
    pub(crate) fn compute(self) {
        #[cfg(target_arch = "x86_64")]
        if super::x86::level() == super::x86::Level::Amx {
            // SAFETY: the level says that the processor has them.
            return unsafe { super::amx::multiply(self) };
        }
        run(self);
    }
}

impl Kernel for QuantizedProduct<'_> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        unsafe {
            match S::INTEGER_ROWS {
                2 => self.multiply::<S, 2>(),
                3 => self.multiply::<S, 3>(),
                4 => self.multiply::<S, 4>(),
                _ => self.multiply::<S, 6>(),
            }
        }
    }
}

impl QuantizedProduct<'_> {
    #[inline(always)]
    unsafe fn multiply<S: Simd, const ROWS: usize>(mut self) {
        let columns = panel_columns::<S>();
        let mut left = QuantizedRows::new::<S>(self.inputs, ROWS);
        for (index, group) in self.rows.chunks(GROUP * self.inputs).enumerate() {
            unsafe { left.quantize::<S>(group) };
            for panel in 0..self.out.bias.len().div_ceil(columns) {
                let weights = self.panels.panel(panel, self.inputs, columns);
                for row in (0..group.len() / self.inputs).step_by(ROWS) {
                    let (first_row, first_column) = (index * GROUP + row, panel * columns);
                    unsafe {
                        self.out.prefetch::<S, ROWS>(first_row, first_column);
                        let mut sums = left.times::<S, ROWS>(row, &weights);
                        weights.scale::<S>(&mut sums);
                        let part = Part { is_first: true, is_last: true };
                        self.out.add::<S, ROWS>(sums, first_row, first_column, part);
                    }
                }
            }
        }
    }
}

/// Rows in 7 bits, one behind the other.
pub(crate) struct QuantizedRows {
    pub(crate) inputs: usize,
    /// Rows whose scales are next to each other.
    together: usize,
    /// Bytes from one row to the next.
    pub(crate) stride: usize,
    /// For each four columns what [`Simd::load_quad`] reads.
    pub(crate) values: Vec<u8>,
    /// Of every `together` rows, for each block of columns, every row's scale,
    pub(crate) scales: Aligned,
    /// and what its zero point stands for, negated.
    pub(crate) zeros: Aligned,
}

impl QuantizedRows {
    #[inline(always)]
    pub(crate) fn new<S: Simd>(inputs: usize, together: usize) -> Self {
        Self {
            inputs,
            together,
            stride: inputs.next_multiple_of(INPUTS_AT_ONCE) / 4 * S::QUAD_BYTES,
            values: Vec::new(),
            scales: Aligned::default(),
            zeros: Aligned::default(),
        }
    }

    pub(crate) fn blocks(&self) -> usize {
        self.inputs.div_ceil(BLOCK)
    }

    /// Where the scale and the zero of a row's first block are; the others' are `together` apart.
    pub(crate) fn place(&self, row: usize) -> usize {
        row / self.together * self.together * self.blocks() + row % self.together
    }

    #[inline(always)]
    pub(crate) unsafe fn quantize<S: Simd>(&mut self, rows: &[f32]) {
        let count = (rows.len() / self.inputs).next_multiple_of(self.together);
        // Behind a row's values are zeros of the weights, whatever is there.
        self.values.resize(count * self.stride, 0);
        self.scales.resize(count * self.blocks());
        self.zeros.resize(count * self.blocks());
        for (index, row) in rows.chunks_exact(self.inputs).enumerate() {
            let first = self.place(index);
            for (block, values) in row.chunks(BLOCK).enumerate() {
                let at = first + block * self.together;
                let quads = &mut self.values[index * self.stride + block * BLOCK / 4 * S::QUAD_BYTES..];
                unsafe { (self.scales[at], self.zeros[at]) = quantize_block::<S>(values, quads) };
            }
        }
    }

    /// The products of `ROWS` rows with a panel, but for the scales of its columns.
    #[inline(always)]
    unsafe fn times<S: Simd, const ROWS: usize>(&self, row: usize, panel: &Panel) -> [[S::Vector; 2]; ROWS] {
        let first = self.place(row);
        let mut values = self.values[row * self.stride..].as_ptr();
        let mut weights = panel.values.as_ptr();
        let scales = self.scales[first..].as_ptr();
        let (quads, per_block) = (self.inputs.div_ceil(4), BLOCK / 4);
        unsafe {
            let mut sums =
                tile::<S, ROWS>(self.blocks(), self.zeros[first..].as_ptr(), ROWS, panel.sums.as_ptr());
            for block in 0..self.blocks() {
                let count = per_block.min(quads - block * per_block);
                let left = (values, self.stride);
                let integers = match panel.runs[block] {
                    _ if !S::IS_NARROW => integer_tile::<S, ROWS>(count, left, weights),
                    4 => narrow_tile::<S, ROWS, 4>(count, left, weights),
                    2 => narrow_tile::<S, ROWS, 2>(count, left, weights),
                    _ => narrow_tile::<S, ROWS, 1>(count, left, weights),
                };
                for (row, (sums, integers)) in sums.iter_mut().zip(integers).enumerate() {
                    let scale = S::splat(*scales.add(block * ROWS + row));
                    sums[0] = S::mul_add(S::to_float(integers[0]), scale, sums[0]);
                    sums[1] = S::mul_add(S::to_float(integers[1]), scale, sums[1]);
                }
                values = values.add(count * S::QUAD_BYTES);
                weights = weights.add(count * panel_columns::<S>() * 4);
            }
            sums
        }
    }
}

/// [`integer_tile`] where no more than `RUN` quads may be added up before they are widened.
#[inline(always)]
unsafe fn narrow_tile<S: Simd, const ROWS: usize, const RUN: usize>(
    quads: usize,
    (mut left, stride): (*const u8, usize),
    mut weights: *const i8,
) -> [[S::Integers; 2]; ROWS] {
    unsafe {
        let mut sums = [[S::zero(); 2]; ROWS];
        // Behind the last quad the weights are zeros.
        for _ in 0..quads.div_ceil(RUN) {
            let dots = integer_tile::<S, ROWS>(RUN, (left, stride), weights);
            for (sums, dots) in sums.iter_mut().zip(dots) {
                *sums = [S::widen(sums[0], dots[0]), S::widen(sums[1], dots[1])];
            }
            left = left.add(RUN * S::QUAD_BYTES);
            weights = weights.add(RUN * panel_columns::<S>() * 4);
        }
        sums
    }
}

#[inline(always)]
unsafe fn integer_tile<S: Simd, const ROWS: usize>(
    quads: usize,
    (mut left, stride): (*const u8, usize),
    mut weights: *const i8,
) -> [[S::Integers; 2]; ROWS] {
    unsafe {
        let mut sums = [[S::zero(); 2]; ROWS];
        for _ in 0..quads {
            let columns = [S::load_weights(weights), S::load_weights(weights.add(4 * S::LANES))];
            for (row, sums) in sums.iter_mut().enumerate() {
                let quad = S::load_quad(left.add(row * stride));
                sums[0] = S::dot(sums[0], quad, columns[0]);
                sums[1] = S::dot(sums[1], quad, columns[1]);
            }
            left = left.add(S::QUAD_BYTES);
            weights = weights.add(panel_columns::<S>() * 4);
        }
        sums
    }
}

/// Rounds `values` to 0…127 around a zero point, so that 0 stays 0; the size of a step, and what the zero point
/// stands for, negated. `quads` has room for a vector more than there are values.
#[inline(always)]
unsafe fn quantize_block<S: Simd>(values: &[f32], quads: &mut [u8]) -> (f32, f32) {
    unsafe {
        if S::QUAD_BYTES == 4 {
            return quantize_bytes::<S>(values, quads);
        }
        let mut bytes = [0; BLOCK];
        let scale_and_zero = quantize_bytes::<S>(values, &mut bytes);
        let quads = quads.chunks_exact_mut(S::QUAD_BYTES).take(values.len().div_ceil(4));
        for (quad, place) in bytes.as_chunks::<4>().0.iter().zip(quads) {
            S::store_quad(*quad, place.as_mut_ptr());
        }
        scale_and_zero
    }
}

#[inline(always)]
unsafe fn quantize_bytes<S: Simd>(values: &[f32], quantized: &mut [u8]) -> (f32, f32) {
    assert!(quantized.len() >= values.len().next_multiple_of(S::LANES));
    unsafe {
        // Loops of a length that the compiler knows are unrolled.
        match values.first_chunk::<BLOCK>() {
            Some(whole) => quantize::<S>(whole, quantized),
            None => quantize::<S>(values, quantized),
        }
    }
}

#[inline(always)]
unsafe fn quantize<S: Simd>(values: &[f32], quantized: &mut [u8]) -> (f32, f32) {
    unsafe {
        let (mut least, mut most, mut nothing) = (S::splat(0.0), S::splat(0.0), S::splat(0.0));
        for at in (0..values.len()).step_by(S::LANES) {
            let value = load_at::<S>(values, at);
            (least, most) = (S::min(least, value), S::max(most, value));
            // NaN where a value is not finite, else 0: comparing may lose it.
            nothing = S::mul_add(value, S::splat(0.0), nothing);
        }
        let least = fold::<S>(least, |left, right| if left < right { left } else { right });
        let most = fold::<S>(most, |left, right| if left > right { left } else { right });
        // No step where all is zero.
        let step = ((most - least) / STEPS).max(f32::MIN_POSITIVE);
        let zero = (-least / step).round_ties_even().min(STEPS);
        let (steps, zero_bits) = (S::splat(1.0 / step), S::splat(ROUND + zero));
        for at in (0..values.len()).step_by(S::LANES) {
            // Rounded twice, as every instruction set can.
            let bits = S::add(S::mul(load_at::<S>(values, at), steps), zero_bits);
            let bits = S::min(S::max(bits, S::splat(ROUND)), S::splat(ROUND + STEPS));
            S::store_lowest_bytes(bits, quantized.as_mut_ptr().add(at));
        }
        // Behind the values are zeros of the weights, whatever is there.
        (step, -step * zero + fold::<S>(nothing, |left, right| left + right))
    }
}
