//! `x · weightᵀ + bias`, with what follows it, in one launch.
//!
//! A workgroup of 16 × 16 units makes a tile of the result. Tiles of `x` and of the weight, [`DEPTH`] vectors
//! deep, pass through workgroup memory; a unit adds up `side` × `side` results in registers, 16 apart from one
//! another, so that its neighbours read and write what lies beside them.

use std::ops::Range;

use cubecl::prelude::*;

use super::{Matrix, VECTOR};

/// Units of a workgroup, in either direction.
const UNITS: usize = 16;
/// Vectors of a row that are in workgroup memory at a time.
const DEPTH: usize = 4;
/// Vectors from a row to the next in workgroup memory: odd, so that 16 rows lie in different banks.
const STRIDE: usize = DEPTH + 1;

/// Workgroups that keep a GPU busy: a few for each of its processors.
const BUSY: usize = 32;

/// What follows the sum.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Then {
    /// Nothing.
    Nothing,
    /// The exact GELU.
    Gelu,
    /// tanh.
    Tanh,
    /// The residual is added.
    Add,
}

/// Rows, and columns, of the result that a unit makes: the most for which the workgroup fits the GPU's memory, and of
/// which there are enough to keep it busy.
fn side(rows: usize, outputs: usize, f16: bool, memory: usize) -> usize {
    let bytes = |side: usize| 2 * side * UNITS * STRIDE * VECTOR * if f16 { 2 } else { 4 };
    let count = |side: usize| rows.div_ceil(side * UNITS) * outputs.div_ceil(side * UNITS);
    let fits = |&side: &usize| count(side) >= BUSY && bytes(side) <= memory;
    [8, 4].into_iter().find(fits).unwrap_or(2)
}

#[cube(launch_unchecked)]
fn linear_kernel<F: Float, N: Size>(
    rows: &[Vector<F, N>],
    weight: &[Vector<F, N>],
    bias: &[f32],
    residual: &[F],
    out: &mut [F],
    row_count: usize,
    outputs: usize,
    inputs: usize,
    first: usize,
    #[comptime] side: usize,
    #[comptime] then: Then,
    #[define(F)] _element: ElemType,
) {
    let mut left = Shared::<[Vector<F, N>]>::new_slice(comptime!(side * UNITS * STRIDE));
    let mut right = Shared::<[Vector<F, N>]>::new_slice(comptime!(side * UNITS * STRIDE));
    let mut sums = Array::<f32>::new(comptime!(side * side));
    let x = UNIT_POS_X as usize;
    let y = UNIT_POS_Y as usize;
    let top = CUBE_POS_Y as usize * comptime!(side * UNITS);
    let start = CUBE_POS_X as usize * comptime!(side * UNITS);
    #[unroll]
    for sum in 0..comptime!(side * side) {
        sums[sum] = 0.0;
    }
    for depth in range_stepped(0, inputs, DEPTH) {
        fill(&mut left, rows, top, row_count, depth, inputs, 0usize, side);
        fill(&mut right, weight, start, outputs, depth, inputs, first, side);
        sync_cube();
        #[unroll]
        for k in 0..DEPTH {
            let mut columns = Array::<Vector<f32, N>>::new(side);
            #[unroll]
            for column in 0..side {
                columns[column] = Vector::cast_from(right[(x + column * UNITS) * STRIDE + k]);
            }
            #[unroll]
            for row in 0..side {
                let value = Vector::<f32, N>::cast_from(left[(y + row * UNITS) * STRIDE + k]);
                #[unroll]
                for column in 0..side {
                    let sum = comptime!(row * side + column);
                    sums[sum] += value.dot(columns[column]);
                }
            }
        }
        sync_cube();
    }
    #[unroll]
    for row in 0..side {
        #[unroll]
        for column in 0..side {
            let i = top + y + row * UNITS;
            let j = start + x + column * UNITS;
            if i < row_count && j < outputs {
                let sum = sums[comptime!(row * side + column)] + bias[first + j];
                out[i * outputs + j] = F::cast_from(followed::<F>(sum, residual, i * outputs + j, then));
            }
        }
    }
}

