//! The vector instructions that the kernels are written in, once for each instruction set.

#[cfg(target_arch = "x86_64")]
use super::x86::{Level, avx_vnni, avx2, avx512, avx512_vnni, level};

/// Vectors of f32. Everything is `inline(always)`: it becomes instructions of the set only inside a function
/// that is compiled for it, which [`run`] sees to.
///
/// # Safety
/// Every function needs a processor that has the set's instructions; those with pointers, [`Self::LANES`]
/// readable or writable elements there.
pub(crate) trait Simd: Copy {
    /// As processors' makers call it.
    const NAME: &str;
    /// Elements of a vector.
    const LANES: usize;
    /// Rows of a tile of a product: with two vectors a row, what the registers hold.
    const ROWS: usize;
    /// Rows of a tile of integers: what the registers hold of them and of the floats that they become.
    const INTEGER_ROWS: usize;
    type Vector: Copy;
    /// As many integers.
    type Integers: Copy;
    /// Four weights of every column of a vector, as [`Self::dot`] takes them.
    type Weights: Copy;
    /// Four activations for every column of a vector.
    type Quad: Copy;
    /// Bytes of four activations in memory.
    const QUAD_BYTES: usize = 4;
    /// Whether [`Self::dot`] adds up in 16 bits, of which a column has two sums.
    const IS_NARROW: bool = false;

    unsafe fn splat(value: f32) -> Self::Vector;
    unsafe fn load(from: *const f32) -> Self::Vector;
    unsafe fn store(vector: Self::Vector, to: *mut f32);
    /// Integers of a byte each, as floats.
    unsafe fn load_i8(from: *const i8) -> Self::Vector;
    unsafe fn add(left: Self::Vector, right: Self::Vector) -> Self::Vector;
    unsafe fn sub(left: Self::Vector, right: Self::Vector) -> Self::Vector;
    unsafe fn mul(left: Self::Vector, right: Self::Vector) -> Self::Vector;
    unsafe fn div(left: Self::Vector, right: Self::Vector) -> Self::Vector;
    /// The larger one; `right` where one of them is NaN, as x86 has it.
    unsafe fn max(left: Self::Vector, right: Self::Vector) -> Self::Vector;
    /// The smaller one; `right` where one of them is NaN.
    unsafe fn min(left: Self::Vector, right: Self::Vector) -> Self::Vector;
    /// `left · right + sum`, rounded once where the set can do that.
    unsafe fn mul_add(left: Self::Vector, right: Self::Vector, sum: Self::Vector) -> Self::Vector;
    /// 2 to the power of the integer in the lowest bits of each element.
    unsafe fn exp2_of_bits(bits: Self::Vector) -> Self::Vector;
    /// The lowest byte of each element.
    unsafe fn store_lowest_bytes(bits: Self::Vector, to: *mut u8);
    unsafe fn zero() -> Self::Integers;
    unsafe fn to_float(integers: Self::Integers) -> Self::Vector;
    unsafe fn load_weights(from: *const i8) -> Self::Weights;
    #[inline(always)]
    unsafe fn store_quad(quad: [u8; 4], to: *mut u8) {
        unsafe { to.cast::<[u8; 4]>().write_unaligned(quad) }
    }
    unsafe fn load_quad(from: *const u8) -> Self::Quad;
    /// Adds four products to every column; activations are at most 127.
    unsafe fn dot(sum: Self::Integers, left: Self::Quad, right: Self::Weights) -> Self::Integers;
    /// Adds what [`Self::dot`] has added up to sums of 32 bits.
    unsafe fn widen(sum: Self::Integers, dots: Self::Integers) -> Self::Integers;
    /// Says that this place will be read or written, wherever it points; nothing where there is no such thing.
    #[inline(always)]
    unsafe fn prefetch(_place: *const f32) {}
}

/// What is compiled once for each instruction set.
pub(crate) trait Kernel {
    type Output;

    /// # Safety
    /// The processor must have the instructions of `S`.
    unsafe fn run<S: Simd>(self) -> Self::Output;
}

/// Calls `kernel` with the best instructions that this processor has.
pub(crate) fn run<K: Kernel>(kernel: K) -> K::Output {
    // SAFETY: the processor has what is asked of it in the same line, or what all of its kind have.
    unsafe {
        #[cfg(target_arch = "x86_64")]
        match level() {
            Level::Amx | Level::Avx512Bf16 | Level::Avx512Vnni => return avx512_vnni(kernel),
            Level::Avx512 => return avx512(kernel),
            Level::AvxVnni => return avx_vnni(kernel),
            Level::Avx2 => return avx2(kernel),
            Level::Baseline => {}
        }
        #[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
        return match super::wasm::has_wide_dot() {
            true => kernel.run::<super::wasm::Simd128<true>>(),
            false => kernel.run::<super::wasm::Simd128<false>>(),
        };
        #[allow(unreachable_code)]
        kernel.run::<Portable>()
    }
}

