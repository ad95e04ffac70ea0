//! AVX-512, and AVX2 with FMA, chosen when the program runs.

use std::arch::x86_64::*;

use super::simd::{Kernel, Simd};

/// Sets of instructions, the best first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Level {
    /// For products of integers, and attention between them; the rest as [`Self::Avx512Vnni`].
    Amx,
    /// For attention between products of integers; the rest as [`Self::Avx512Vnni`].
    Avx512Bf16,
    Avx512Vnni,
    Avx512,
    AvxVnni,
    Avx2,
    Baseline,
}

/// The best that this processor has.
pub(crate) fn level() -> Level {
    #[cfg(test)]
    if let Some(level) = tests::LEVEL.get() {
        return level;
    }
    let has_avx512 = is_x86_feature_detected!("avx512f") && is_x86_feature_detected!("avx512bw");
    let has_avx2 = is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma");
    let has_vnni = is_x86_feature_detected!("avx512vnni");
    let has_bf16 = is_x86_feature_detected!("avx512bf16") && is_x86_feature_detected!("avx512dq");
    match (has_avx512, has_avx2) {
        (true, _) if has_vnni && has_bf16 && super::amx::is_available() => Level::Amx,
        (true, _) if has_vnni && has_bf16 => Level::Avx512Bf16,
        (true, _) if has_vnni => Level::Avx512Vnni,
        (true, _) => Level::Avx512,
        (_, true) if is_x86_feature_detected!("avxvnni") => Level::AvxVnni,
        (_, true) => Level::Avx2,
        _ => Level::Baseline,
    }
}

#[target_feature(enable = "avx512f,avx512bw,avx512vnni,avx2,fma")]
pub(crate) unsafe fn avx512_vnni<K: Kernel>(kernel: K) -> K::Output {
    unsafe { kernel.run::<Avx512<true>>() }
}

#[target_feature(enable = "avx512f,avx512bw,avx2,fma")]
pub(crate) unsafe fn avx512<K: Kernel>(kernel: K) -> K::Output {
    unsafe { kernel.run::<Avx512<false>>() }
}

#[target_feature(enable = "avxvnni,avx2,fma")]
pub(crate) unsafe fn avx_vnni<K: Kernel>(kernel: K) -> K::Output {
    unsafe { kernel.run::<Avx2<true>>() }
}

#[target_feature(enable = "avx2,fma")]
pub(crate) unsafe fn avx2<K: Kernel>(kernel: K) -> K::Output {
    unsafe { kernel.run::<Avx2<false>>() }
}

/// With the dot products of VNNI, or without.
#[derive(Clone, Copy)]
pub(crate) struct Avx512<const VNNI: bool>;

impl<const VNNI: bool> Simd for Avx512<VNNI> {
    const NAME: &str = if VNNI { "AVX-512 VNNI" } else { "AVX-512" };
    const LANES: usize = 16;
    const ROWS: usize = 12;
    const INTEGER_ROWS: usize = 6;
    const IS_NARROW: bool = !VNNI;
    type Vector = __m512;
    type Integers = __m512i;
    type Weights = __m512i;
    type Quad = __m512i;

    #[inline(always)]
    unsafe fn splat(value: f32) -> __m512 {
        unsafe { _mm512_set1_ps(value) }
    }

    #[inline(always)]
    unsafe fn load(from: *const f32) -> __m512 {
        unsafe { _mm512_loadu_ps(from) }
    }

    #[inline(always)]
    unsafe fn store(vector: __m512, to: *mut f32) {
        unsafe { _mm512_storeu_ps(to, vector) }
    }

