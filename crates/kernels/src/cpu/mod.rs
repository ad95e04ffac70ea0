//! The operations on the CPU, in vector instructions chosen when the program runs.

mod aligned;
#[cfg(target_arch = "x86_64")]
mod amx;
mod attention;
#[cfg(target_arch = "x86_64")]
mod bf16;
mod integers;
mod linear;
mod math;
mod norm;
mod output;
mod quantized;
mod simd;
mod team;
#[cfg(test)]
mod tests;
mod threads;
mod tile;
#[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
mod wasm;
#[cfg(target_arch = "x86_64")]
mod x86;

pub use attention::{Operands, attention};
pub use integers::Bits;
pub use linear::{PackedMatrix, linear};
pub use norm::add_norm;
pub use team::together;
pub use threads::{side_by_side, written};

/// The vector instructions that this processor has and the kernels use.
pub fn instructions() -> &'static str {
    #[cfg(target_arch = "x86_64")]
    match x86::level() {
        x86::Level::Amx => return "AVX-512 VNNI, AMX",
        x86::Level::Avx512Bf16 => return "AVX-512 VNNI, BF16",
        _ => {}
    }
    simd::run(Name)
}

struct Name;

impl simd::Kernel for Name {
    type Output = &'static str;

    unsafe fn run<S: simd::Simd>(self) -> &'static str {
        S::NAME
    }
}