/// Four elements that the compiler makes a vector of: NEON on ARM, SSE2 on x86.
#[derive(Clone, Copy)]
pub(crate) struct Portable;

#[inline(always)]
fn each(left: [f32; 4], right: [f32; 4], operation: impl Fn(f32, f32) -> f32) -> [f32; 4] {
    std::array::from_fn(|lane| operation(left[lane], right[lane]))
}

impl Simd for Portable {
    const NAME: &str = if cfg!(target_arch = "aarch64") { "NEON" } else { "portable" };
    const LANES: usize = 4;
    // NEON has 32 registers, SSE2 has 16.
    const ROWS: usize = if cfg!(target_arch = "aarch64") { 12 } else { 6 };
    const INTEGER_ROWS: usize = if cfg!(target_arch = "aarch64") { 6 } else { 4 };
    type Vector = [f32; 4];
    type Integers = [i32; 4];
    type Weights = [[i8; 4]; 4];
    type Quad = [u8; 4];

    #[inline(always)]
    unsafe fn splat(value: f32) -> [f32; 4] {
        [value; 4]
    }

    #[inline(always)]
    unsafe fn load(from: *const f32) -> [f32; 4] {
        unsafe { from.cast::<[f32; 4]>().read_unaligned() }
    }

    #[inline(always)]
    unsafe fn store(vector: [f32; 4], to: *mut f32) {
        unsafe { to.cast::<[f32; 4]>().write_unaligned(vector) }
    }

    #[inline(always)]
    unsafe fn load_i8(from: *const i8) -> [f32; 4] {
        unsafe { from.cast::<[i8; 4]>().read_unaligned() }.map(f32::from)
    }

    #[inline(always)]
    unsafe fn add(left: [f32; 4], right: [f32; 4]) -> [f32; 4] {
        each(left, right, |left, right| left + right)
    }

    #[inline(always)]
    unsafe fn sub(left: [f32; 4], right: [f32; 4]) -> [f32; 4] {
        each(left, right, |left, right| left - right)
    }

    #[inline(always)]
    unsafe fn mul(left: [f32; 4], right: [f32; 4]) -> [f32; 4] {
        each(left, right, |left, right| left * right)
    }

    #[inline(always)]
    unsafe fn div(left: [f32; 4], right: [f32; 4]) -> [f32; 4] {
        each(left, right, |left, right| left / right)
    }

    #[inline(always)]
    unsafe fn max(left: [f32; 4], right: [f32; 4]) -> [f32; 4] {
        each(left, right, |left, right| if left > right { left } else { right })
    }

    #[inline(always)]
    unsafe fn min(left: [f32; 4], right: [f32; 4]) -> [f32; 4] {
        each(left, right, |left, right| if left < right { left } else { right })
    }

    #[inline(always)]
    unsafe fn mul_add(left: [f32; 4], right: [f32; 4], sum: [f32; 4]) -> [f32; 4] {
        std::array::from_fn(|lane| match cfg!(target_arch = "aarch64") {
            true => left[lane].mul_add(right[lane], sum[lane]),
            // Without the instruction it would be a call.
            false => left[lane] * right[lane] + sum[lane],
        })
    }

    #[inline(always)]
    unsafe fn exp2_of_bits(bits: [f32; 4]) -> [f32; 4] {
        bits.map(|bits| f32::from_bits(bits.to_bits().wrapping_add(127) << 23))
    }

    #[inline(always)]
    unsafe fn store_lowest_bytes(bits: [f32; 4], to: *mut u8) {
        unsafe { to.cast::<[u8; 4]>().write_unaligned(bits.map(|bits| bits.to_bits() as u8)) }
    }

    #[inline(always)]
    unsafe fn zero() -> [i32; 4] {
        [0; 4]
    }

    #[inline(always)]
    unsafe fn to_float(integers: [i32; 4]) -> [f32; 4] {
        integers.map(|integer| integer as f32)
    }

    #[inline(always)]
    unsafe fn load_weights(from: *const i8) -> [[i8; 4]; 4] {
        unsafe { from.cast::<[[i8; 4]; 4]>().read_unaligned() }
    }

    #[inline(always)]
    unsafe fn load_quad(from: *const u8) -> [u8; 4] {
        unsafe { from.cast::<[u8; 4]>().read_unaligned() }
    }

    #[inline(always)]
    unsafe fn dot(sum: [i32; 4], left: [u8; 4], right: [[i8; 4]; 4]) -> [i32; 4] {
        std::array::from_fn(|lane| {
            let products =
                left.iter().zip(right[lane]).map(|(&left, right)| i32::from(left) * i32::from(right));
            sum[lane] + products.sum::<i32>()
        })
    }

    #[inline(always)]
    unsafe fn widen(sum: [i32; 4], dots: [i32; 4]) -> [i32; 4] {
        std::array::from_fn(|lane| sum[lane] + dots[lane])
    }
}
