//! Scaled dot-product attention of pairs that lie end to end; no matrix of tokens by tokens is ever whole.

use std::mem::MaybeUninit;

use super::aligned::Aligned;
use super::math::exp;
use super::simd::{Kernel, Simd, run};
use super::team::each;
use super::threads::assume_written;
use super::tile::{pack_rows, panel_columns, tile};
#[cfg(target_arch = "x86_64")]
use super::{
    amx::Configuration,
    bf16::{Vectors, attend, takes},
    x86::{Level, level},
};

/// What the operands of attention's products are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operands {
    /// The floats that come in.
    F32,
    /// The same rounded to 8 bits, where the processor multiplies such.
    Bf16,
}

/// Each segment attends to itself alone.
///
/// - `query`: `[rows, hidden]`, or `[segments, hidden]` to ask for the first row of every segment only
/// - `key_value`: `[rows, 2 * hidden]`, keys in the left half
/// - `lengths`: rows of each segment
/// - `out`: the shape of `query`; returned as it then is
pub fn attention<'o>(
    query: &[f32],
    key_value: &[f32],
    lengths: &[usize],
    heads: usize,
    operands: Operands,
    out: &'o mut [MaybeUninit<f32>],
) -> &'o mut [f32] {
    let rows: usize = lengths.iter().sum();
    assert_eq!(query.len(), out.len());
    if out.is_empty() {
        // SAFETY: there is nothing to write.
        return unsafe { assume_written(out) };
    }
    let hidden = key_value.len() / rows / 2;
    let first_only = query.len() / hidden != rows;
    let (mut query, mut key_value, mut rest) = (query, key_value, &mut *out);
    let mut parts = Vec::with_capacity(lengths.len() * heads);
    for &length in lengths {
        let (own, own_key_value, own_out);
        (own_key_value, key_value) = key_value.split_at(length * 2 * hidden);
        (own, query) = query.split_at(if first_only { hidden } else { length * hidden });
        (own_out, rest) = rest.split_at_mut(own.len());
        let out = own_out.as_mut_ptr().cast::<f32>();
        let (step, head_dim) = (hidden, hidden / heads);
        let head =
            |head| Head { query: own, key_value: own_key_value, step, first: head * head_dim, head_dim, out };
        parts.extend((0..heads).map(head));
    }
    each(parts, Scratch::default, |scratch, head| head.attend(operands, scratch));
    // SAFETY: the segments' queries are all queries, and of each every column of every head is written.
    unsafe { assume_written(out) }
}

/// One head of one segment.
pub(crate) struct Head<'a> {
    pub(crate) query: &'a [f32],
    pub(crate) key_value: &'a [f32],
    /// Columns of a row, of all heads.
    pub(crate) step: usize,
    /// The head's first column.
    pub(crate) first: usize,
    pub(crate) head_dim: usize,
    /// Where the rows of `query` go, of as many columns: those of other heads are written at the same time.
    pub(crate) out: *mut f32,
}

// SAFETY: rows of `out` are written in the head's own columns alone.
unsafe impl Send for Head<'_> {}

impl Head<'_> {
    /// Computes it with the best instructions that this processor has.
    fn attend(self, operands: Operands, scratch: &mut Scratch) {
        match operands {
            // SAFETY: the level says that the processor has them.
            #[cfg(target_arch = "x86_64")]
            Operands::Bf16 if takes(self.head_dim) && level() == Level::Amx => unsafe {
                attend::<Configuration>(self, scratch)
            },
            // SAFETY: as above.
            #[cfg(target_arch = "x86_64")]
            Operands::Bf16 if takes(self.head_dim) && level() == Level::Avx512Bf16 => unsafe {
                attend::<Vectors>(self, scratch)
            },
            _ => run(Attention { head: self, scratch }),
        }
    }
}

struct Attention<'a> {
    head: Head<'a>,
    scratch: &'a mut Scratch,
}

/// Memory that one head after the other uses.
#[derive(Default)]
pub(crate) struct Scratch {
    pub(crate) keys: Aligned,
    /// Row by row: where they come from, rows are so far apart that few fit the first cache at once.
    pub(crate) values: Aligned,
    pub(crate) queries: Aligned,
    pub(crate) scores: Aligned,
}

impl Kernel for Attention<'_> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        unsafe {
            match S::ROWS {
                12 => self.attend::<S, 8>(),
                _ => self.attend::<S, 4>(),
            }
        }
    }
}

impl Attention<'_> {
    #[inline(always)]
    unsafe fn attend<S: Simd, const ROWS: usize>(self) {
        let Self { head: Head { query, key_value, step, first, head_dim, out }, scratch } = self;
        let (length, columns) = (key_value.len() / step / 2, first..first + head_dim);
        pack_rows(key_value, 2 * step, columns.clone(), ROWS, &mut scratch.keys);
        scratch.values.resize(length * head_dim);
        for (row, values) in key_value.chunks(2 * step).zip(scratch.values.chunks_exact_mut(head_dim)) {
            values.copy_from_slice(&row[step + first..][..head_dim]);
        }
        let panel = panel_columns::<S>();
        for (index, query) in query.chunks(panel * step).enumerate() {
            unsafe {
                pack_queries::<S>(query, step, columns.clone(), &mut scratch.queries);
                scores::<S, ROWS>(length, head_dim, scratch);
                let total = softmax::<S>(&mut scratch.scores);
                let Scratch { values, scores, .. } = &*scratch;
                let out =
                    Out { first: out.add(index * panel * step + first), step, rows: query.len() / step };
                Weighted { values, head_dim, scores, total }.sum::<S, ROWS>(out);
            }
        }
    }
}

