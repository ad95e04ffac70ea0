//! LayerNorm (Ba et al. 2016).

#[cfg(feature = "gpu")]
use burn::tensor::{DType, Tensor, TensorData, module::layer_norm};

use crate::rows::MIXED;
use crate::{Device, Rows};

/// LayerNorm over each row, computed in f32 whatever the rows are in.
pub struct LayerNorm(Kind);

enum Kind {
    Cpu {
        weight: Vec<f32>,
        bias: Vec<f32>,
        epsilon: f64,
    },
    #[cfg(feature = "gpu")]
    Gpu {
        weight_and_bias: Box<[Tensor<1>; 2]>,
        epsilon: f64,
    },
}

impl LayerNorm {
    /// A LayerNorm on `device`.
    pub fn new(weight: Vec<f32>, bias: Vec<f32>, epsilon: f64, device: &Device) -> Self {
        Self(match device {
            Device::Cpu => Kind::Cpu { weight, bias, epsilon },
            #[cfg(feature = "gpu")]
            Device::Gpu(device) => {
                let vector = |values: Vec<f32>| {
                    let shape = [values.len()];
                    Tensor::from_data(TensorData::new(values, shape), (device, DType::F32))
                };
                Kind::Gpu { weight_and_bias: Box::new([weight, bias].map(vector)), epsilon }
            }
        })
    }

    /// Of `rows`: `[rows, hidden]` → `[rows, hidden]`
    pub fn forward(&self, rows: Rows) -> Rows {
        self.forward_sum(rows, None)
    }

    /// Of `rows + residual`: `[rows, hidden]` → `[rows, hidden]`
    pub fn forward_added(&self, rows: Rows, residual: &Rows) -> Rows {
        self.forward_sum(rows, Some(residual))
    }

    fn forward_sum(&self, rows: Rows, residual: Option<&Rows>) -> Rows {
        match (&self.0, rows, residual) {
            (Kind::Cpu { weight, bias, epsilon }, Rows::Cpu { mut values, width }, residual) => {
                let residual = match residual {
                    Some(Rows::Cpu { values, .. }) => Some(values.as_slice()),
                    _ => None,
                };
                crate::cpu::add_norm(&mut values, residual, weight, bias, *epsilon as f32);
                Rows::Cpu { values, width }
            }
            #[cfg(feature = "gpu")]
            (Kind::Gpu { weight_and_bias, epsilon }, Rows::Gpu(rows), residual) => {
                let [weight, bias] = weight_and_bias.as_ref();
                let rows = match residual {
                    Some(Rows::Gpu(residual)) => residual.as_ref().clone() + *rows,
                    _ => *rows,
                };
                let dtype = rows.dtype();
                let rows = rows.cast(DType::F32);
                let rows = layer_norm(rows, weight.clone(), Some(bias.clone()), *epsilon);
                Rows::Gpu(Box::new(rows.cast(dtype)))
            }
            #[allow(unreachable_patterns)]
            _ => unreachable!("{MIXED}"),
        }
    }
}
