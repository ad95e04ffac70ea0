//! The whole model: token ids of pairs in, one logit each out.

use std::sync::Arc;

use crossrank_kernels::{Device, Rows};
use tracing::{Instrument, trace_span};

use crate::embeddings::Embeddings;
use crate::encoder::EncoderLayer;
use crate::head::ClassificationHead;
use crate::layout::{Expected, Role};
use crate::weights::{Incoming, Keep, Table, Weights};
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
    layout: Layout,
    embeddings: Embeddings,
    layers: Vec<EncoderLayer>,
    head: ClassificationHead,
    precision: Precision,
    keep: Keep,
}

impl CrossEncoder {
    /// Reads the weights of `checkpoint`, all but the embedding tables, onto `device`. Without a precision they are
    /// multiplied in f32, but for integers, of which the CPU makes integer products.
    ///
    /// # Errors
    /// [`ModelError::WeightsMismatch`] naming every tensor that is missing, unexpected or of another
    /// shape; [`ModelError::NotFinite`]; [`ModelError::Read`].
    pub fn load(
        config: ModelConfig,
        checkpoint: Checkpoint,
        precision: impl Into<Option<Precision>>,
        device: &Device,
    ) -> Result<Self, ModelError> {
        let layout = Layout::of(&config, checkpoint.list());
        let expected = layout.tensors(&config);
        checkpoint.list().check(&expected, true)?;
        let keep = Keep::new(precision.into(), device);
        let checkpoint = Arc::new(checkpoint);
        let mut weights = Weights::default();
        for expected in expected {
            read(&checkpoint, expected, &keep, &mut weights)?;
        }
        Self::assemble(config, layout, weights, keep)
    }

    /// The model of weights that are all there.
    pub(crate) fn assemble(
        config: ModelConfig,
        layout: Layout,
        mut weights: Weights,
        keep: Keep,
    ) -> Result<Self, ModelError> {
        let weights = &mut weights;
        let precision = weights.precision(&keep);
        let layers = 0..config.num_hidden_layers;
        let layers = layers.map(|layer| EncoderLayer::take(weights, layout, layer, &config, &keep));
        Ok(Self {
            layers: layers.collect::<Result<_, _>>()?,
            embeddings: Embeddings::take(weights, layout, &config, &keep)?,
            head: ClassificationHead::take(weights, layout, &keep)?,
            config,
            layout,
            precision,
            keep,
        })
    }

    /// The model's dimensions.
    pub fn config(&self) -> &ModelConfig {
        &self.config
    }

    /// How its checkpoint names the tensors.
    pub fn layout(&self) -> Layout {
        self.layout
    }

    /// The precision of the products.
    pub fn precision(&self) -> Precision {
        self.precision
    }

    /// Bytes of device memory that hold weights and working data; `None` on devices that do not count.
    pub fn device_bytes_in_use(&self) -> Option<u64> {
        self.keep.device.bytes_in_use()
    }

    /// Kernels that a GPU was given so far; 0 for the CPU.
    pub fn device_launches(&self) -> u64 {
        self.keep.device.launches()
    }

    /// One logit per pair, in order.
    ///
    /// # Errors
    /// [`ModelError::TooLong`], [`ModelError::EmptyPair`], [`ModelError::TokenOutOfRange`] and
    /// [`ModelError::TypeOutOfRange`] before any work; [`ModelError::Device`] and
    /// [`ModelError::LogitNotFinite`] after it.
    pub async fn forward(&self, pairs: &PackedPairs) -> Result<Vec<f32>, ModelError> {
        let span = trace_span!("forward", pairs = pairs.len(), tokens = pairs.tokens());
        self.forward_observed(pairs, &mut |_, _| {}).instrument(span).await
    }

    /// [`Self::forward`], showing the hidden states at every stage on the way.
    ///
    /// # Errors
    /// As [`Self::forward`].
    pub async fn forward_observed(
        &self,
        pairs: &PackedPairs,
        observe: &mut dyn FnMut(Stage, &Rows),
    ) -> Result<Vec<f32>, ModelError> {
        if pairs.is_empty() {
            return Ok(Vec::new());
        }
        pairs.check(&self.config)?;
        let segments = pairs.segments();
        let mut hidden = self.embeddings.forward(pairs, &self.keep)?;
        observe(Stage::Embeddings, &hidden);
        let last = self.layers.len() - 1;
        for (index, layer) in self.layers.iter().enumerate() {
            let _span = trace_span!("layer", index).entered();
            hidden = if index == last {
                layer.forward_first(&hidden, &segments)
            } else {
                layer.forward(&hidden, &segments)
            };
            observe(Stage::Layer(index), &hidden);
        }
        let logits = trace_span!("head").in_scope(|| self.head.forward(&hidden));
        read_logits(logits).instrument(trace_span!("readback")).await
    }
}

/// Reads a tensor of `checkpoint`; an embedding table stays where it is.
pub(crate) fn read(
    checkpoint: &Arc<Checkpoint>,
    Expected { name, role, .. }: Expected,
    keep: &Keep,
    weights: &mut Weights,
) -> Result<(), ModelError> {
    let rows = checkpoint.rows(&name)?;
    if matches!(role, Role::WordTable | Role::Table) {
        let (checkpoint, precision) = (Arc::clone(checkpoint), keep.precision(role));
        let entry = checkpoint.list().require(&name)?.clone();
        weights.place_table(name, Table::File { checkpoint, entry, rows, precision });
        return Ok(());
    }
    let stride = rows.stride;
    let mut tensor = Incoming::new(rows, role, keep)?;
    for row in checkpoint.bytes(&name)?.chunks_exact(stride) {
        tensor.push(row)?;
    }
    weights.place(name, tensor, keep);
    Ok(())
}

async fn read_logits(logits: Rows) -> Result<Vec<f32>, ModelError> {
    let logits = logits.read().await.map_err(|problem| ModelError::Device { problem })?;
    if logits.iter().all(|logit| logit.is_finite()) { Ok(logits) } else { Err(ModelError::LogitNotFinite) }
}
