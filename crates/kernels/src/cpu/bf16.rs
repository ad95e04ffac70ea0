//! Attention whose products are of bf16: what is multiplied has 8 bits, scores and sums are f32.

use std::arch::x86_64::*;
use std::array::from_fn;

use super::attention::{Head, Scratch};
use super::simd::Simd;
use super::x86::Avx512;

/// The vectors; processors with such products have them.
type S = Avx512<true>;

/// Rows and columns of sums that are made at once.
const SIDE: usize = 32;
/// Pairs of bf16, or floats, of a vector.
const PAIRS: usize = S::LANES;
/// Floats between two rows of scores: rows a power of two apart would share few places of the cache.
const APART: usize = 16;

/// How products of bf16 are made.
pub(crate) trait Products {
    /// What a thread has set up until it is dropped.
    ///
    /// # Safety
    /// The processor must have the instructions.
    unsafe fn begin() -> Self;

    /// The sums of products of the first `rows` of [`SIDE`] rows with the [`SIDE`] columns of a panel; what becomes of the
    /// other rows' sums does not matter.
    ///
    /// - `left`: rows and the bytes from one to the next, each `steps` times [`SIDE`] bf16
    /// - `panel`: for each pair of `left`, that of every column
    /// - `sums`: rows of [`SIDE`] f32, and the bytes from one to the next
    ///
    /// # Safety
    /// The memory must be there, for all [`SIDE`] rows.
    unsafe fn sums(
        &self,
        left: (*const u8, usize),
        panel: *const u8,
        steps: usize,
        sums: (*mut u8, usize),
        rows: usize,
    );
}

/// In vectors, by `vdpbf16ps`.
pub(crate) struct Vectors;

impl Products for Vectors {
    #[inline(always)]
    unsafe fn begin() -> Self {
        Self
    }

    #[inline(always)]
    unsafe fn sums(
        &self,
        (left, stride): (*const u8, usize),
        panel: *const u8,
        steps: usize,
        (sums, sums_stride): (*mut u8, usize),
        rows: usize,
    ) {
        /// A share of [`SIDE`] whose sums, two vectors a row, the registers hold.
        const ROWS: usize = 8;
        for first in (0..rows).step_by(ROWS) {
            unsafe {
                let mut tile = [[S::splat(0.0); 2]; ROWS];
                for pair in 0..steps * PAIRS {
                    let columns = panel.add(4 * SIDE * pair).cast();
                    let columns = [S::load(columns), S::load(columns.add(PAIRS))];
                    for (row, tile) in tile.iter_mut().enumerate() {
                        let pair = left.add((first + row) * stride + 4 * pair).cast::<f32>().read_unaligned();
                        for (sum, columns) in tile.iter_mut().zip(columns) {
                            *sum = _mm512_dpbf16_ps(*sum, as_bf16(S::splat(pair)), as_bf16(columns));
                        }
                    }
                }
                for (row, tile) in tile.into_iter().enumerate() {
                    let sums = sums.add((first + row) * sums_stride).cast();
                    S::store(tile[0], sums);
                    S::store(tile[1], sums.add(PAIRS));
                }
            }
        }
    }
}

/// The same bits.
#[inline(always)]
unsafe fn as_bf16(pairs: __m512) -> __m512bh {
    // SAFETY: both types are 64 bytes.
    unsafe { std::mem::transmute(pairs) }
}

/// Whether heads of so many columns are whole steps of products.
pub(crate) fn takes(head_dim: usize) -> bool {
    head_dim.is_multiple_of(SIDE)
}

