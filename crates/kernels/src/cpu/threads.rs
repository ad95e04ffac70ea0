//! Work for all threads where a pass is too small to be cut into pairs.

use rayon::prelude::*;

/// A pass of this many rows is cut into parts for each thread before it comes here.
const FEW_ROWS: usize = 512;
/// Rows of a part at least, and what their number is a multiple of: whole tiles of every instruction set.
const TILE_ROWS: usize = 24;

/// How many of `rows` rows each thread should take; all of them where others have as much to do.
pub(crate) fn share(rows: usize) -> usize {
    match rayon::current_num_threads() {
        1 => rows,
        _ if rows >= FEW_ROWS => rows,
        threads => rows.div_ceil(threads).next_multiple_of(TILE_ROWS),
    }
}

/// `work` on parts of the rows of `input` and `output`, which are so wide, on all threads if there are few rows.
pub fn side_by_side(
    (input, input_width): (&[f32], usize),
    (output, output_width): (&mut [f32], usize),
    work: impl Fn(&[f32], &mut [f32]) + Sync,
) {
    let rows = input.len() / input_width;
    let share = share(rows);
    if share >= rows {
        return work(input, output);
    }
    let parts = input.par_chunks(share * input_width).zip(output.par_chunks_mut(share * output_width));
    parts.for_each(|(input, output)| work(input, output));
}
