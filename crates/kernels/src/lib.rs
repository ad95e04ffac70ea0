//! What a cross-encoder is computed with: rows of numbers, and the few operations that its layers consist of.
//!
//! [`Rows`] lie in memory or on a GPU, and every operation runs where they are: on the CPU in vector
//! instructions chosen when the program runs ([`cpu`]), on a GPU through Burn.
//!
//! - [`Linear`]: `x · Wᵀ + b`, with what follows it; [`Linear::feed_forward`] is two of them.
//! - [`LayerNorm`]: of a sum, row by row.
//! - [`segment_attention`]: attention over pairs that lie end to end, without padding.

pub mod cpu;
mod device;
mod layer_norm;
mod linear;
mod rows;
mod segment_attention;

pub use cpu::instructions;
pub use device::Device;
pub use layer_norm::LayerNorm;
pub use linear::{Activation, Linear, StoredMatrix};
pub use rows::Rows;
pub use segment_attention::{Segments, segment_attention};
