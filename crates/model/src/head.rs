//! The classifier: dense, tanh, one output.
//!
//! The same mathematics in every family: XLM-RoBERTa calls it `ClassificationHead { dense, out_proj }`,
//! BERT splits it into a pooler and a classifier.

use crossrank_kernels::{Linear, Rows};

use crate::layers::linear;
use crate::weights::Weights;
use crate::{Layout, ModelError, Precision};

pub(crate) struct ClassificationHead {
    dense: Linear,
    out_proj: Linear,
}

impl ClassificationHead {
    pub(crate) fn take(weights: &mut Weights, layout: Layout) -> Result<Self, ModelError> {
        let [dense, out_proj] = layout.head().map(|name| linear(weights, name, Precision::F32));
        Ok(Self { dense: dense?, out_proj: out_proj? })
    }

    /// `[pairs, hidden]`, the hidden states of `<s>` → `[pairs, 1]`, the logits.
    pub(crate) fn forward(&self, hidden: &Rows) -> Rows {
        self.out_proj.forward(&self.dense.forward(hidden).tanh())
    }
}
