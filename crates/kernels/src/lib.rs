//! What a cross-encoder is computed with: rows of numbers, and the few operations that its layers consist of.
//!
//! [`Rows`] lie in memory or on a GPU, and every operation runs where they are: on the CPU in vector
//! instructions chosen when the program runs ([`cpu`]), on a GPU in kernels written in CubeCL (`gpu`).
//!
//! - [`Linear`]: `x · Wᵀ + b`, with what follows it; [`Linear::feed_forward`] is two of them.
//! - [`LayerNorm`]: row by row.
//! - [`SelfAttention`]: over pairs that lie end to end, without padding.

pub mod cpu;
mod device;
#[cfg(feature = "gpu")]
mod gpu;
mod layer_norm;
mod linear;
mod rows;
mod self_attention;

pub use cpu::Bits;
pub use cpu::{instructions, together};
pub use device::Device;
#[cfg(feature = "gpu")]
pub use gpu::Gpu;
pub use layer_norm::LayerNorm;
pub use linear::{Activation, Linear, StoredMatrix};
pub use rows::Rows;
pub use self_attention::{Projection, Segments, SelfAttention};
