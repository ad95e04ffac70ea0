//! The product of [`super::super::quantized`], with the same integers.

use std::arch::x86_64::*;

use super::super::aligned::Aligned;
use super::super::output::Part;
use super::super::quantized::{BLOCK, INPUTS_AT_ONCE, Panel, QuantizedProduct, QuantizedRows};
use super::super::simd::Simd;
use super::super::tile::tile;
use super::{Configuration, LINE, S, SIDE, integer_products};

/// Rows that are multiplied with one panel after the other.
const GROUP: usize = 8 * SIDE;
/// Rows that are scaled at once: with two vectors a row, what the vector registers hold.
const ROWS: usize = 8;

/// A [`QuantizedProduct`] in these registers.
///
/// # Safety
/// They must be available, and AVX-512 with VNNI.
#[target_feature(enable = "avx512f,avx512bw,avx512vnni,avx2,fma")]
pub(crate) unsafe fn multiply(product: QuantizedProduct) {
    let QuantizedProduct { rows, inputs, panels, mut out } = product;
    let mut left = QuantizedRows::new::<S>(inputs, SIDE);
    let mut integers = Aligned::zeros(inputs.div_ceil(BLOCK) * SIDE * SIDE);
    let _configuration = unsafe { Configuration::load() };
    for (index, group) in rows.chunks(GROUP * inputs).enumerate() {
        unsafe { left.quantize::<S>(group) };
        let rows = group.len() / inputs;
        for panel in 0..out.bias.len().div_ceil(SIDE) {
            let weights = panels.panel(panel, inputs, SIDE);
            for first_row in (0..rows).step_by(SIDE) {
                unsafe {
                    out.prefetch::<S, SIDE>(index * GROUP + first_row, panel * SIDE);
                    left.products(first_row, rows, &weights, &mut integers);
                    for row in (first_row..rows.min(first_row + SIDE)).step_by(ROWS) {
                        let mut sums = left.scale(row, &weights, &integers);
                        weights.scale::<S>(&mut sums);
                        let part = Part { is_first: true, is_last: true };
                        out.add::<S, ROWS>(sums, index * GROUP + row, panel * SIDE, part);
                    }
                }
            }
        }
    }
}

impl QuantizedRows {
    /// The products of [`SIDE`] of so many rows with a panel, for each block of columns. On the way the rows send for
    /// the next panel, each [`SIDE`] for their share: else waiting for it takes a twentieth of the time.
    #[inline(always)]
    unsafe fn products(&self, first_row: usize, rows: usize, panel: &Panel, integers: &mut Aligned) {
        let share = (BLOCK * SIDE).div_ceil(rows.div_ceil(SIDE)).next_multiple_of(LINE);
        for (block, integers) in integers.chunks_exact_mut(SIDE * SIDE).enumerate() {
            let registers = (self.inputs - block * BLOCK).min(BLOCK).div_ceil(INPUTS_AT_ONCE);
            let left = self.values[first_row * self.stride + block * BLOCK..].as_ptr();
            let weights = panel.values[block * BLOCK * SIDE..].as_ptr().cast::<u8>();
            let next = weights.wrapping_add(panel.values.len() + first_row / SIDE * share);
            unsafe {
                for line in (0..share).step_by(LINE) {
                    _mm_prefetch::<_MM_HINT_T1>(next.wrapping_add(line).cast());
                }
                integer_products(
                    (left, self.stride),
                    weights,
                    registers,
                    (integers.as_mut_ptr().cast(), 4 * SIDE),
                );
            }
        }
    }

    /// What these products stand for, of [`ROWS`] rows, but for the scales of the columns.
    #[inline(always)]
    unsafe fn scale(&self, row: usize, panel: &Panel, integers: &Aligned) -> [[__m512; 2]; ROWS] {
        let first = self.place(row);
        unsafe {
            let mut sums =
                tile::<S, ROWS>(self.blocks(), self.zeros[first..].as_ptr(), SIDE, panel.sums.as_ptr());
            for (block, integers) in integers.chunks_exact(SIDE * SIDE).enumerate() {
                let integers = integers[row % SIDE * SIDE..][..ROWS * SIDE].as_ptr();
                let scales = self.scales[first + block * SIDE..][..ROWS].as_ptr();
                for (index, sums) in sums.iter_mut().enumerate() {
                    let scale = S::splat(*scales.add(index));
                    for (half, sum) in sums.iter_mut().enumerate() {
                        let integers =
                            _mm512_loadu_si512(integers.add(index * SIDE + half * S::LANES).cast());
                        *sum = S::mul_add(S::to_float(integers), scale, *sum);
                    }
                }
            }
            sums
        }
    }
}
