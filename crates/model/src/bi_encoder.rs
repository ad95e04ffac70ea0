//! A sentence encoder: token ids of texts in, one vector each out. The same encoder as the cross-encoder's, with the
//! mean over all tokens in the head's place.

use std::sync::Arc;

use crossrank_kernels::Device;

use crate::cross_encoder::read;
use crate::embeddings::Embeddings;
use crate::encoder::EncoderLayer;
use crate::weights::{Keep, Weights};
use crate::{Checkpoint, Family, Layout, ModelConfig, ModelError, PackedPairs, Precision};

/// An encoder with mean pooling, as sentence-transformers' `Transformer` and `Pooling`.
pub struct BiEncoder {
    config: ModelConfig,
    embeddings: Embeddings,
    layers: Vec<EncoderLayer>,
    keep: Keep,
}

impl BiEncoder {
    /// Reads the encoder of `checkpoint` onto `device`; a pooler or a head is not read.
    ///
    /// # Errors
    /// [`ModelError::WeightsMismatch`], [`ModelError::NotFinite`], [`ModelError::Read`].
    pub fn load(
        config: ModelConfig,
        mut checkpoint: Checkpoint,
        precision: Precision,
        device: &Device,
    ) -> Result<Self, ModelError> {
        let layout = if config.family == Family::Bert { Layout::Bert } else { Layout::XlmRoberta };
        let keep = Keep::new(Some(precision), device);
        let is_head = |name: &str| layout.head().iter().any(|head| name.starts_with(head));
        let mut expected = layout.tensors(&config);
        expected.retain(|expected| !is_head(&expected.name));
        // sentence-transformers saves the encoder alone, without the prefix, and with a pooler that it does not use.
        checkpoint.rename(|name| {
            let of_encoder = !is_head(&name) && !name.contains("pooler.");
            let prefix = layout.prefix();
            of_encoder.then(|| if name.starts_with(prefix) { name } else { format!("{prefix}.{name}") })
        });
        checkpoint.list().check(&expected, true)?;
        let checkpoint = Arc::new(checkpoint);
        let mut weights = Weights::default();
        for expected in expected {
            read(&checkpoint, expected, &keep, &mut weights)?;
        }
        let layers = 0..config.num_hidden_layers;
        let layers = layers.map(|layer| EncoderLayer::take(&mut weights, layout, layer, &config, &keep));
        Ok(Self {
            layers: layers.collect::<Result<_, _>>()?,
            embeddings: Embeddings::take(&mut weights, layout, &config, &keep)?,
            config,
            keep,
        })
    }

    /// One vector of length 1 per text, `[texts][hidden]`: the mean over all its tokens, special tokens included.
    ///
    /// # Errors
    /// As [`crate::CrossEncoder::forward`].
    pub async fn forward(&self, texts: &PackedPairs) -> Result<Vec<Vec<f32>>, ModelError> {
        texts.check(&self.config)?;
        let segments = texts.segments();
        let mut hidden = self.embeddings.forward(texts, &self.keep)?;
        for layer in &self.layers {
            hidden = layer.forward(&hidden, &segments);
        }
        let hidden = hidden.read().await.map_err(|problem| ModelError::Device { problem })?;
        let width = self.config.hidden_size;
        let starts = segments.starts().into_iter().map(|start| start * width);
        let ends = starts.clone().skip(1).chain([hidden.len()]);
        starts.zip(ends).map(|(start, end)| mean_of_length_one(&hidden[start..end], width)).collect()
    }
}

/// The mean of the rows of `hidden`, brought to length 1.
fn mean_of_length_one(hidden: &[f32], width: usize) -> Result<Vec<f32>, ModelError> {
    let mut sum = vec![0.0_f64; width];
    for row in hidden.chunks_exact(width) {
        sum.iter_mut().zip(row).for_each(|(sum, value)| *sum += f64::from(*value));
    }
    let length = sum.iter().map(|value| value * value).sum::<f64>().sqrt();
    if !(length.is_finite() && length > 0.0) {
        return Err(ModelError::LogitNotFinite);
    }
    Ok(sum.into_iter().map(|value| (value / length) as f32).collect())
}