/// Fills a tile with vectors `depth`… of `side` · 16 rows from `top` on; zeros behind the end of a row.
#[cube]
fn fill<F: Float, N: Size>(
    tile: &mut Shared<[Vector<F, N>]>,
    rows: &[Vector<F, N>],
    top: usize,
    row_count: usize,
    depth: usize,
    inputs: usize,
    first: usize,
    #[comptime] side: usize,
) {
    let unit = UNIT_POS as usize;
    let k = depth + unit % DEPTH;
    #[unroll]
    for part in 0..comptime!((side * DEPTH).div_ceil(UNITS)) {
        let row = unit / DEPTH + part * comptime!(UNITS * UNITS / DEPTH);
        // A row behind the last is a copy of it: what is made of it is not stored.
        let source = first + (top + row).min(row_count - 1);
        let mut value = Vector::new(F::new(0.0));
        if k < inputs {
            value = rows[source * inputs + k];
        }
        if comptime!((side * UNITS).is_multiple_of(UNITS * UNITS / DEPTH)) || row < comptime!(side * UNITS) {
            tile[row * STRIDE + unit % DEPTH] = value;
        }
    }
}

#[cube]
fn followed<F: Float>(sum: f32, residual: &[F], index: usize, #[comptime] then: Then) -> f32 {
    match then {
        Then::Nothing => sum,
        Then::Gelu => {
            let erf = Erf::erf(sum * comptime!(std::f32::consts::FRAC_1_SQRT_2));
            0.5 * sum * (1.0 + erf)
        }
        // Drivers make tanh of exponentials, which overflow; in f32 it is 1 from 10 on. What is no number stays none.
        Then::Tanh => select(sum.abs() > 10.0, sum / sum.abs(), sum.tanh()),
        Then::Add => sum + f32::cast_from(residual[index]),
    }
}

/// A linear layer's weight `[out, in]`, in f32 or f16, and its bias, in f32.
pub(crate) struct Weight {
    rows: Matrix,
    bias: Matrix,
}

impl Weight {
    pub(crate) fn new(rows: Matrix, bias: &[f32]) -> Self {
        let bias = rows.gpu.weight(bias, bias.len(), false);
        Self { rows, bias }
    }

    /// All of its outputs.
    pub(crate) fn all(&self) -> Range<usize> {
        0..self.rows.rows
    }

    /// `rows · weightᵀ + bias` for some of the outputs, and what follows it.
    ///
    /// # Shapes
    /// - `rows`: `[rows, in]`
    /// - `residual`, if it is added, and the result: `[rows, outputs.len()]`
    pub(crate) fn forward(
        &self,
        rows: &Matrix,
        outputs: Range<usize>,
        then: Then,
        residual: Option<&Matrix>,
    ) -> Matrix {
        let out = rows.gpu.empty(rows.rows, outputs.len(), rows.f16);
        let memory = rows.gpu.client.properties().hardware.max_shared_memory_size;
        let side = side(rows.rows, outputs.len(), rows.f16, memory);
        let count = |all: usize| all.div_ceil(side * UNITS) as u32;
        // Every index stays within the shapes above.
        unsafe {
            linear_kernel::launch_unchecked(
                rows.gpu.client(),
                CubeCount::Static(count(outputs.len()), count(rows.rows), 1),
                CubeDim::new_2d(UNITS as u32, UNITS as u32),
                VECTOR,
                rows.argument(VECTOR),
                self.rows.argument(VECTOR),
                self.bias.argument(1),
                residual.unwrap_or(rows).argument(1),
                out.argument(1),
                rows.rows,
                outputs.len(),
                rows.width / VECTOR,
                outputs.start,
                side,
                then,
                rows.element(),
            );
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::side;

    #[test]
    fn tiles_are_large_where_there_are_many_and_memory_for_them() {
        let plenty = 32 << 10;
        assert_eq!(side(2048, 1536, false, plenty), 8);
        assert_eq!(side(128, 384, false, plenty), 2);
        assert_eq!(side(512, 384, false, plenty), 4);
        // WebGPU promises no more than 16 KiB; two tiles of 128 rows take 20 in f32, 10 in f16.
        assert_eq!(side(2048, 1536, false, 16 << 10), 4);
        assert_eq!(side(2048, 1536, true, 16 << 10), 8);
    }
}