/// The queries as the columns of a panel, scaled by 1/√head_dim; what is missing is zero.
#[inline(always)]
unsafe fn pack_queries<S: Simd>(
    query: &[f32],
    hidden: usize,
    columns: std::ops::Range<usize>,
    packed: &mut Aligned,
) {
    let scale = 1.0 / (columns.len() as f32).sqrt();
    packed.resize(columns.len() * panel_columns::<S>());
    packed.fill(0.0);
    for (index, query) in query.chunks_exact(hidden).enumerate() {
        for (value, place) in query[columns.clone()].iter().zip(packed.chunks_exact_mut(panel_columns::<S>()))
        {
            place[index] = value * scale;
        }
    }
}

/// `keys · queries`: a row for each key.
#[inline(always)]
unsafe fn scores<S: Simd, const ROWS: usize>(keys: usize, head_dim: usize, scratch: &mut Scratch) {
    let columns = panel_columns::<S>();
    scratch.scores.resize(keys.next_multiple_of(ROWS) * columns);
    let blocks = scratch.keys.chunks_exact(ROWS * head_dim);
    for (keys, scores) in blocks.zip(scratch.scores.chunks_exact_mut(ROWS * columns)) {
        unsafe {
            let sums = tile::<S, ROWS>(head_dim, keys.as_ptr(), ROWS, scratch.queries.as_ptr());
            for (sums, scores) in sums.into_iter().zip(scores.chunks_exact_mut(columns)) {
                S::store(sums[0], scores.as_mut_ptr());
                S::store(sums[1], scores.as_mut_ptr().add(S::LANES));
            }
        }
    }
    scratch.scores.resize(keys * columns);
}

/// e^(score − largest) of every column, and the columns' sums.
#[inline(always)]
unsafe fn softmax<S: Simd>(scores: &mut [f32]) -> [S::Vector; 2] {
    let columns = panel_columns::<S>();
    unsafe {
        let mut largest = [S::splat(f32::MIN); 2];
        for row in scores.chunks_exact(columns) {
            largest[0] = S::max(largest[0], S::load(row.as_ptr()));
            largest[1] = S::max(largest[1], S::load(row.as_ptr().add(S::LANES)));
        }
        let mut total = [S::splat(0.0); 2];
        for row in scores.chunks_exact_mut(columns) {
            for half in 0..2 {
                let place = row.as_mut_ptr().add(half * S::LANES);
                let value = exp::<S>(S::sub(S::load(place), largest[half]));
                total[half] = S::add(total[half], value);
                S::store(value, place);
            }
        }
        total
    }
}

/// Values and their weights.
struct Weighted<'a, V> {
    values: &'a [f32],
    head_dim: usize,
    scores: &'a [f32],
    total: [V; 2],
}

/// Columns of rows that are `step` apart.
#[derive(Clone, Copy)]
struct Out {
    first: *mut f32,
    step: usize,
    rows: usize,
}

impl<V: Copy> Weighted<'_, V> {
    /// The weighted mean of the values, into as many columns.
    #[inline(always)]
    unsafe fn sum<S: Simd<Vector = V>, const ROWS: usize>(&self, out: Out) {
        let mut dim = 0;
        unsafe {
            let share = self.total.map(|total| S::div(S::splat(1.0), total));
            while dim + ROWS <= self.head_dim {
                self.some::<S, ROWS>(dim, share, out);
                dim += ROWS;
            }
            while dim < self.head_dim {
                self.some::<S, 1>(dim, share, out);
                dim += 1;
            }
        }
    }

    /// `ROWS` dimensions from `dim` on.
    #[inline(always)]
    unsafe fn some<S: Simd<Vector = V>, const ROWS: usize>(&self, dim: usize, share: [V; 2], out: Out) {
        let columns = panel_columns::<S>();
        let mut turned = [[0.0_f32; 32]; ROWS];
        unsafe {
            let keys = self.scores.len() / columns;
            let values = self.values[dim..].as_ptr();
            let sums = tile::<S, ROWS>(keys, values, self.head_dim, self.scores.as_ptr());
            for (sums, turned) in sums.into_iter().zip(&mut turned) {
                S::store(S::mul(sums[0], share[0]), turned.as_mut_ptr());
                S::store(S::mul(sums[1], share[1]), turned.as_mut_ptr().add(S::LANES));
            }
            for row in 0..out.rows {
                let to = out.first.add(row * out.step + dim);
                turned.iter().enumerate().for_each(|(dim, turned)| to.add(dim).write(turned[row]));
            }
        }
    }
}
