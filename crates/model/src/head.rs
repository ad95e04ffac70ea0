//! The classifier: dense, tanh, one output.
//!
//! The same mathematics in every family: XLM-RoBERTa calls it `ClassificationHead { dense, out_proj }`,
//! BERT splits it into a pooler and a classifier.

use crossrank_kernels::{Activation, Linear, Rows};

use crate::layers::linear;
use crate::weights::{Keep, Weights};
use crate::{Layout, ModelError};

pub(crate) struct ClassificationHead {
    dense: Linear,
    out_proj: Linear,
}

impl ClassificationHead {
    pub(crate) fn take(weights: &mut Weights, layout: Layout, keep: &Keep) -> Result<Self, ModelError> {
        // One row a pair: integers would save nothing here.
        let keep = &keep.in_floats();
        let [dense, out_proj] = layout.head().map(|name| linear(weights, name, keep));
        Ok(Self { dense: dense?, out_proj: out_proj? })
    }

    /// `[pairs, hidden]`, the hidden states of `<s>` → `[pairs, 1]`, the logits.
    pub(crate) fn forward(&self, hidden: &Rows) -> Rows {
        self.out_proj.forward(&self.dense.forward(hidden, Activation::Tanh), Activation::None)
    }
}
