//! The product that everything is made of: a few rows times a panel of two vectors' columns, kept in registers.

use super::aligned::Aligned;
use super::simd::Simd;

/// Columns of a panel.
pub(crate) const fn panel_columns<S: Simd>() -> usize {
    2 * S::LANES
}

/// `ROWS` sums over `depth` products, for the two vectors of a panel each.
///
/// `left` has `ROWS` elements next to each other for every product, `left_step` apart; `panel` has
/// [`panel_columns`].
///
/// # Safety
/// As [`Simd`]; both pointers must be readable as said.
#[inline(always)]
pub(crate) unsafe fn tile<S: Simd, const ROWS: usize>(
    depth: usize,
    mut left: *const f32,
    left_step: usize,
    mut panel: *const f32,
) -> [[S::Vector; 2]; ROWS] {
    unsafe {
        let mut sums = [[S::splat(0.0); 2]; ROWS];
        for _ in 0..depth {
            let columns = [S::load(panel), S::load(panel.add(S::LANES))];
            for (row, sums) in sums.iter_mut().enumerate() {
                let value = S::splat(*left.add(row));
                sums[0] = S::mul_add(value, columns[0], sums[0]);
                sums[1] = S::mul_add(value, columns[1], sums[1]);
            }
            left = left.add(left_step);
            panel = panel.add(panel_columns::<S>());
        }
        sums
    }
}

/// Copies rows `stride` apart next to each other, product by product, as [`tile`] reads its left side: blocks of
/// `block` rows, the last one filled up with zeros.
pub(crate) fn pack_rows(
    rows: &[f32],
    stride: usize,
    columns: std::ops::Range<usize>,
    block: usize,
    packed: &mut Aligned,
) {
    let depth = columns.len();
    let count = rows.len().div_ceil(stride);
    packed.resize(count.next_multiple_of(block) * depth);
    if !count.is_multiple_of(block) {
        let last = packed.len() - block * depth;
        packed[last..].fill(0.0);
    }
    for (block_rows, packed) in rows.chunks(block * stride).zip(packed.chunks_exact_mut(block * depth)) {
        let mut rows = block_rows.chunks(stride).map(|row| &row[columns.clone()]);
        let mut first = 0;
        while let Some(row) = rows.next() {
            match (rows.len() >= 3 && first + 4 <= block).then(|| [rows.next(), rows.next(), rows.next()]) {
                Some([Some(second), Some(third), Some(fourth)]) => {
                    pack_four([row, second, third, fourth], block, &mut packed[first..]);
                    first += 4;
                }
                _ => {
                    for (value, place) in row.iter().zip(packed[first..].chunks_mut(block)) {
                        place[0] = *value;
                    }
                    first += 1;
                }
            }
        }
    }
}

/// Turns four rows by squares of four, which the compiler knows to be moves within vectors.
fn pack_four(rows: [&[f32]; 4], block: usize, packed: &mut [f32]) {
    let squares = rows.map(|row| row.as_chunks::<4>().0);
    let depth = rows[0].len();
    for (index, places) in packed.chunks_mut(4 * block).enumerate().take(depth / 4) {
        let square = squares.map(|squares| squares[index]);
        for (column, place) in places.chunks_mut(block).enumerate() {
            place[..4].copy_from_slice(&square.map(|row| row[column]));
        }
    }
    for index in depth / 4 * 4..depth {
        packed[index * block..][..4].copy_from_slice(&rows.map(|row| row[index]));
    }
}