/// One head's attention, of as many columns as [`takes`] says.
///
/// # Safety
/// The processor must have the instructions of `P`, and AVX-512 with VNNI and BF16.
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vnni,avx512bf16,avx2,fma")]
pub(crate) unsafe fn attend<P: Products>(head: Head, scratch: &mut Scratch) {
    let Head { query, key_value, step, first, head_dim, out } = head;
    let keys = key_value.len() / step / 2;
    let columns = keys.next_multiple_of(SIDE);
    let stride = columns + APART;
    let Scratch { keys: key_panels, values: value_panels, queries, scores } = scratch;
    key_panels.resize(columns * head_dim / 2);
    value_panels.resize(columns * head_dim / 2);
    queries.resize(SIDE * head_dim / 2);
    scores.resize(SIDE * stride);
    let mut sums = [[0.0_f32; SIDE]; SIDE];
    unsafe {
        pack_keys(&key_value[first..], 2 * step, head_dim, key_panels);
        pack_values(&key_value[step + first..], 2 * step, columns, value_panels);
        let products = P::begin();
        for (index, query) in query.chunks(SIDE * step).enumerate() {
            let rows = query.len() / step;
            pack_queries(&query[first..], step, head_dim, queries);
            let left = (queries.as_ptr().cast(), 2 * head_dim);
            for (index, panel) in key_panels.chunks_exact(SIDE * head_dim / 2).enumerate() {
                let scores = scores[index * SIDE..].as_mut_ptr().cast();
                products.sums(left, panel.as_ptr().cast(), head_dim / SIDE, (scores, 4 * stride), rows);
            }
            let mut shares = [0.0; SIDE];
            for (scores, share) in scores.chunks_exact_mut(stride).zip(&mut shares).take(rows) {
                *share = 1.0 / softmax(&mut scores[..columns], keys);
            }
            let left = (scores.as_ptr().cast(), 4 * stride);
            for (index_of_panel, panel) in value_panels.chunks_exact(columns / 2 * SIDE).enumerate() {
                let to = (sums.as_mut_ptr().cast(), 4 * SIDE);
                products.sums(left, panel.as_ptr().cast(), columns / SIDE, to, rows);
                let out = out.add(index * SIDE * step + first + index_of_panel * SIDE);
                for (row, (sums, share)) in sums.iter().zip(shares).enumerate().take(rows) {
                    for half in [0, PAIRS] {
                        let mean = S::mul(S::load(sums[half..].as_ptr()), S::splat(share));
                        S::store(mean, out.add(row * step + half));
                    }
                }
            }
        }
    }
}

/// Rows as the columns of panels: of each 32 rows, for each two of their columns, a pair of every row. What is missing is
/// zero.
#[inline(always)]
unsafe fn pack_keys(keys: &[f32], step: usize, head_dim: usize, panels: &mut [f32]) {
    for (panel, keys) in panels.chunks_exact_mut(SIDE * head_dim / 2).zip(keys.chunks(SIDE * step)) {
        for (dim, panel) in (0..head_dim).step_by(SIDE).zip(panel.chunks_exact_mut(PAIRS * SIDE)) {
            for half in [0, PAIRS] {
                unsafe {
                    let mut rows = [_mm512_setzero_si512(); PAIRS];
                    for (row, keys) in rows.iter_mut().zip(keys.chunks(step).skip(half)) {
                        let key = keys[dim..][..SIDE].as_ptr();
                        *row = rounded(S::load(key), S::load(key.add(PAIRS)));
                    }
                    for (pairs, panel) in turned(rows).into_iter().zip(panel.chunks_exact_mut(SIDE)) {
                        _mm512_storeu_si512(panel[half..].as_mut_ptr().cast(), pairs);
                    }
                }
            }
        }
    }
}

/// The columns of rows as those of panels: of each 32 columns, for each two rows, a pair of every column. What is missing is
/// zero.
#[inline(always)]
unsafe fn pack_values(values: &[f32], step: usize, count: usize, panels: &mut [f32]) {
    for (index, panel) in panels.chunks_exact_mut(count / 2 * SIDE).enumerate() {
        let mut rows = values.chunks(step).map(|row| &row[index * SIDE..][..SIDE]);
        for pairs in panel.chunks_exact_mut(SIDE) {
            let (upper, lower) = (rows.next(), rows.next());
            for half in [0, PAIRS] {
                unsafe {
                    let mut both = [S::splat(0.0); 2];
                    for (row, both) in [upper, lower].into_iter().zip(&mut both) {
                        if let Some(row) = row {
                            *both = S::load(row[half..].as_ptr());
                        }
                    }
                    let in_turns = _mm512_permutexvar_epi16(in_turns(), rounded(both[0], both[1]));
                    _mm512_storeu_si512(pairs[half..].as_mut_ptr().cast(), in_turns);
                }
            }
        }
    }
}

