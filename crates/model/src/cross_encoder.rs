//! The whole model: token ids of pairs in, one logit each out.

use std::sync::Arc;

use burn::tensor::{Device, Tensor};

use crate::embeddings::Embeddings;
use crate::encoder::EncoderLayer;
use crate::head::ClassificationHead;
use crate::layers::compute_dtype;
use crate::{Checkpoint, Layout, ModelConfig, ModelError, PackedPairs, Precision};

/// A point of the forward pass at which the hidden states can be looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// Behind the embeddings' LayerNorm: `[tokens, hidden]`.
    Embeddings,
    /// Behind layer `n`: `[tokens, hidden]`, of the last layer `[pairs, hidden]`.
    Layer(usize),
}

/// A cross-encoder with its weights on a device.
pub struct CrossEncoder {
    config: ModelConfig,
    embeddings: Embeddings,
    layers: Vec<EncoderLayer>,
    head: ClassificationHead,
    precision: Precision,
    device: Device,
}

impl CrossEncoder {
    /// Reads the weights of `checkpoint`, all but the embedding tables, onto `device`.
    ///
    /// # Errors
    /// [`ModelError::WeightsMismatch`] naming every tensor that is missing, unexpected or of another
    /// shape; [`ModelError::NotFinite`]; [`ModelError::Read`].
    pub fn load(
        config: ModelConfig,
        checkpoint: Checkpoint,
        precision: Precision,
        device: &Device,
    ) -> Result<Self, ModelError> {
        let layout = Layout::of(&config, &checkpoint);
        checkpoint.check(&layout.tensors(&config))?;
        let checkpoint = Arc::new(checkpoint);
        let layer = |layer| EncoderLayer::load(&checkpoint, layout, layer, &config, precision, device);
        Ok(Self {
            embeddings: Embeddings::load(&checkpoint, layout, &config, precision, device)?,
            layers: (0..config.num_hidden_layers).map(layer).collect::<Result<_, _>>()?,
            head: ClassificationHead::load(&checkpoint, layout, &config, precision, device)?,
            config,
            precision,
            device: device.clone(),
        })
    }

    /// The model's dimensions.
    pub fn config(&self) -> &ModelConfig {
        &self.config
    }

    /// The precision of the weights.
    pub fn precision(&self) -> Precision {
        self.precision
    }

    /// Bytes of device memory that hold weights and working data; `None` on devices that do not count.
    pub fn device_bytes_in_use(&self) -> Option<u64> {
        self.device.memory_pool_usage().map(|usage| usage.bytes_in_use)
    }

    /// One logit per pair, in order.
    ///
    /// # Errors
    /// [`ModelError::TooLong`], [`ModelError::EmptyPair`], [`ModelError::TokenOutOfRange`] and
    /// [`ModelError::TypeOutOfRange`] before any work; [`ModelError::Device`] and
    /// [`ModelError::LogitNotFinite`] after it.
    pub async fn forward(&self, pairs: &PackedPairs) -> Result<Vec<f32>, ModelError> {
        self.forward_observed(pairs, &mut |_, _| {}).await
    }

    /// [`Self::forward`], showing the hidden states at every stage on the way.
    ///
    /// # Errors
    /// As [`Self::forward`].
    pub async fn forward_observed(
        &self,
        pairs: &PackedPairs,
        observe: &mut dyn FnMut(Stage, &Tensor<2>),
    ) -> Result<Vec<f32>, ModelError> {
        if pairs.is_empty() {
            return Ok(Vec::new());
        }
        pairs.check(&self.config)?;
        let segments = pairs.segments();
        let mut hidden = self.embeddings.forward(pairs, compute_dtype(self.precision), &self.device)?;
        observe(Stage::Embeddings, &hidden);
        let last = self.layers.len() - 1;
        for (index, layer) in self.layers.iter().enumerate() {
            hidden = if index == last {
                layer.forward_first(hidden, &segments)
            } else {
                layer.forward(hidden, &segments)
            };
            observe(Stage::Layer(index), &hidden);
        }
        read_logits(self.head.forward(hidden)).await
    }
}

async fn read_logits(logits: Tensor<2>) -> Result<Vec<f32>, ModelError> {
    let device = |error: &dyn std::fmt::Display| ModelError::Device { problem: error.to_string() };
    let data = logits.into_data_async().await.map_err(|error| device(&error))?;
    let logits = data.try_into_vec::<f32>().map_err(|error| device(&error))?;
    if logits.iter().all(|logit| logit.is_finite()) { Ok(logits) } else { Err(ModelError::LogitNotFinite) }
}
