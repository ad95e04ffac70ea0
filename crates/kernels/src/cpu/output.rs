//! Where a product goes: bias and activation on the way.

use std::mem::MaybeUninit;

use super::math::{gelu, load_some, store_some};
use super::simd::Simd;
use crate::Activation;

/// The result `[rows, outputs]` of a product, and what is done to it.
pub(crate) struct Output<'a> {
    pub(crate) values: &'a mut [MaybeUninit<f32>],
    pub(crate) bias: &'a [f32],
    pub(crate) activation: Activation,
}

/// Which part of the products a tile is the sum of.
#[derive(Clone, Copy)]
pub(crate) struct Part {
    pub(crate) is_first: bool,
    pub(crate) is_last: bool,
}

impl Output<'_> {
    /// Sends for the lines that the tile at this place is written to while it is computed.
    #[inline(always)]
    pub(crate) unsafe fn prefetch<S: Simd, const ROWS: usize>(&self, first_row: usize, first_column: usize) {
        let place = self.values.as_ptr().cast::<f32>();
        let place = place.wrapping_add(first_row * self.bias.len() + first_column);
        for row in 0..ROWS {
            unsafe {
                S::prefetch(place.wrapping_add(row * self.bias.len()));
                S::prefetch(place.wrapping_add(row * self.bias.len() + S::LANES));
            }
        }
    }

    /// Adds a tile to what is there, or to the bias if it is the first part; the last one is activated.
    #[inline(always)]
    pub(crate) unsafe fn add<S: Simd, const ROWS: usize>(
        &mut self,
        sums: [[S::Vector; 2]; ROWS],
        first_row: usize,
        first_column: usize,
        part: Part,
    ) {
        let outputs = self.bias.len();
        let rows = self.values.len() / outputs - first_row;
        // A number of rows that the compiler knows: their sums stay in registers.
        if rows >= ROWS {
            unsafe { self.add_rows::<S>(&sums, first_row, first_column, part) }
        } else {
            unsafe { self.add_rows::<S>(&sums[..rows], first_row, first_column, part) }
        }
    }

    #[inline(always)]
    unsafe fn add_rows<S: Simd>(
        &mut self,
        sums: &[[S::Vector; 2]],
        first_row: usize,
        first_column: usize,
        part: Part,
    ) {
        let outputs = self.bias.len();
        for (row, sums) in sums.iter().enumerate() {
            for (half, &sum) in sums.iter().enumerate() {
                let column = first_column + half * S::LANES;
                let count = outputs.saturating_sub(column).min(S::LANES);
                if count == 0 {
                    continue;
                }
                unsafe {
                    let place = self.values.as_mut_ptr().cast::<f32>();
                    let place = place.add((first_row + row) * outputs + column);
                    let before = if part.is_first { self.bias.as_ptr().add(column) } else { place };
                    let is_whole = count == S::LANES;
                    let before = if is_whole { S::load(before) } else { load_some::<S>(before, count) };
                    let sum = S::add(sum, before);
                    let sum = match self.activation {
                        Activation::Gelu if part.is_last => gelu::<S>(sum),
                        _ => sum,
                    };
                    if is_whole { S::store(sum, place) } else { store_some::<S>(sum, place, count) }
                }
            }
        }
    }
}
