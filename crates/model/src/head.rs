//! The classifier: dense, tanh, one output.
//!
//! The same mathematics in every family: XLM-RoBERTa calls it `ClassificationHead { dense, out_proj }`,
//! BERT splits it into a pooler and a classifier.

use burn::tensor::{DType, Device, Tensor};

use crate::layers::Linear;
use crate::{Checkpoint, Layout, ModelConfig, ModelError, Precision};

pub(crate) struct ClassificationHead {
    dense: Linear,
    out_proj: Linear,
}

impl ClassificationHead {
    pub(crate) fn load(
        checkpoint: &Checkpoint,
        layout: Layout,
        config: &ModelConfig,
        precision: Precision,
        device: &Device,
    ) -> Result<Self, ModelError> {
        let [dense, out_proj] = layout.head().map(str::to_owned);
        // One row of weights: nothing is saved by rounding it.
        let exact = if precision == Precision::F16 { precision } else { Precision::F32 };
        let linear =
            |name, precision| Linear::load(checkpoint, &[name], config.hidden_size, precision, device);
        Ok(Self { dense: linear(dense, precision)?, out_proj: linear(out_proj, exact)? })
    }

    /// `[pairs, hidden]`, the hidden states of `<s>` → `[pairs, 1]`, the logits.
    pub(crate) fn forward(&self, hidden: Tensor<2>) -> Tensor<2> {
        self.out_proj.forward(self.dense.forward(hidden).tanh()).cast(DType::F32)
    }
}