    #[inline(always)]
    unsafe fn load_i8(from: *const i8) -> __m512 {
        unsafe { _mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(_mm_loadu_si128(from.cast()))) }
    }

    #[inline(always)]
    unsafe fn add(left: __m512, right: __m512) -> __m512 {
        unsafe { _mm512_add_ps(left, right) }
    }

    #[inline(always)]
    unsafe fn sub(left: __m512, right: __m512) -> __m512 {
        unsafe { _mm512_sub_ps(left, right) }
    }

    #[inline(always)]
    unsafe fn mul(left: __m512, right: __m512) -> __m512 {
        unsafe { _mm512_mul_ps(left, right) }
    }

    #[inline(always)]
    unsafe fn div(left: __m512, right: __m512) -> __m512 {
        unsafe { _mm512_div_ps(left, right) }
    }

    #[inline(always)]
    unsafe fn max(left: __m512, right: __m512) -> __m512 {
        unsafe { _mm512_max_ps(left, right) }
    }

    #[inline(always)]
    unsafe fn min(left: __m512, right: __m512) -> __m512 {
        unsafe { _mm512_min_ps(left, right) }
    }

    #[inline(always)]
    unsafe fn mul_add(left: __m512, right: __m512, sum: __m512) -> __m512 {
        unsafe { _mm512_fmadd_ps(left, right, sum) }
    }

    #[inline(always)]
    unsafe fn prefetch(place: *const f32) {
        unsafe { _mm_prefetch::<_MM_HINT_T0>(place.cast()) }
    }

    #[inline(always)]
    unsafe fn exp2_of_bits(bits: __m512) -> __m512 {
        unsafe {
            let biased = _mm512_add_epi32(_mm512_castps_si512(bits), _mm512_set1_epi32(127));
            _mm512_castsi512_ps(_mm512_slli_epi32::<23>(biased))
        }
    }

    #[inline(always)]
    unsafe fn store_lowest_bytes(bits: __m512, to: *mut u8) {
        unsafe {
            _mm_storeu_si128(to.cast(), _mm512_cvtepi32_epi8(_mm512_castps_si512(bits)));
        }
    }

    #[inline(always)]
    unsafe fn zero() -> __m512i {
        unsafe { _mm512_setzero_si512() }
    }

    #[inline(always)]
    unsafe fn to_float(integers: __m512i) -> __m512 {
        unsafe { _mm512_cvtepi32_ps(integers) }
    }

    #[inline(always)]
    unsafe fn load_weights(from: *const i8) -> __m512i {
        unsafe { _mm512_loadu_si512(from.cast()) }
    }

    #[inline(always)]
    unsafe fn load_quad(from: *const u8) -> __m512i {
        unsafe { _mm512_set1_epi32(from.cast::<i32>().read_unaligned()) }
    }

    #[inline(always)]
    unsafe fn dot(sum: __m512i, left: __m512i, right: __m512i) -> __m512i {
        unsafe {
            match VNNI {
                true => _mm512_dpbusd_epi32(sum, left, right),
                // 127 · 128 · 2 fits 16 bits.
                false => _mm512_add_epi16(sum, _mm512_maddubs_epi16(left, right)),
            }
        }
    }

    #[inline(always)]
    unsafe fn widen(sum: __m512i, dots: __m512i) -> __m512i {
        unsafe {
            match VNNI {
                true => _mm512_add_epi32(sum, dots),
                false => _mm512_add_epi32(sum, _mm512_madd_epi16(dots, _mm512_set1_epi16(1))),
            }
        }
    }
}

/// With the dot products of VNNI, or without.
#[derive(Clone, Copy)]
pub(crate) struct Avx2<const VNNI: bool>;

impl<const VNNI: bool> Simd for Avx2<VNNI> {
    const NAME: &str = if VNNI { "AVX-VNNI" } else { "AVX2" };
    const LANES: usize = 8;
    const ROWS: usize = 6;
    // VNNI's products take five steps of the clock: fewer sums would wait for them. Without it there are sums of 16 bits, too.
    const INTEGER_ROWS: usize = if VNNI { 6 } else { 2 };
    const IS_NARROW: bool = !VNNI;
    type Vector = __m256;
    type Integers = __m256i;
    type Weights = __m256i;
    type Quad = __m256i;

    #[inline(always)]
    unsafe fn splat(value: f32) -> __m256 {
        unsafe { _mm256_set1_ps(value) }
    }

    #[inline(always)]
    unsafe fn load(from: *const f32) -> __m256 {
        unsafe { _mm256_loadu_ps(from) }
    }

    #[inline(always)]
    unsafe fn store(vector: __m256, to: *mut f32) {
        unsafe { _mm256_storeu_ps(to, vector) }
    }

