//! The working memory of a forward pass, computed before it runs.

use crossrank_model::{ModelConfig, Precision, Segments};

/// Bytes of working memory allowed beside the weights, unless the caller says otherwise; WebAssembly has
/// 4 GiB for everything.
pub(crate) const DEFAULT_BYTES: u64 = if cfg!(target_family = "wasm") { 1 << 28 } else { 1 << 30 };

/// How much a forward pass may hold at once.
#[derive(Debug, Clone)]
pub(crate) struct Budget {
    pub(crate) bytes: u64,
    /// The largest single buffer the device can bind; a GPU's limit, no limit on a CPU.
    pub(crate) buffer_bytes: u64,
}

impl Budget {
    /// True if a pass over these pairs stays within the budget.
    pub(crate) fn fits(&self, config: &ModelConfig, pairs: &Segments) -> bool {
        pass_bytes(config, pairs) <= self.bytes && widest_buffer_bytes(config, pairs) <= self.buffer_bytes
    }
}

/// Bytes that a pass over `pairs` holds at its peak.
///
/// The peak is in the feed-forward layer: the block's input, what was attended to, the layer's input and output, the
/// LayerNorm of that, and the wide activation. Nothing grows with the square of a length.
pub(crate) fn pass_bytes(config: &ModelConfig, pairs: &Segments) -> u64 {
    let (hidden, inner) = (config.hidden_size as u64, config.intermediate_size as u64);
    4 * pairs.rows() as u64 * (5 * hidden + inner)
}

fn widest_buffer_bytes(config: &ModelConfig, pairs: &Segments) -> u64 {
    4 * (pairs.rows() * config.intermediate_size.max(3 * config.hidden_size)) as u64
}

/// Bytes of the encoder's matrices as the CPU keeps them; embedding tables stay where they are.
pub(crate) fn weight_bytes(config: &ModelConfig, precision: Precision) -> u64 {
    let (hidden, inner) = (config.hidden_size as u64, config.intermediate_size as u64);
    let bits = match precision {
        Precision::F32 => 32,
        Precision::F16 => 16,
        Precision::Q8 | Precision::Q4 => 8,
    };
    bits * config.num_hidden_layers as u64 * hidden * (4 * hidden + 2 * inner) / 8
}

/// Asks the allocator for the bytes of a pass and gives them back: where memory is limited, an error
/// here becomes a smaller batch instead of the end of the program.
pub(crate) fn can_allocate(bytes: u64) -> bool {
    let Ok(bytes) = usize::try_from(bytes) else { return false };
    Vec::<u8>::new().try_reserve_exact(bytes).is_ok()
}
