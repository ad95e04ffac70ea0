//! Operations a cross-encoder needs beyond Burn's own.
//!
//! - [`segment_attention`]: attention over pairs that lie end to end in one matrix, without padding.
//! - [`quantized_linear`]: an int8 product on the CPU, straight from the stored q8 form.

mod quantized_linear;
mod segment_attention;

pub use quantized_linear::{QuantizedLinear, quantized_linear};
pub use segment_attention::{Segments, segment_attention};
