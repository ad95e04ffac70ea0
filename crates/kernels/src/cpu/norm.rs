//! LayerNorm of a sum.

use super::math::{load_some, store_some, sum};
use super::simd::{Kernel, Simd, run};

/// LayerNorm of every row of `rows + residual`, into `rows`.
pub fn add_norm(rows: &mut [f32], residual: Option<&[f32]>, weight: &[f32], bias: &[f32], epsilon: f32) {
    assert!(residual.is_none_or(|residual| residual.len() == rows.len()));
    assert_eq!(weight.len(), bias.len());
    run(AddNorm { rows, residual, weight, bias, epsilon });
}

struct AddNorm<'a> {
    rows: &'a mut [f32],
    residual: Option<&'a [f32]>,
    weight: &'a [f32],
    bias: &'a [f32],
    epsilon: f32,
}

impl Kernel for AddNorm<'_> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        let width = self.weight.len();
        for (index, row) in self.rows.chunks_exact_mut(width).enumerate() {
            let residual = self.residual.map(|residual| &residual[index * width..(index + 1) * width]);
            unsafe { norm_row::<S>(row, residual, self.weight, self.bias, self.epsilon) };
        }
    }
}

#[inline(always)]
unsafe fn norm_row<S: Simd>(
    row: &mut [f32],
    residual: Option<&[f32]>,
    weight: &[f32],
    bias: &[f32],
    epsilon: f32,
) {
    let width = row.len();
    unsafe {
        let mut total = S::splat(0.0);
        for at in (0..width).step_by(S::LANES) {
            let mut value = load_at::<S>(row, at);
            if let Some(residual) = residual {
                value = S::add(value, load_at::<S>(residual, at));
                store_at::<S>(value, row, at);
            }
            total = S::add(total, value);
        }
        let mean = sum::<S>(total) / width as f32;
        let mut total = S::splat(0.0);
        let whole = width / S::LANES * S::LANES;
        for at in (0..whole).step_by(S::LANES) {
            let off = S::sub(load_at::<S>(row, at), S::splat(mean));
            total = S::mul_add(off, off, total);
        }
        let rest: f32 = row[whole..].iter().map(|value| (value - mean) * (value - mean)).sum();
        let deviation = ((sum::<S>(total) + rest) / width as f32 + epsilon).sqrt();
        let (mean, scale) = (S::splat(mean), S::splat(1.0 / deviation));
        for at in (0..width).step_by(S::LANES) {
            let value = S::mul(S::sub(load_at::<S>(row, at), mean), scale);
            let value = S::mul_add(value, load_at::<S>(weight, at), load_at::<S>(bias, at));
            store_at::<S>(value, row, at);
        }
    }
}

#[inline(always)]
pub(crate) unsafe fn load_at<S: Simd>(from: &[f32], at: usize) -> S::Vector {
    let from = &from[at..];
    unsafe {
        if from.len() >= S::LANES {
            S::load(from.as_ptr())
        } else {
            load_some::<S>(from.as_ptr(), from.len())
        }
    }
}

#[inline(always)]
unsafe fn store_at<S: Simd>(vector: S::Vector, to: &mut [f32], at: usize) {
    let to = &mut to[at..];
    unsafe {
        if to.len() >= S::LANES {
            S::store(vector, to.as_mut_ptr());
        } else {
            store_some::<S>(vector, to.as_mut_ptr(), to.len());
        }
    }
}
