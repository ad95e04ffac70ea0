//! Functions of vectors.

use super::simd::Simd;

/// 1.5 · 2^23: a float this large holds an integer in its lowest bits.
pub(crate) const ROUND: f32 = 12_582_912.0;

/// e^x to 2e-7 for x ≤ 0; below −87 what is there is the smallest normal number, not 0.
///
/// x = n · ln 2 + r; e^r = 1 + r + r² · p(r), p fitted to 3e-9 on |r| ≤ ln 2 / 2.
#[inline(always)]
pub(crate) unsafe fn exp<S: Simd>(x: S::Vector) -> S::Vector {
    const P: [f32; 5] = [0.499_999_93, 0.166_665_2, 0.041_668_39, 0.008_368_745, 0.001_381_454];
    unsafe {
        // In this order NaN stays NaN: of two, the second is taken unless the first is larger.
        let x = S::max(S::splat(-87.0), x);
        let bits = S::mul_add(x, S::splat(std::f32::consts::LOG2_E), S::splat(ROUND));
        let n = S::sub(bits, S::splat(ROUND));
        // ln 2 in two parts, the first with so few bits that its product with n is exact.
        let r = S::mul_add(n, S::splat(-0.693_359_4), x);
        let r = S::mul_add(n, S::splat(2.121_944_4e-4), r);
        let p = polynomial::<S, 5>(r, P);
        let e = S::mul_add(S::mul(r, r), p, S::add(r, S::splat(1.0)));
        S::mul(e, S::exp2_of_bits(bits))
    }
}

/// GELU(x) = x · Φ(x), the exact one, to a few units in the last place of max(1, |x|).
///
/// Φ(x) = ½ + x · p(x²) / q(x²), fitted to 7e-9 on |x| ≤ 5.5, where Φ is 1 to 2e-8.
#[inline(always)]
pub(crate) unsafe fn gelu<S: Simd>(x: S::Vector) -> S::Vector {
    const LIMIT: f32 = 5.5;
    const P: [f32; 6] =
        [0.398_942_23, 0.033_852_52, 0.004_677_25, 1.688_239_9e-4, 6.352_067_5e-6, 2.274_927e-8];
    const Q: [f32; 6] = [1.0, 0.251_521_6, 0.028_645_794, 0.001_884_435_9, 7.364_675e-5, 1.197_497_3e-6];
    unsafe {
        let near = S::max(S::min(x, S::splat(LIMIT)), S::splat(-LIMIT));
        let square = S::mul(near, near);
        let odd = S::div(S::mul(near, polynomial::<S, 6>(square, P)), polynomial::<S, 6>(square, Q));
        S::mul(x, S::add(odd, S::splat(0.5)))
    }
}

#[inline(always)]
unsafe fn polynomial<S: Simd, const N: usize>(x: S::Vector, coefficients: [f32; N]) -> S::Vector {
    unsafe {
        let mut sum = S::splat(coefficients[N - 1]);
        for &coefficient in coefficients[..N - 1].iter().rev() {
            sum = S::mul_add(sum, x, S::splat(coefficient));
        }
        sum
    }
}

/// `count` elements, of at most a vector, and zeros behind them.
#[inline(always)]
pub(crate) unsafe fn load_some<S: Simd>(from: *const f32, count: usize) -> S::Vector {
    let mut elements = [0.0_f32; MAX_LANES];
    unsafe {
        std::ptr::copy_nonoverlapping(from, elements.as_mut_ptr(), count);
        S::load(elements.as_ptr())
    }
}

/// Stores the first `count` elements of a vector.
#[inline(always)]
pub(crate) unsafe fn store_some<S: Simd>(vector: S::Vector, to: *mut f32, count: usize) {
    let mut elements = [0.0_f32; MAX_LANES];
    unsafe {
        S::store(vector, elements.as_mut_ptr());
        std::ptr::copy_nonoverlapping(elements.as_ptr(), to, count);
    }
}

/// Of all instruction sets.
const MAX_LANES: usize = 16;

/// The elements' sum, from the first on.
#[inline(always)]
pub(crate) unsafe fn sum<S: Simd>(vector: S::Vector) -> f32 {
    let elements = unsafe { elements::<S>(vector) };
    elements[..S::LANES].iter().sum()
}

/// All elements put together, one half with the other: as few steps as there can be, for what has no order.
#[inline(always)]
pub(crate) unsafe fn fold<S: Simd>(vector: S::Vector, operation: impl Fn(f32, f32) -> f32) -> f32 {
    let mut elements = unsafe { elements::<S>(vector) };
    let mut half = S::LANES / 2;
    while half > 0 {
        for lane in 0..half {
            elements[lane] = operation(elements[lane], elements[lane + half]);
        }
        half /= 2;
    }
    elements[0]
}

#[inline(always)]
unsafe fn elements<S: Simd>(vector: S::Vector) -> [f32; MAX_LANES] {
    let mut elements = [0.0; MAX_LANES];
    unsafe { S::store(vector, elements.as_mut_ptr()) };
    elements
}
