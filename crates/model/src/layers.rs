//! The two kinds of layer everything is made of.

use burn::tensor::module::{layer_norm, linear};
use burn::tensor::{DType, Device, Tensor, TensorData};

use crate::{Checkpoint, ModelConfig, ModelError, Precision};

/// `x · weightᵀ + bias`
pub(crate) struct Linear {
    /// `[in, out]`, a transposed view of what the checkpoint holds.
    weight: Tensor<2>,
    bias: Tensor<1>,
}

impl Linear {
    /// The layer whose weight is the rows of `names`, one tensor after the other.
    pub(crate) fn load(
        checkpoint: &Checkpoint,
        names: &[String],
        inputs: usize,
        precision: Precision,
        device: &Device,
    ) -> Result<Self, ModelError> {
        let (mut weight, mut bias) = (Vec::new(), Vec::new());
        for name in names {
            weight.append(&mut checkpoint.read_f32(&format!("{name}.weight"), precision)?);
            bias.append(&mut checkpoint.read_f32(&format!("{name}.bias"), Precision::F32)?);
        }
        Ok(Self::new(weight, bias, inputs, precision, device))
    }

    /// A layer from a row-major `[out, in]` weight.
    pub(crate) fn new(
        weight: Vec<f32>,
        bias: Vec<f32>,
        inputs: usize,
        precision: Precision,
        device: &Device,
    ) -> Self {
        let dtype = compute_dtype(precision);
        let outputs = bias.len();
        let weight: Tensor<2> = upload(weight, [outputs, inputs], device);
        Self {
            weight: weight.cast(dtype).transpose(),
            bias: upload::<1>(bias, [outputs], device).cast(dtype),
        }
    }

    /// `[rows, in]` → `[rows, out]`
    pub(crate) fn forward(&self, rows: Tensor<2>) -> Tensor<2> {
        linear(rows, self.weight.clone(), Some(self.bias.clone()))
    }
}

/// LayerNorm over the hidden dimension, computed in f32 whatever the dtype of its input.
pub(crate) struct LayerNorm {
    weight: Tensor<1>,
    bias: Tensor<1>,
    epsilon: f64,
}

impl LayerNorm {
    pub(crate) fn load(
        checkpoint: &Checkpoint,
        name: &str,
        config: &ModelConfig,
        device: &Device,
    ) -> Result<Self, ModelError> {
        let vector = |part| {
            let values = checkpoint.read_f32(&format!("{name}.{part}"), Precision::F32)?;
            Ok::<Tensor<1>, ModelError>(upload(values, [config.hidden_size], device))
        };
        Ok(Self { weight: vector("weight")?, bias: vector("bias")?, epsilon: config.layer_norm_eps })
    }

    /// `[rows, hidden]` → `[rows, hidden]`
    pub(crate) fn forward(&self, rows: Tensor<2>) -> Tensor<2> {
        let dtype = rows.dtype();
        let rows = rows.cast(DType::F32);
        layer_norm(rows, self.weight.clone(), Some(self.bias.clone()), self.epsilon).cast(dtype)
    }
}

/// The dtype that weights of `precision` are multiplied in.
pub(crate) fn compute_dtype(precision: Precision) -> DType {
    match precision {
        Precision::F16 => DType::F16,
        Precision::F32 | Precision::Q8 | Precision::Q4 => DType::F32,
    }
}

fn upload<const D: usize>(values: Vec<f32>, shape: [usize; D], device: &Device) -> Tensor<D> {
    Tensor::from_data(TensorData::new(values, shape), (device, DType::F32))
}
