//! LayerNorm: a workgroup for each row.

use cubecl::prelude::*;

use super::{Matrix, VECTOR};

/// Units of a workgroup.
const UNITS: usize = 64;

#[cube(launch_unchecked)]
fn norm_kernel<I: Float, F: Float, N: Size>(
    rows: &[Vector<I, N>],
    weight: &[Vector<f32, N>],
    bias: &[Vector<f32, N>],
    out: &mut [Vector<F, N>],
    row_count: usize,
    epsilon: f32,
    #[comptime] width: usize,
    #[define(I)] _input: ElemType,
    #[define(F)] _output: ElemType,
) {
    let row = CUBE_POS;
    let unit = UNIT_POS as usize;
    let parts = comptime!(width.div_ceil(UNITS));
    let start = row.min(row_count - 1) * width;
    let mut values = Array::<Vector<f32, N>>::new(parts);
    let mut sum = Vector::<f32, N>::new(0.0);
    #[unroll]
    for part in 0..parts {
        let index = unit + part * UNITS;
        values[part] = Vector::new(0.0);
        if index < width {
            values[part] = Vector::cast_from(rows[start + index]);
        }
        sum += values[part];
    }
    let numbers = comptime!((width * VECTOR) as f32);
    let mean = Vector::<f32, N>::new(total(sum) / numbers);
    let mut squares = Vector::<f32, N>::new(0.0);
    #[unroll]
    for part in 0..parts {
        values[part] -= mean;
        if unit + part * UNITS < width {
            squares += values[part] * values[part];
        }
    }
    let scale = Vector::<f32, N>::new(1.0 / (total(squares) / numbers + epsilon).sqrt());
    #[unroll]
    for part in 0..parts {
        let index = unit + part * UNITS;
        if index < width && row < row_count {
            out[start + index] = Vector::cast_from(values[part] * scale * weight[index] + bias[index]);
        }
    }
}

/// The sum of every unit's numbers.
#[cube]
fn total<N: Size>(mine: Vector<f32, N>) -> f32 {
    let mut shared = Shared::<[Vector<f32, N>]>::new_slice(UNITS);
    shared[UNIT_POS as usize] = mine;
    sync_cube();
    let mut all = Vector::<f32, N>::new(0.0);
    for unit in 0..UNITS {
        all += shared[unit];
    }
    all.dot(Vector::new(1.0))
}

/// A LayerNorm's weight and bias, `[1, width]` in f32.
pub(crate) struct Norm {
    pub(crate) weight: Matrix,
    pub(crate) bias: Matrix,
    pub(crate) epsilon: f32,
}

impl Norm {
    /// LayerNorm of every row, in f16 if asked for: `[rows, width]` → `[rows, width]`
    pub(crate) fn forward(&self, rows: &Matrix, f16: bool) -> Matrix {
        let out = rows.gpu.empty(rows.rows, rows.width, f16);
        // No more than 65,535 in one direction.
        let across = rows.rows.min(1 << 15);
        let cubes = CubeCount::Static(across as u32, rows.rows.div_ceil(across) as u32, 1);
        // Every index stays within the shapes above.
        unsafe {
            norm_kernel::launch_unchecked(
                rows.gpu.client(),
                cubes,
                CubeDim::new_1d(UNITS as u32),
                VECTOR,
                rows.argument(VECTOR),
                self.weight.argument(VECTOR),
                self.bias.argument(VECTOR),
                out.argument(VECTOR),
                rows.rows,
                self.epsilon,
                rows.width / VECTOR,
                rows.element(),
                out.element(),
            );
        }
        out
    }
}
