//! WebAssembly's vectors of 128 bits.

use std::arch::wasm32::*;
#[cfg(target_feature = "relaxed-simd")]
use std::sync::LazyLock;

use super::simd::Simd;

/// With dot products that are added up in 32 bits, or in 16.
#[derive(Clone, Copy)]
pub(crate) struct Simd128<const WIDE: bool>;

/// Whether the engine makes one instruction of relaxed SIMD's dot product, as V8 does with AVX-VNNI and on ARM. Where it
/// has none it makes several, and adds up pairs of products in 16 bits first, which saturate. Asked once: weights are packed
/// for the answer.
#[cfg(target_feature = "relaxed-simd")]
pub(crate) fn has_wide_dot() -> bool {
    static HAS_WIDE_DOT: LazyLock<bool> = LazyLock::new(|| {
        let (weights, activations) = std::hint::black_box((i8x16_splat(i8::MIN), u8x16_splat(u8::MAX)));
        let sums = i32x4_relaxed_dot_i8x16_i7x16_add(weights, activations, i32x4_splat(0));
        i32x4_extract_lane::<0>(sums) != 2 * i32::from(i16::MIN)
    });
    *HAS_WIDE_DOT
}

#[cfg(not(target_feature = "relaxed-simd"))]
pub(crate) fn has_wide_dot() -> bool {
    true
}

impl<const WIDE: bool> Simd for Simd128<WIDE> {
    const NAME: &str = if cfg!(target_feature = "relaxed-simd") { "relaxed simd" } else { "simd128" };
    const LANES: usize = 4;
    // x86 has 16 registers, of which V8 keeps one; with 6 rows, as AVX2 has them, it is a fifth slower.
    const ROWS: usize = 4;
    const INTEGER_ROWS: usize = if WIDE { 4 } else { 3 };
    const IS_NARROW: bool = !WIDE;
    type Vector = v128;
    type Integers = v128;
    #[cfg(target_feature = "relaxed-simd")]
    type Weights = v128;
    /// Of each column the first two weights in 16 bits, and the other two.
    #[cfg(not(target_feature = "relaxed-simd"))]
    type Weights = [v128; 2];
    #[cfg(target_feature = "relaxed-simd")]
    type Quad = v128;
    #[cfg(not(target_feature = "relaxed-simd"))]
    type Quad = [v128; 2];
    #[cfg(not(target_feature = "relaxed-simd"))]
    const QUAD_BYTES: usize = 8;

    #[inline(always)]
    unsafe fn splat(value: f32) -> v128 {
        f32x4_splat(value)
    }

    #[inline(always)]
    unsafe fn load(from: *const f32) -> v128 {
        unsafe { v128_load(from.cast()) }
    }

    #[inline(always)]
    unsafe fn store(vector: v128, to: *mut f32) {
        unsafe { v128_store(to.cast(), vector) }
    }

    #[inline(always)]
    unsafe fn load_i8(from: *const i8) -> v128 {
        unsafe {
            let bytes = v128_load32_zero(from.cast());
            f32x4_convert_i32x4(i32x4_extend_low_i16x8(i16x8_extend_low_i8x16(bytes)))
        }
    }

    #[inline(always)]
    unsafe fn add(left: v128, right: v128) -> v128 {
        f32x4_add(left, right)
    }

    #[inline(always)]
    unsafe fn sub(left: v128, right: v128) -> v128 {
        f32x4_sub(left, right)
    }

    #[inline(always)]
    unsafe fn mul(left: v128, right: v128) -> v128 {
        f32x4_mul(left, right)
    }

    #[inline(always)]
    unsafe fn div(left: v128, right: v128) -> v128 {
        f32x4_div(left, right)
    }

    #[inline(always)]
    unsafe fn max(left: v128, right: v128) -> v128 {
        f32x4_pmax(right, left)
    }

    #[inline(always)]
    unsafe fn min(left: v128, right: v128) -> v128 {
        f32x4_pmin(right, left)
    }

    #[inline(always)]
    unsafe fn mul_add(left: v128, right: v128, sum: v128) -> v128 {
        #[cfg(target_feature = "relaxed-simd")]
        return f32x4_relaxed_madd(left, right, sum);
        #[cfg(not(target_feature = "relaxed-simd"))]
        f32x4_add(f32x4_mul(left, right), sum)
    }

    #[inline(always)]
    unsafe fn exp2_of_bits(bits: v128) -> v128 {
        i32x4_shl(i32x4_add(bits, i32x4_splat(127)), 23)
    }

    #[inline(always)]
    unsafe fn store_lowest_bytes(bits: v128, to: *mut u8) {
        let bytes = i8x16_shuffle::<0, 4, 8, 12, 0, 4, 8, 12, 0, 4, 8, 12, 0, 4, 8, 12>(bits, bits);
        unsafe { v128_store32_lane::<0>(bytes, to.cast()) }
    }

    #[inline(always)]
    unsafe fn zero() -> v128 {
        i32x4_splat(0)
    }

    #[inline(always)]
    unsafe fn to_float(integers: v128) -> v128 {
        f32x4_convert_i32x4(integers)
    }

    #[inline(always)]
    unsafe fn load_weights(from: *const i8) -> Self::Weights {
        let bytes = unsafe { v128_load(from.cast()) };
        #[cfg(target_feature = "relaxed-simd")]
        return bytes;
        #[cfg(not(target_feature = "relaxed-simd"))]
        {
            let pairs = i8x16_shuffle::<0, 1, 4, 5, 8, 9, 12, 13, 2, 3, 6, 7, 10, 11, 14, 15>(bytes, bytes);
            [i16x8_extend_low_i8x16(pairs), i16x8_extend_high_i8x16(pairs)]
        }
    }

    #[cfg(not(target_feature = "relaxed-simd"))]
    #[inline(always)]
    unsafe fn store_quad(quad: [u8; 4], to: *mut u8) {
        unsafe { to.cast::<[u16; 4]>().write_unaligned(quad.map(u16::from)) }
    }

    #[inline(always)]
    unsafe fn load_quad(from: *const u8) -> Self::Quad {
        unsafe {
            #[cfg(target_feature = "relaxed-simd")]
            return v128_load32_splat(from.cast());
            #[cfg(not(target_feature = "relaxed-simd"))]
            [v128_load32_splat(from.cast()), v128_load32_splat(from.add(4).cast())]
        }
    }

    #[inline(always)]
    unsafe fn dot(sum: v128, left: Self::Quad, right: Self::Weights) -> v128 {
        // The second operand of the relaxed product must fit 7 bits; activations do.
        #[cfg(target_feature = "relaxed-simd")]
        return match WIDE {
            true => i32x4_relaxed_dot_i8x16_i7x16_add(right, left, sum),
            false => i16x8_add(sum, i16x8_relaxed_dot_i8x16_i7x16(right, left)),
        };
        #[cfg(not(target_feature = "relaxed-simd"))]
        {
            let first = i32x4_add(sum, i32x4_dot_i16x8(left[0], right[0]));
            i32x4_add(first, i32x4_dot_i16x8(left[1], right[1]))
        }
    }

    #[inline(always)]
    unsafe fn widen(sum: v128, dots: v128) -> v128 {
        i32x4_add(sum, if WIDE { dots } else { i32x4_dot_i16x8(dots, i16x8_splat(1)) })
    }
}
