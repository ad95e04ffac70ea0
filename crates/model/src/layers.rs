//! The two kinds of layer everything is made of.

use burn::tensor::module::{layer_norm, linear};
use burn::tensor::{DType, Tensor, TensorData};

use crate::weights::{Keep, Matrix, Weights};
use crate::{ModelConfig, ModelError};

/// `x · weightᵀ + bias`
pub(crate) struct Linear {
    weight: Matrix,
    bias: Tensor<1>,
}

impl Linear {
    /// The layer `name`.
    pub(crate) fn take(weights: &mut Weights, name: &str, keep: &Keep) -> Result<Self, ModelError> {
        let weight = weights.matrix(&format!("{name}.weight"))?;
        Ok(Self::new(weight, weights.vector(&format!("{name}.bias"))?, keep))
    }

    pub(crate) fn new(weight: Matrix, bias: Vec<f32>, keep: &Keep) -> Self {
        Self { weight, bias: keep.vector(bias).cast(keep.compute_dtype()) }
    }

    /// `[rows, in]` → `[rows, out]`
    pub(crate) fn forward(&self, rows: Tensor<2>) -> Tensor<2> {
        let weight = match &self.weight {
            Matrix::Float(weight) => weight.as_ref().clone(),
            Matrix::Quantized(stored) => {
                let (values, shape) = stored.multiplied_out();
                Tensor::from_data(TensorData::new(values, shape), (&rows.device(), DType::F32))
            }
        };
        linear(rows, weight.transpose(), Some(self.bias.clone()))
    }
}

/// LayerNorm over the hidden dimension, computed in f32 whatever the dtype of its input.
pub(crate) struct LayerNorm {
    weight: Tensor<1>,
    bias: Tensor<1>,
    epsilon: f64,
}

impl LayerNorm {
    /// The LayerNorm `name`.
    pub(crate) fn take(
        weights: &mut Weights,
        name: &str,
        config: &ModelConfig,
        keep: &Keep,
    ) -> Result<Self, ModelError> {
        let mut vector = |part| Ok::<_, ModelError>(keep.vector(weights.vector(&format!("{name}.{part}"))?));
        Ok(Self { weight: vector("weight")?, bias: vector("bias")?, epsilon: config.layer_norm_eps })
    }

    /// `[rows, hidden]` → `[rows, hidden]`
    pub(crate) fn forward(&self, rows: Tensor<2>) -> Tensor<2> {
        let dtype = rows.dtype();
        let rows = rows.cast(DType::F32);
        layer_norm(rows, self.weight.clone(), Some(self.bias.clone()), self.epsilon).cast(dtype)
    }
}