    #[inline(always)]
    unsafe fn load_i8(from: *const i8) -> __m256 {
        unsafe { _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(_mm_loadl_epi64(from.cast()))) }
    }

    #[inline(always)]
    unsafe fn add(left: __m256, right: __m256) -> __m256 {
        unsafe { _mm256_add_ps(left, right) }
    }

    #[inline(always)]
    unsafe fn sub(left: __m256, right: __m256) -> __m256 {
        unsafe { _mm256_sub_ps(left, right) }
    }

    #[inline(always)]
    unsafe fn mul(left: __m256, right: __m256) -> __m256 {
        unsafe { _mm256_mul_ps(left, right) }
    }

    #[inline(always)]
    unsafe fn div(left: __m256, right: __m256) -> __m256 {
        unsafe { _mm256_div_ps(left, right) }
    }

    #[inline(always)]
    unsafe fn max(left: __m256, right: __m256) -> __m256 {
        unsafe { _mm256_max_ps(left, right) }
    }

    #[inline(always)]
    unsafe fn min(left: __m256, right: __m256) -> __m256 {
        unsafe { _mm256_min_ps(left, right) }
    }

    #[inline(always)]
    unsafe fn mul_add(left: __m256, right: __m256, sum: __m256) -> __m256 {
        unsafe { _mm256_fmadd_ps(left, right, sum) }
    }

    #[inline(always)]
    unsafe fn prefetch(place: *const f32) {
        unsafe { _mm_prefetch::<_MM_HINT_T0>(place.cast()) }
    }

    #[inline(always)]
    unsafe fn exp2_of_bits(bits: __m256) -> __m256 {
        unsafe {
            let biased = _mm256_add_epi32(_mm256_castps_si256(bits), _mm256_set1_epi32(127));
            _mm256_castsi256_ps(_mm256_slli_epi32::<23>(biased))
        }
    }

    #[inline(always)]
    unsafe fn store_lowest_bytes(bits: __m256, to: *mut u8) {
        unsafe {
            let bits = _mm256_castps_si256(bits);
            // The lowest bytes of each half's four elements, then both next to each other.
            let bytes = _mm256_shuffle_epi8(bits, _mm256_set1_epi32(0x0c08_0400));
            let halves =
                _mm_unpacklo_epi32(_mm256_castsi256_si128(bytes), _mm256_extracti128_si256::<1>(bytes));
            _mm_storel_epi64(to.cast(), halves);
        }
    }

    #[inline(always)]
    unsafe fn zero() -> __m256i {
        unsafe { _mm256_setzero_si256() }
    }

    #[inline(always)]
    unsafe fn to_float(integers: __m256i) -> __m256 {
        unsafe { _mm256_cvtepi32_ps(integers) }
    }

    #[inline(always)]
    unsafe fn load_weights(from: *const i8) -> __m256i {
        unsafe { _mm256_loadu_si256(from.cast()) }
    }

    #[inline(always)]
    unsafe fn load_quad(from: *const u8) -> __m256i {
        unsafe { _mm256_set1_epi32(from.cast::<i32>().read_unaligned()) }
    }

    #[inline(always)]
    unsafe fn dot(sum: __m256i, left: __m256i, right: __m256i) -> __m256i {
        unsafe {
            match VNNI {
                true => _mm256_dpbusd_avx_epi32(sum, left, right),
                // 127 · 128 · 2 fits 16 bits.
                false => _mm256_add_epi16(sum, _mm256_maddubs_epi16(left, right)),
            }
        }
    }

    #[inline(always)]
    unsafe fn widen(sum: __m256i, dots: __m256i) -> __m256i {
        unsafe {
            match VNNI {
                true => _mm256_add_epi32(sum, dots),
                false => _mm256_add_epi32(sum, _mm256_madd_epi16(dots, _mm256_set1_epi16(1))),
            }
        }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use std::cell::Cell;

    use super::{Level, level};

    thread_local! {
        /// What this thread is to compute with.
        pub(crate) static LEVEL: Cell<Option<Level>> = const { Cell::new(None) };
    }

    /// Runs `test` with every set of instructions that this processor has.
    pub(crate) fn at_every_level(test: impl Fn()) {
        let best = level();
        for level in [
            Level::Amx,
            Level::Avx512Bf16,
            Level::Avx512Vnni,
            Level::Avx512,
            Level::AvxVnni,
            Level::Avx2,
            Level::Baseline,
        ] {
            // A processor with AVX-512 may lack AVX-VNNI.
            if level >= best && (level != Level::AvxVnni || is_x86_feature_detected!("avxvnni")) {
                LEVEL.set(Some(level));
                test();
            }
        }
        LEVEL.set(None);
    }
}
