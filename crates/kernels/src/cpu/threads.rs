//! Rows of results, computed by all threads.

use std::mem::MaybeUninit;
use std::ops::Range;

use super::team::each;

/// What the rows of a part are a multiple of: whole tiles of every instruction set.
const TILE_ROWS: usize = 12;

/// Rows of `output_width` made from those of `input`, which are `input_width` wide, on all threads.
///
/// `work` is given some rows, at most `at_once`: which they are, their input and where to write; it returns what it has
/// written, which must be all of it. Memory that is cleared first would take up to a twentieth of a pass.
pub fn side_by_side(
    (input, input_width): (&[f32], usize),
    output_width: usize,
    at_once: usize,
    work: impl for<'o> Fn(Range<usize>, &[f32], &'o mut [MaybeUninit<f32>]) -> &'o mut [f32] + Sync,
) -> Vec<f32> {
    let rows = input.len() / input_width;
    assert_eq!(input.len(), rows * input_width);
    let share = rows.div_ceil(rayon::current_num_threads()).next_multiple_of(TILE_ROWS).max(TILE_ROWS);
    let part = |first: usize, input: &[f32], out: &mut [MaybeUninit<f32>]| {
        let inputs = input.chunks(at_once.saturating_mul(input_width));
        let outs = out.chunks_mut(at_once.saturating_mul(output_width));
        inputs.zip(outs).fold(first, |first, (input, out)| {
            let range = first..first + input.len() / input_width;
            fill(out, |out| work(range.clone(), input, out));
            range.end
        });
    };
    written(rows * output_width, |out| {
        let outs = out.chunks_mut(share * output_width);
        let parts = input.chunks(share * input_width).zip(outs).enumerate().collect();
        each(parts, || (), |(), (index, (input, out))| part(index * share, input, out));
        // SAFETY: every part was filled.
        unsafe { assume_written(out) }
    })
}

/// `length` floats that `write` writes and returns.
pub fn written(
    length: usize,
    write: impl for<'o> FnOnce(&'o mut [MaybeUninit<f32>]) -> &'o mut [f32],
) -> Vec<f32> {
    let mut values = Vec::with_capacity(length);
    fill(&mut values.spare_capacity_mut()[..length], write);
    // SAFETY: all of it was filled.
    unsafe { values.set_len(length) };
    values
}

/// Lets `write` write all of `out`: what it returns, as floats, can only be that.
fn fill(
    out: &mut [MaybeUninit<f32>],
    write: impl for<'o> FnOnce(&'o mut [MaybeUninit<f32>]) -> &'o mut [f32],
) {
    let all: *const [f32] = std::ptr::from_ref(out) as *const [f32];
    assert!(std::ptr::eq(write(out), all), "a part was not written whole");
}

/// Floats that have been written.
///
/// # Safety
/// All of them must have been.
pub(crate) unsafe fn assume_written(out: &mut [MaybeUninit<f32>]) -> &mut [f32] {
    unsafe { &mut *(std::ptr::from_mut(out) as *mut [f32]) }
}
