//! The classifier: dense, tanh, one output.
//!
//! The same mathematics in every family: XLM-RoBERTa calls it `ClassificationHead { dense, out_proj }`,
//! BERT splits it into a pooler and a classifier.

use burn::tensor::{DType, Tensor};

use crate::layers::Linear;
use crate::weights::{Keep, Weights};
use crate::{Layout, ModelError};

pub(crate) struct ClassificationHead {
    dense: Linear,
    out_proj: Linear,
}

impl ClassificationHead {
    pub(crate) fn take(weights: &mut Weights, layout: Layout, keep: &Keep) -> Result<Self, ModelError> {
        let [dense, out_proj] = layout.head().map(|name| Linear::take(weights, name, keep));
        Ok(Self { dense: dense?, out_proj: out_proj? })
    }

    /// `[pairs, hidden]`, the hidden states of `<s>` → `[pairs, 1]`, the logits.
    pub(crate) fn forward(&self, hidden: Tensor<2>) -> Tensor<2> {
        self.out_proj.forward(self.dense.forward(hidden).tanh()).cast(DType::F32)
    }
}
