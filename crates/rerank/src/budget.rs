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

/// Bytes that a pass over `pairs` holds at its peak, attention scores included.
///
/// The peak is either in attention (block input, query, keys and values, their copies by head, output,
/// scores) or in the feed-forward layer (input, residual, and the wide activation before and after GELU).
pub(crate) fn pass_bytes(config: &ModelConfig, pairs: &Segments) -> u64 {
    let (tokens, hidden) = (pairs.rows() as u64, config.hidden_size as u64);
    let attention = tokens * hidden * 10 + 2 * pairs.max_scores(config.num_attention_heads) as u64;
    let feed_forward = tokens * (3 * hidden + 3 * config.intermediate_size as u64);
    4 * attention.max(feed_forward)
}

fn widest_buffer_bytes(config: &ModelConfig, pairs: &Segments) -> u64 {
    let wide = pairs.rows() * config.intermediate_size.max(2 * config.hidden_size);
    4 * wide.max(pairs.max_scores(config.num_attention_heads)) as u64
}

/// Bytes of the encoder's matrices as the CPU keeps them; embedding tables stay where they are.
pub(crate) fn weight_bytes(config: &ModelConfig, precision: Precision) -> u64 {
    let (hidden, inner) = (config.hidden_size as u64, config.intermediate_size as u64);
    let bits = match precision {
        Precision::F32 => 32,
        Precision::F16 => 16,
        Precision::Q8 => 8,
        Precision::Q4 => 4,
    };
    bits * config.num_hidden_layers as u64 * hidden * (4 * hidden + 2 * inner) / 8
}

/// Asks the allocator for the bytes of a pass and gives them back: where memory is limited, an error
/// here becomes a smaller batch instead of the end of the program.
pub(crate) fn can_allocate(bytes: u64) -> bool {
    let Ok(bytes) = usize::try_from(bytes) else { return false };
    Vec::<u8>::new().try_reserve_exact(bytes).is_ok()
}
