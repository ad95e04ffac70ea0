//! Self-attention over pairs that lie end to end in one matrix.

use tracing::trace_span;

#[cfg(feature = "gpu")]
use crate::gpu::{self, Then};
#[cfg(feature = "gpu")]
use crate::linear::Kind;
use crate::rows::MIXED;
use crate::{Activation, Linear, Rows, cpu};

/// The lengths of the pairs in a packed matrix, in order.
#[derive(Debug, Clone, Default)]
pub struct Segments {
    lengths: Vec<usize>,
    #[cfg(feature = "gpu")]
    blocks: crate::gpu::AttentionBlocks,
}

impl Segments {
    /// Segments of these lengths, laid end to end.
    pub fn new(lengths: Vec<usize>) -> Self {
        Self {
            lengths,
            #[cfg(feature = "gpu")]
            blocks: Default::default(),
        }
    }

    /// Number of segments.
    pub fn len(&self) -> usize {
        self.lengths.len()
    }

    /// True if there is no segment.
    pub fn is_empty(&self) -> bool {
        self.lengths.is_empty()
    }

    /// Rows of each.
    pub fn lengths(&self) -> &[usize] {
        &self.lengths
    }

    /// Rows of the packed matrix.
    pub fn rows(&self) -> usize {
        self.lengths.iter().sum()
    }

    /// The row at which each segment starts.
    pub fn starts(&self) -> Vec<usize> {
        let mut next = 0;
        let start = |length: &usize| {
            next += length;
            next - length
        };
        self.lengths.iter().map(start).collect()
    }
}

/// The layers that make queries, keys and values.
pub enum Projection {
    /// Queries apart: the CPU makes fewer of them where few are asked for.
    Apart {
        /// `[hidden, hidden]`
        query: Linear,
        /// `[2 * hidden, hidden]`, keys first.
        key_value: Linear,
    },
    /// All in one, `[3 * hidden, hidden]`, of which a GPU makes as many as are asked for.
    Together(Linear),
}

/// Scaled dot-product attention (Vaswani et al. 2017), each segment attending to itself alone.
pub struct SelfAttention {
    projection: Projection,
    num_attention_heads: usize,
}

impl SelfAttention {
    /// Attention with these projections.
    pub fn new(projection: Projection, num_attention_heads: usize) -> Self {
        Self { projection, num_attention_heads }
    }

    /// `[rows, hidden]` → `[rows, hidden]`
    pub fn forward(&self, hidden: &Rows, segments: &Segments) -> Rows {
        let _span = trace_span!("self_attention").entered();
        match (&self.projection, hidden) {
            #[cfg(feature = "gpu")]
            (Projection::Together(Linear(Kind::Gpu(weight))), Rows::Gpu(rows)) => {
                let projected = weight.forward(rows, weight.all(), Then::Nothing, None);
                let blocks = segments.blocks.all(rows.gpu(), segments);
                let (query, key_value) = ((&projected, 0), (&projected, rows.width()));
                Rows::Gpu(gpu::attention(query, key_value, blocks, (self.num_attention_heads, rows.width())))
            }
            _ => self.on_cpu(hidden, hidden, segments),
        }
    }

    /// What [`Self::forward`] gives in the first row of every segment, which `first` holds of `hidden`:
    /// `[segments, hidden]` → `[segments, hidden]`
    pub fn forward_first(&self, first: &Rows, hidden: &Rows, segments: &Segments) -> Rows {
        let _span = trace_span!("self_attention").entered();
        match (&self.projection, first, hidden) {
            #[cfg(feature = "gpu")]
            (Projection::Together(Linear(Kind::Gpu(weight))), Rows::Gpu(first), Rows::Gpu(rows)) => {
                let width = rows.width();
                let query = weight.forward(first, 0..width, Then::Nothing, None);
                let key_value = weight.forward(rows, width..3 * width, Then::Nothing, None);
                let blocks = segments.blocks.first(rows.gpu(), segments);
                let heads = self.num_attention_heads;
                Rows::Gpu(gpu::attention((&query, 0), (&key_value, 0), blocks, (heads, width)))
            }
            _ => self.on_cpu(first, hidden, segments),
        }
    }

    fn on_cpu(&self, asking: &Rows, hidden: &Rows, segments: &Segments) -> Rows {
        let Projection::Apart { query, key_value } = &self.projection else { unreachable!("{MIXED}") };
        let operands = query.operands();
        let (query, key_value) =
            (query.forward(asking, Activation::None), key_value.forward(hidden, Activation::None));
        match (query, key_value) {
            (Rows::Cpu { values: query, width }, Rows::Cpu { values: key_value, .. }) => {
                let _span = trace_span!("attention").entered();
                let heads = self.num_attention_heads;
                let values = cpu::written(query.len(), |out| {
                    cpu::attention(&query, &key_value, &segments.lengths, heads, operands, out)
                });
                Rows::Cpu { values, width }
            }
            #[allow(unreachable_patterns)]
            _ => unreachable!("{MIXED}"),
        }
    }
}