/// Rows as they are, so scaled that scores are logarithms to base 2.
#[inline(always)]
unsafe fn pack_queries(queries: &[f32], step: usize, head_dim: usize, packed: &mut [f32]) {
    unsafe {
        let scale = S::splat(std::f32::consts::LOG2_E / (head_dim as f32).sqrt());
        for (query, packed) in queries.chunks(step).zip(packed.chunks_exact_mut(head_dim / 2)) {
            for (query, packed) in query[..head_dim].chunks_exact(SIDE).zip(packed.chunks_exact_mut(PAIRS)) {
                let query = query.as_ptr();
                let pairs = rounded(S::mul(S::load(query), scale), S::mul(S::load(query.add(PAIRS)), scale));
                _mm512_storeu_si512(packed.as_mut_ptr().cast(), pairs);
            }
        }
    }
}

/// 2^(score − largest) of `count` scores, and of what is behind them 0, as bf16 into the first half of the same
/// memory; their sum.
#[inline(always)]
unsafe fn softmax(scores: &mut [f32], count: usize) -> f32 {
    scores[count..].fill(f32::NEG_INFINITY);
    let (mut from, mut to) = (scores.as_ptr(), scores.as_mut_ptr());
    unsafe {
        let mut largest = S::splat(f32::MIN);
        for scores in scores.chunks_exact(PAIRS) {
            largest = S::max(largest, S::load(scores.as_ptr()));
        }
        let largest = S::splat(_mm512_reduce_max_ps(largest));
        let mut total = S::splat(0.0);
        for _ in 0..scores.len() / SIDE {
            let left = exp2(S::sub(S::load(from), largest));
            let right = exp2(S::sub(S::load(from.add(PAIRS)), largest));
            total = S::add(total, S::add(left, right));
            _mm512_storeu_si512(to.cast(), rounded(left, right));
            (from, to) = (from.add(SIDE), to.add(PAIRS));
        }
        _mm512_reduce_add_ps(total)
    }
}

/// 2^x to 7.5e-5, a twentieth of what rounding to bf16 adds: the polynomial is that of least relative error on [0, 1].
#[inline(always)]
unsafe fn exp2(x: __m512) -> __m512 {
    const P: [f32; 4] = [0.999_925_2, 0.695_833_54, 0.226_067_16, 0.078_024_52];
    unsafe {
        // What is above the next lower integer; `scalef` takes that integer of x.
        let fraction = _mm512_reduce_ps::<{ _MM_FROUND_TO_NEG_INF }>(x);
        let mut sum = S::splat(P[3]);
        for coefficient in [P[2], P[1], P[0]] {
            sum = S::mul_add(sum, fraction, S::splat(coefficient));
        }
        _mm512_scalef_ps(sum, x)
    }
}

/// Two vectors as bf16, one behind the other.
#[inline(always)]
unsafe fn rounded(left: __m512, right: __m512) -> __m512i {
    // SAFETY: both types are 64 bytes.
    unsafe { std::mem::transmute(_mm512_cvtne2ps_pbh(right, left)) }
}

/// The places of two halves' elements in turns: 0, 16, 1, 17 and so on.
#[inline(always)]
unsafe fn in_turns() -> __m512i {
    const PLACES: [u16; 32] = {
        let mut places = [0; 32];
        let mut place = 0;
        while place < 32 {
            places[place] = (place / 2 + place % 2 * 16) as u16;
            place += 1;
        }
        places
    };
    unsafe { _mm512_loadu_si512(PLACES.as_ptr().cast()) }
}

/// Rows as columns: four times over, the rows of both halves in turns, element by element.
#[inline(always)]
unsafe fn turned(mut rows: [__m512i; PAIRS]) -> [__m512i; PAIRS] {
    unsafe {
        let low = _mm512_setr_epi32(0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23);
        let high = _mm512_add_epi32(low, _mm512_set1_epi32(8));
        for _ in 0..4 {
            rows = from_fn(|row| {
                let half = if row.is_multiple_of(2) { low } else { high };
                _mm512_permutex2var_epi32(rows[row / 2], half, rows[row / 2 + 8])
            });
        }
        rows
    }
}
