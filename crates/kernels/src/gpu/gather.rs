//! Matrices put together from rows of others.

use cubecl::prelude::*;

use super::{Matrix, VECTOR};

/// Units of a workgroup.
const UNITS: usize = 64;

#[cube(launch_unchecked)]
fn gather_kernel<F: Float, N: Size>(
    rows: &[Vector<F, N>],
    wanted: &[u32],
    out: &mut [Vector<F, N>],
    width: usize,
    #[define(F)] _element: ElemType,
) {
    let column = ABSOLUTE_POS_X as usize;
    let row = CUBE_POS_Y as usize;
    if column < width {
        out[row * width + column] = rows[wanted[row] as usize * width + column];
    }
}

/// The rows `wanted`, in that order.
pub(crate) fn gather(rows: &Matrix, wanted: &[usize]) -> Matrix {
    let out = rows.gpu.empty(wanted.len(), rows.width, rows.f16);
    let width = rows.width / VECTOR;
    let indices: Vec<u32> = wanted.iter().map(|&row| row as u32).collect();
    let indices = rows.gpu.client.create_from_slice(u32::as_bytes(&indices));
    // `wanted` are rows of `rows`.
    unsafe {
        gather_kernel::launch_unchecked(
            rows.gpu.client(),
            CubeCount::Static(width.div_ceil(UNITS) as u32, wanted.len() as u32, 1),
            CubeDim::new_1d(UNITS as u32),
            VECTOR,
            rows.argument(VECTOR),
            BufferArg::from_raw_parts(indices, wanted.len()),
            out.argument(VECTOR),
            width,
            rows.element(),
        );
    }
    out
}

#[cube(launch_unchecked)]
fn copy_kernel<F: Float, N: Size>(
    from: &[Vector<F, N>],
    to: &mut [Vector<F, N>],
    vectors: usize,
    first: usize,
    #[define(F)] _element: ElemType,
) {
    for index in range_stepped(ABSOLUTE_POS_X as usize, vectors, UNITS * COPIERS) {
        to[first + index] = from[index];
    }
}

/// Workgroups of a copy.
const COPIERS: usize = 256;

/// The rows of `first`, then those of `second`, as a weight.
pub(crate) fn stacked(first: &Matrix, second: &Matrix) -> Matrix {
    let gpu = &first.gpu;
    let out = gpu.persistent(|| gpu.empty(first.rows + second.rows, first.width, first.f16));
    let mut written = 0;
    for part in [first, second] {
        let vectors = part.rows * part.width / VECTOR;
        // Both parts fit in what was made for them.
        unsafe {
            copy_kernel::launch_unchecked(
                gpu.client(),
                CubeCount::Static(COPIERS as u32, 1, 1),
                CubeDim::new_1d(UNITS as u32),
                VECTOR,
                part.argument(VECTOR),
                out.argument(VECTOR),
                vectors,
                written,
                part.element(),
            );
        }
        written += vectors;
    }
    out
}
