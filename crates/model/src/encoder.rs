//! One post-norm encoder block (Vaswani et al. 2017; Devlin et al. 2018, section 3).

use crossrank_kernels::{LayerNorm, Linear, Rows, Segments, segment_attention};

use crate::layers::{linear, norm};
use crate::layout::Part;
use crate::weights::{Keep, Weights};
use crate::{Layout, ModelConfig, ModelError, Precision};

/// Attend, add and norm, feed forward, add and norm.
pub(crate) struct EncoderLayer {
    query: Linear,
    key_value: Linear,
    attention_output: Linear,
    attention_norm: LayerNorm,
    intermediate: Linear,
    output: Linear,
    output_norm: LayerNorm,
    num_attention_heads: usize,
}

impl EncoderLayer {
    pub(crate) fn take(
        weights: &mut Weights,
        layout: Layout,
        layer: usize,
        config: &ModelConfig,
        keep: &Keep,
    ) -> Result<Self, ModelError> {
        let (query, key_value) =
            query_and_key_value(weights, &layout.query_key_value(layer), config.hidden_size, keep.precision)?;
        let mut linear = |part| linear(weights, &layout.part(layer, part), keep.precision);
        let (attention_output, intermediate, output) =
            (linear(Part::AttentionOutput)?, linear(Part::Intermediate)?, linear(Part::Output)?);
        let mut norm = |part| norm(weights, &layout.part(layer, part), config, keep);
        Ok(Self {
            query,
            key_value,
            attention_output,
            attention_norm: norm(Part::AttentionNorm)?,
            intermediate,
            output,
            output_norm: norm(Part::OutputNorm)?,
            num_attention_heads: config.num_attention_heads,
        })
    }

    /// `[tokens, hidden]` → `[tokens, hidden]`
    pub(crate) fn forward(&self, hidden: &Rows, segments: &Segments) -> Rows {
        self.forward_rows(hidden, hidden, segments)
    }

    /// What [`Self::forward`] gives in the first row of every segment, `[segments, hidden]`: all the
    /// classifier reads of the last layer, for 3.5 to 7 % of the model's work less.
    pub(crate) fn forward_first(&self, hidden: &Rows, segments: &Segments) -> Rows {
        self.forward_rows(&hidden.first_of(segments), hidden, segments)
    }

    /// The block for `rows`, which attend to all of `hidden`.
    fn forward_rows(&self, rows: &Rows, hidden: &Rows, segments: &Segments) -> Rows {
        let query = self.query.forward(rows);
        let key_value = self.key_value.forward(hidden);
        let attended = segment_attention(&query, &key_value, segments, self.num_attention_heads);
        let rows = self.attention_norm.forward_added(self.attention_output.forward(&attended), rows);
        let fed = Linear::feed_forward(&self.intermediate, &self.output, &rows);
        self.output_norm.forward_added(fed, &rows)
    }
}

/// The query projection apart from keys and values, because the last layer asks for fewer queries.
fn query_and_key_value(
    weights: &mut Weights,
    names: &[String],
    hidden: usize,
    precision: Precision,
) -> Result<(Linear, Linear), ModelError> {
    let mut bias = Vec::new();
    let mut matrices = Vec::new();
    for name in names {
        matrices.push(weights.matrix(&format!("{name}.weight"))?);
        bias.append(&mut weights.vector(&format!("{name}.bias"))?);
    }
    let key_value_bias = bias.split_off(hidden);
    // One matrix holds all three, or each has its own.
    let (query, key_value) = match matrices.pop() {
        Some(value) if matrices.len() == 2 => {
            let key = matrices.swap_remove(1);
            (matrices.swap_remove(0), key.stacked(value)?)
        }
        Some(whole) => whole.split_at(hidden),
        None => return Err(ModelError::missing("query")),
    };
    Ok((query.into_linear(bias, precision), key_value.into_linear(key_value_bias, precision)))
}
